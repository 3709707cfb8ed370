// Package upload takes files in parts, so that one over a poor network goes on where it
// was interrupted: tus 1.0 (https://tus.io/protocols/resumable-upload), its core and its
// expiration and termination. A part is a file of the storage and a row, so each replica
// can go on with what another one began.
package upload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	entupload "github.com/picaspot/picaspot/ent/upload"
	entpart "github.com/picaspot/picaspot/ent/uploadpart"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
)

const (
	// Lifetime is how long an upload can be continued and used.
	Lifetime = 24 * time.Hour
	// MaxOpen is how many uploads a user has that are neither used nor expired.
	MaxOpen = 10
	// maxParts bounds the parts of an upload, whose size its sender chooses.
	maxParts   = 1000
	entityType = "upload"
)

var (
	errNotFound = fault.New(fault.NotFound, "not_found", "There is no such upload, or it has expired.")
	errUsed     = fault.New(fault.Conflict, "upload_used", "An attempt has used the upload.")
	errLimit    = fault.New(fault.Conflict, "upload_limit",
		fmt.Sprintf("You have %d uploads, which is as many as there can be. Use one, give one up, or wait until one expires.", MaxOpen))
	errOffset     = fault.New(fault.Conflict, "upload_offset", "The part does not begin where the upload ends. Ask with HEAD where that is.")
	errParts      = fault.New(fault.Conflict, "upload_parts", fmt.Sprintf("The upload has %d parts, which is as many as it can have. Begin another one.", maxParts))
	errTooLong    = fault.New(fault.TooLarge, "upload_too_long", "The part goes beyond the size that the upload was begun with.")
	errUnknown    = named(fault.New(fault.Unprocessable, "upload_unknown", "You have no such upload, or it has expired."))
	errIncomplete = named(fault.New(fault.Unprocessable, "upload_incomplete", "The whole file has not arrived yet."))
	errUsedUp     = named(errUsed)
	errCutShort   = errors.New("a part of the upload is shorter than its row says")
)

// named points at the field of an attempt that names an upload.
func named(f *fault.Error) *fault.Error {
	return f.With(fault.Field{Pointer: "/upload_id", Code: f.Code, Message: f.Message})
}

// Service looks after uploads. It may be used concurrently.
type Service struct {
	store    *store.Store
	files    *storage.Store
	pictures *picture.Gallery
	maxBytes int64
}

// NewService makes the service; files have maxBytes at most.
func NewService(s *store.Store, files *storage.Store, pictures *picture.Gallery, maxBytes int64) *Service {
	return &Service{store: s, files: files, pictures: pictures, maxBytes: maxBytes}
}

// Create begins an upload of the caller's, of a file of a size in bytes. The fault is
// photo_too_large or upload_limit.
func (s *Service) Create(ctx context.Context, bytes int64) (made *ent.Upload, err error) {
	if bytes > s.maxBytes {
		return nil, fault.New(fault.TooLarge, "photo_too_large",
			fmt.Sprintf("The photo has %.1f MB; at most %.1f MB are taken.", float64(bytes)/1e6, float64(s.maxBytes)/1e6))
	}
	caller, _ := authz.CallerFrom(ctx)
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// Uploads that a user begins at once are counted one after the other.
		if _, err := tx.User.Query().Where(entuser.ID(caller.UserID)).ForUpdate().OnlyID(ctx); err != nil {
			return fmt.Errorf("lock the user: %w", err)
		}
		open, err := tx.Upload.Query().Where(
			entupload.UserID(caller.UserID), entupload.ExpiresAtGT(mixin.Now()), entupload.UsedAtIsNil(),
		).Count(ctx)
		if err != nil {
			return fmt.Errorf("count the uploads: %w", err)
		}
		if open >= MaxOpen {
			return errLimit
		}
		made, err = tx.Upload.Create().SetUserID(caller.UserID).SetBytes(bytes).
			SetExpiresAt(mixin.Now().Add(Lifetime).Truncate(time.Second)).Save(ctx)
		if err != nil {
			return fmt.Errorf("create the upload: %w", err)
		}
		return audit.Insert(ctx, tx, audit.Event{
			Action: audit.Create, EntityType: entityType, EntityID: made.ID,
			Changes: map[string]audit.Change{"bytes": {After: []byte(strconv.FormatInt(bytes, 10))}},
		})
	})
	return made, err
}

// Get returns an upload that is open: a [fault.NotFound] if it has expired, is not the
// user's, or its user is suspended or gone; a conflict if it was used. The user is nil where the address of the upload
// was signed.
func (s *Service) Get(ctx context.Context, id uuid.UUID, user *uuid.UUID) (*ent.Upload, error) {
	found, err := s.store.Ent.Upload.Query().Where(
		entupload.ID(id), entupload.ExpiresAtGT(mixin.Now()),
		// A signed address ends with the account, as a session does.
		entupload.HasUserWith(entuser.StatusEQ(entuser.StatusActive), entuser.DeletedAtIsNil()),
	).Only(ctx)
	switch {
	case store.IsNotFound(err) || err == nil && user != nil && *user != found.UserID:
		return nil, errNotFound
	case err != nil:
		return nil, fmt.Errorf("find the upload: %w", err)
	case found.UsedAt != nil:
		return nil, errUsed
	}
	return found, nil
}

// Delete gives an upload up. The faults are those of [Service.Get].
func (s *Service) Delete(ctx context.Context, id uuid.UUID, user *uuid.UUID) error {
	found, err := s.Get(ctx, id, user)
	if err != nil {
		return err
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// The row is locked first, so that no part comes that the removal does not know.
		locked, err := tx.Upload.Query().Where(entupload.ID(id)).ForUpdate().Only(ctx)
		switch {
		case store.IsNotFound(err):
			return errNotFound
		case err != nil:
			return fmt.Errorf("lock the upload: %w", err)
		case locked.UsedAt != nil:
			return errUsed
		}
		if err := removeParts(ctx, tx, id); err != nil {
			return err
		}
		if err := tx.Upload.DeleteOneID(id).Exec(ctx); err != nil {
			return fmt.Errorf("delete the upload: %w", err)
		}
		return audit.Insert(ctx, tx, audit.Event{Action: audit.Delete, EntityType: entityType, EntityID: id, Actor: found.UserID})
	})
}

// removeParts forgets the parts of uploads, and has their files removed once the
// transaction commits.
func removeParts(ctx context.Context, tx *store.Tx, uploads ...uuid.UUID) error {
	parts, err := tx.UploadPart.Query().Where(entpart.UploadIDIn(uploads...)).All(ctx)
	if err != nil {
		return fmt.Errorf("find the parts of uploads: %w", err)
	}
	if len(parts) == 0 {
		return nil
	}
	var removal storage.RemovalArgs
	for _, part := range parts {
		removal.Keys = append(removal.Keys, part.File.Key)
	}
	if _, err := tx.UploadPart.Delete().Where(entpart.UploadIDIn(uploads...)).Exec(ctx); err != nil {
		return fmt.Errorf("delete the parts of uploads: %w", err)
	}
	return tx.Enqueue(ctx, removal, nil)
}

// cleaned bounds how many uploads one transaction removes.
const cleaned = 100

// CleanUpArgs are the periodic job that removes uploads which have expired.
type CleanUpArgs struct{}

// Kind names the job.
func (CleanUpArgs) Kind() string { return "upload_clean_up" }

// CleanUp is the work of a [CleanUpArgs] job.
func (s *Service) CleanUp(ctx context.Context) error {
	for {
		n, err := s.removeExpired(ctx)
		if err != nil || n < cleaned {
			return err
		}
	}
}

// removeExpired is served by upload_expires_at.
func (s *Service) removeExpired(ctx context.Context) (n int, err error) {
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		ids, err := tx.Upload.Query().Where(entupload.ExpiresAtLTE(mixin.Now())).
			Order(ent.Asc(entupload.FieldExpiresAt)).Limit(cleaned).ForUpdate().IDs(ctx)
		if err != nil {
			return fmt.Errorf("find uploads that have expired: %w", err)
		}
		if n = len(ids); n == 0 {
			return nil
		}
		if err := removeParts(ctx, tx, ids...); err != nil {
			return err
		}
		_, err = tx.Upload.Delete().Where(entupload.IDIn(ids...)).Exec(ctx)
		return err
	})
	return n, err
}
