// Package unlock is about attempts at landmarks and the unlocks that come of
// them. An acknowledged attempt is never lost and is decided exactly once; a
// user unlocks a landmark once.
package unlock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entattempt "github.com/picaspot/picaspot/ent/attempt"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/mixin"
	entunlock "github.com/picaspot/picaspot/ent/unlock"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/upload"
	"github.com/picaspot/picaspot/internal/verify"
)

var (
	errAttemptNotFound  = fault.New(fault.NotFound, "not_found", "There is no such attempt.")
	errUnlockNotFound   = fault.New(fault.NotFound, "not_found", "There is no such unlock.")
	errLandmarkNotFound = fault.New(fault.NotFound, "not_found", "There is no such landmark.")
	errAlreadyUnlocked  = fault.New(fault.Conflict, "already_unlocked", "You have unlocked this landmark already.")
	// An attempt that an earlier release took in has its picture once it is verified.
	errNoPhoto = fault.New(fault.NotFound, "not_found", "The photo is not ready yet.")
)

// Service does what can be done with attempts and unlocks.
type Service struct {
	store    *store.Store
	storage  *storage.Store
	decoder  *photo.Decoder
	pictures *picture.Gallery
	cursors  *page.Codec
	policy   verify.Policy
}

// NewService makes the service; policy says how attempts are verified.
func NewService(
	s *store.Store, files *storage.Store, decoder *photo.Decoder, pictures *picture.Gallery, cursors *page.Codec, policy verify.Policy,
) *Service {
	return &Service{store: s, storage: files, decoder: decoder, pictures: pictures, cursors: cursors, policy: policy}
}

// Submit is a photo that is handed in, with what the device claims.
type Submit struct {
	LandmarkID     uuid.UUID
	Location       geo.Point
	AccuracyMeters *float64
	CapturedAt     *time.Time
	// Photo is the file as it came; Size is in bytes.
	Photo io.ReadSeeker
	Size  int64
	// UploadID names the upload that the photo came by, which is used up.
	UploadID *uuid.UUID
}

// VerifyArgs are the job that decides an attempt.
type VerifyArgs struct {
	AttemptID uuid.UUID `json:"attempt_id"`
}

// Kind names the job.
func (VerifyArgs) Kind() string { return "verify_attempt" }

// Submit stores a photo and its attempt and enqueues the verification, in one
// transaction: once it returns, the attempt will be decided, whatever dies. A
// broken photo is refused here; a landmark that the caller has unlocked already
// is a conflict.
func (s *Service) Submit(ctx context.Context, in Submit) (*ent.Attempt, error) {
	caller, _ := authz.CallerFrom(ctx)
	if _, err := s.mayAttempt(ctx, s.store.Ent, caller.UserID, in.LandmarkID); err != nil {
		return nil, err
	}
	original, image, err := s.keep(ctx, caller.UserID, in)
	if err != nil {
		return nil, err
	}
	var created *ent.Attempt
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, err := s.mayAttempt(ctx, tx.Client, caller.UserID, in.LandmarkID)
		if err != nil {
			return err
		}
		if in.UploadID != nil {
			if err := upload.Use(ctx, tx, caller.UserID, *in.UploadID); err != nil {
				return err
			}
		}
		target := landmark.Target(found)
		created, err = tx.Attempt.Create().
			SetUserID(caller.UserID).SetLandmarkID(in.LandmarkID).SetLocation(in.Location).
			SetNillableAccuracyMeters(in.AccuracyMeters).SetNillableCapturedAt(in.CapturedAt).
			SetTarget(&target).SetPhoto(original).SetImage(image).Save(ctx)
		if err != nil {
			return fmt.Errorf("create the attempt: %w", err)
		}
		return tx.Enqueue(ctx, VerifyArgs{AttemptID: created.ID}, nil)
	})
	if err != nil {
		s.pictures.Undo(ctx, original.Key, err)
		s.pictures.Undo(ctx, image.Key, err)
		return nil, err
	}
	return created, nil
}

// mayAttempt returns the landmark that the user may attempt.
func (s *Service) mayAttempt(ctx context.Context, client *ent.Client, userID, landmarkID uuid.UUID) (*ent.Landmark, error) {
	found, err := client.Landmark.Query().Where(entlandmark.ID(landmarkID)).Only(ctx)
	if store.IsNotFound(err) {
		return nil, errLandmarkNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("find the landmark: %w", err)
	}
	unlocked, err := client.Unlock.Query().Where(entunlock.UserID(userID), entunlock.LandmarkID(landmarkID)).Exist(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the unlock: %w", err)
	}
	if unlocked {
		return nil, errAlreadyUnlocked
	}
	return found, nil
}

// keep stores the photo as it came and the picture that others may see. The photo is
// decoded here and not again: what does not decode is refused while its sender is still
// there to hear it, and the verification needs no more than the facts.
func (s *Service) keep(ctx context.Context, user uuid.UUID, in Submit) (*photo.Original, *photo.Image, error) {
	// Beneath the user, so that their purge finds it even if no row ever names it.
	folder := picture.UserPrefix(user) + "/attempts/" + mixin.NewID().String()
	var original *photo.Original
	var rendered *photo.Rendered
	err := s.decoder.Decode(ctx, user.String(), in.Photo, in.Size, func(decoded photo.Decoded) error {
		original = &photo.Original{
			Key: folder + "/original", ContentType: decoded.ContentType, Bytes: in.Size,
			Width: decoded.Width, Height: decoded.Height, Facts: &decoded.Facts,
			PerceptualHash: fmt.Sprintf("%016x", photo.PerceptualHash(decoded.Image)),
		}
		var err error
		rendered, err = photo.Render(decoded.Image, photo.MaxEdge)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if _, err := in.Photo.Seek(0, io.SeekStart); err != nil {
		return nil, nil, fmt.Errorf("rewind the photo: %w", err)
	}
	digest := sha256.New()
	if err := s.storage.Put(ctx, original.Key, io.TeeReader(in.Photo, digest), original.ContentType); err != nil {
		return nil, nil, err
	}
	original.SHA256 = hex.EncodeToString(digest.Sum(nil))
	image, err := s.pictures.Keep(ctx, folder, rendered)
	if err != nil {
		s.pictures.Undo(ctx, original.Key, err)
		return nil, nil, err
	}
	return original, image, nil
}

// Attempt returns an attempt that the caller may see, or [fault.NotFound].
func (s *Service) Attempt(ctx context.Context, id uuid.UUID) (*ent.Attempt, error) {
	found, err := s.store.Ent.Attempt.Query().Where(entattempt.ID(id)).Only(ctx)
	if store.IsNotFound(err) {
		return nil, errAttemptNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("find the attempt: %w", err)
	}
	return found, authz.RequireOwner(ctx, found.UserID, false)
}

// Photo opens an attempt's photo as others may see it; the caller closes it.
func (s *Service) Photo(ctx context.Context, id uuid.UUID) (*photo.Image, func(context.Context) (io.ReadCloser, error), error) {
	found, err := s.Attempt(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if found.Image == nil {
		return nil, nil, errNoPhoto
	}
	return found.Image, func(ctx context.Context) (io.ReadCloser, error) {
		return s.pictures.Open(ctx, found.Image)
	}, nil
}
