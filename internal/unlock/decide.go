package unlock

import (
	"bytes"
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"io"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entattempt "github.com/picaspot/picaspot/ent/attempt"
	"github.com/picaspot/picaspot/ent/mixin"
	entunlock "github.com/picaspot/picaspot/ent/unlock"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/verify"
	"github.com/picaspot/picaspot/internal/webhook"
)

// Decide verifies a pending attempt and records the verdict. It is the work of
// a [VerifyArgs] job and may run any number of times: an attempt that is
// decided already stays as it is, and the unlock appears once.
func (s *Service) Decide(ctx context.Context, id uuid.UUID) error {
	// A landmark that was deleted since is still the one that the photo was taken for.
	attempt, err := s.store.Ent.Attempt.Query().Where(entattempt.ID(id)).
		WithLandmark().Only(mixin.WithDeleted(ctx))
	if store.IsNotFound(err) {
		// It was purged, with its files but for what a try before this one left.
		return s.storage.DeleteBeneath(ctx, pictures(id))
	}
	if err != nil {
		return fmt.Errorf("find the attempt: %w", err)
	}
	if attempt.Status != entattempt.StatusPending {
		return nil
	}
	facts, image, err := s.processed(ctx, attempt)
	if err != nil {
		return err
	}
	verdict := verify.Run(evidence(attempt, facts), s.policy)
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return record(ctx, tx, attempt, verdict, image)
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errPurged):
		return s.storage.DeleteBeneath(ctx, pictures(id))
	}
	if attempt.Image == nil { // It was made here, for an attempt that an earlier release took in.
		s.pictures.Undo(ctx, image.Key, err)
	}
	if errors.Is(err, errDecided) {
		return nil
	}
	return err
}

// What another process may do to an attempt while it is being decided.
var (
	errPurged  = errors.New("the attempt was purged")
	errDecided = errors.New("the attempt was decided")
)

// pictures is where the pictures of an attempt are kept.
func pictures(attempt uuid.UUID) string { return "attempts/" + attempt.String() }

// processed returns an attempt's facts and picture. Both were made when the photo was
// handed in, but for attempts that an earlier release took in.
func (s *Service) processed(ctx context.Context, attempt *ent.Attempt) (photo.Facts, *photo.Image, error) {
	if attempt.Photo.Facts != nil && attempt.Image != nil {
		return *attempt.Photo.Facts, attempt.Image, nil
	}
	body, _, _, err := s.storage.Get(ctx, attempt.Photo.Key)
	if err != nil {
		return photo.Facts{}, nil, err
	}
	data, err := io.ReadAll(body)
	if closeErr := body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return photo.Facts{}, nil, fmt.Errorf("read the photo: %w", err)
	}
	var facts photo.Facts
	var rendered *photo.Rendered
	err = s.decoder.Decode(ctx, "", bytes.NewReader(data), int64(len(data)), func(decoded photo.Decoded) error {
		facts = decoded.Facts
		rendered, err = photo.Render(decoded.Image, photo.MaxEdge)
		return err
	})
	if err != nil {
		return photo.Facts{}, nil, err
	}
	// Each try has a file of its own: a key is never written twice, so a file that is old
	// and that no row names will not be named any more.
	image, err := s.pictures.Keep(ctx, pictures(attempt.ID)+"/"+mixin.NewID().String(), rendered)
	return facts, image, err
}

func evidence(attempt *ent.Attempt, facts photo.Facts) verify.Evidence {
	times := make([]verify.Timestamp, len(facts.Times))
	for i, stated := range facts.Times {
		times[i] = verify.Timestamp(stated)
	}
	target := attempt.Target
	if target == nil { // The release before has stored it.
		now := landmark.Target(attempt.Edges.Landmark)
		target = &now
	}
	return verify.Evidence{
		SubmittedAt:    attempt.CreatedAt,
		Claimed:        attempt.Location,
		AccuracyMeters: attempt.AccuracyMeters,
		CapturedAt:     attempt.CapturedAt,
		Photo:          verify.PhotoFacts{Position: facts.Position, Times: times},
		Target:         *target,
	}
}

// record writes the verdict and the unlock, unless there is one. It returns
// [errDecided] or [errPurged] when the attempt is not pending any more.
func record(ctx context.Context, tx *store.Tx, attempt *ent.Attempt, verdict verify.Verdict, image *photo.Image) error {
	decided, err := tx.Attempt.Update().
		Where(entattempt.ID(attempt.ID), entattempt.StatusEQ(entattempt.StatusPending)).
		SetStatus(entattempt.Status(verdict.Status)).SetScore(verdict.Score).SetChecks(verdict.Checks).
		SetImage(image).SetDecidedAt(mixin.Now()).Save(ctx)
	if err != nil {
		return fmt.Errorf("record the verdict: %w", err)
	}
	if decided == 0 {
		return whyNotPending(ctx, tx, attempt.ID)
	}
	if err := announce(ctx, tx, attempt.ID); err != nil {
		return err
	}
	err = webhook.Emit(ctx, tx, webhook.AttemptDecided, webhook.Attempt{
		ID: attempt.ID, UserID: attempt.UserID, LandmarkID: attempt.LandmarkID, Status: string(verdict.Status),
	})
	if err != nil || verdict.Status != verify.Succeeded {
		return err
	}
	err = tx.Unlock.Create().
		SetUserID(attempt.UserID).SetLandmarkID(attempt.LandmarkID).SetAttemptID(attempt.ID).
		OnConflict(
			sql.ConflictColumns(entunlock.FieldUserID, entunlock.FieldLandmarkID),
			sql.ConflictWhere(sql.IsNull(entunlock.FieldDeletedAt)),
			sql.DoNothing(),
		).Exec(ctx)
	switch {
	case errors.Is(err, stdsql.ErrNoRows): // Nothing to insert is how ent says that the unlock is there already.
		return nil
	case err != nil:
		return fmt.Errorf("record the unlock: %w", err)
	}
	return webhook.Emit(ctx, tx, webhook.UnlockCreated, webhook.Unlock{
		UserID: attempt.UserID, LandmarkID: attempt.LandmarkID, AttemptID: attempt.ID,
	})
}

// whyNotPending returns [errDecided], or [errPurged] when there is no such attempt.
func whyNotPending(ctx context.Context, tx *store.Tx, id uuid.UUID) error {
	exists, err := tx.Attempt.Query().Where(entattempt.ID(id)).Exist(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("find the attempt: %w", err)
	case !exists:
		return errPurged
	}
	return errDecided
}
