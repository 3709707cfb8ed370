package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	entupload "github.com/picaspot/picaspot/ent/upload"
	entpart "github.com/picaspot/picaspot/ent/uploadpart"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/object"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/store"
)

const (
	// partBytes is the size at which a part is kept while the next one is read: what a
	// process that dies in between loses, and what a request takes of the memory.
	partBytes = 512 << 10
	partType  = "application/octet-stream"
	// keepTimeout bounds the keeping of a part, whose sender may be gone by then.
	keepTimeout = 20 * time.Second
)

// Append keeps what r has as the bytes of an upload from an offset on, and returns the
// upload as it is then. What came before an error of r is kept. The faults are those of
// [Service.Get], and upload_offset, upload_parts, upload_too_long.
func (s *Service) Append(ctx context.Context, id uuid.UUID, user *uuid.UUID, offset int64, r io.Reader) (*ent.Upload, error) {
	u, err := s.Get(ctx, id, user)
	if err != nil {
		return nil, err
	}
	if u.Received != offset {
		return nil, errOffset
	}
	buffer := make([]byte, min(partBytes, u.Bytes-offset))
	for {
		n, err := io.ReadFull(r, buffer[:min(partBytes, u.Bytes-u.Received)])
		isLast := u.Received+int64(n) == u.Bytes
		if err == nil && isLast {
			if err = ended(r); errors.Is(err, errTooLong) {
				return nil, err
			}
		}
		if n > 0 {
			if kept := s.keep(ctx, u, buffer[:n]); kept != nil {
				return nil, kept
			}
		}
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF: //nolint:errorlint // What io.ReadFull says itself; a cut body has another error.
			return u, nil
		case err != nil:
			return nil, err
		case isLast:
			return u, nil
		}
	}
}

// ended reports with errTooLong that there is more to read.
func ended(r io.Reader) error {
	var one [1]byte
	n, err := io.ReadFull(r, one[:])
	switch {
	case n > 0:
		return errTooLong
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// keep stores a part at the end of an upload, and moves the end. Of two that are kept at
// the same place the first one is.
func (s *Service) keep(ctx context.Context, u *ent.Upload, data []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	size := int64(len(data))
	file := &object.Ref{Key: fmt.Sprintf("%s/uploads/%s/%s", picture.UserPrefix(u.UserID), u.ID, mixin.NewID()), Bytes: size}
	if err := s.files.Put(ctx, file.Key, bytes.NewReader(data), partType); err != nil {
		return err
	}
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		moved, err := tx.Upload.Update().
			Where(entupload.ID(u.ID), entupload.Received(u.Received), entupload.UsedAtIsNil(), entupload.PartsLT(maxParts)).
			AddReceived(size).AddParts(1).Save(ctx)
		if err != nil {
			return fmt.Errorf("move the end of the upload: %w", err)
		}
		if moved == 0 {
			return s.refusal(ctx, tx, u)
		}
		_, err = tx.UploadPart.Create().SetUploadID(u.ID).SetPosition(u.Received).SetFile(file).Save(ctx)
		if err != nil {
			return fmt.Errorf("create the part: %w", err)
		}
		return nil
	})
	if err != nil {
		s.pictures.Undo(ctx, file.Key, err)
		return err
	}
	u.Received += size
	return nil
}

// refusal tells why a part was not taken.
func (s *Service) refusal(ctx context.Context, tx *store.Tx, u *ent.Upload) error {
	found, err := tx.Upload.Get(ctx, u.ID)
	switch {
	case store.IsNotFound(err):
		return errNotFound
	case err != nil:
		return fmt.Errorf("find the upload: %w", err)
	case found.Received == u.Received && found.Parts >= maxParts:
		return errParts
	default:
		return errOffset
	}
}

// Open returns the whole file of the caller's upload, which they close. The faults
// name the field upload_id: upload_unknown, upload_used, upload_incomplete.
func (s *Service) Open(ctx context.Context, id uuid.UUID) (io.ReadCloser, error) {
	caller, _ := authz.CallerFrom(ctx)
	found, err := s.Get(ctx, id, &caller.UserID)
	if err != nil {
		return nil, asField(err)
	}
	if found.Received != found.Bytes {
		return nil, errIncomplete
	}
	parts, err := s.store.Ent.UploadPart.Query().Where(entpart.UploadID(id)).Order(ent.Asc(entpart.FieldPosition)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the parts of the upload: %w", err)
	}
	if len(parts) == 0 {
		return nil, errUsedUp // It was used since it was found.
	}
	return &whole{ctx: ctx, service: s, parts: parts}, nil
}

// asField points a fault of [Service.Get] at the field that names the upload.
func asField(err error) error {
	switch {
	case errors.Is(err, errNotFound):
		return errUnknown
	case errors.Is(err, errUsed):
		return errUsedUp
	default:
		return err
	}
}

// whole reads the parts of an upload one after the other.
type whole struct {
	ctx     context.Context //nolint:containedctx // It is that of the reading.
	service *Service
	parts   []*ent.UploadPart
	body    io.ReadCloser
	left    int64
}

// Read implements [io.Reader].
func (w *whole) Read(p []byte) (int, error) {
	for {
		if w.body == nil {
			if len(w.parts) == 0 {
				return 0, io.EOF
			}
			if err := w.next(); err != nil {
				return 0, err
			}
		}
		n, err := w.body.Read(p)
		w.left -= int64(n)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if w.left != 0 {
			return n, errCutShort
		}
		if err := w.Close(); err != nil || n > 0 {
			return n, err
		}
	}
}

// next opens the next part. One that is gone was used while it was read.
func (w *whole) next() error {
	file := w.parts[0].File
	body, _, _, err := w.service.files.Get(w.ctx, file.Key)
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			caller, _ := authz.CallerFrom(w.ctx)
			if _, gone := w.service.Get(w.ctx, w.parts[0].UploadID, &caller.UserID); gone != nil {
				return asField(gone)
			}
			// The row names a file that is not there, which is no fault of the caller's.
			return fmt.Errorf("part of an upload: %v", err) //nolint:errorlint // Its kind would be shown.
		}
		return err
	}
	w.body, w.left, w.parts = body, file.Bytes, w.parts[1:]
	return nil
}

// Close closes the part that is open.
func (w *whole) Close() error {
	if w.body == nil {
		return nil
	}
	err := w.body.Close()
	w.body = nil
	return err
}

// Use marks an upload as used by what the transaction creates, and has its parts removed.
// Of two that use it at once one gets the fault upload_used.
func Use(ctx context.Context, tx *store.Tx, user, id uuid.UUID) error {
	now := mixin.Now()
	n, err := tx.Upload.Update().
		Where(entupload.ID(id), entupload.UserID(user), entupload.UsedAtIsNil(), entupload.ExpiresAtGT(now)).
		SetUsedAt(now).Save(ctx)
	if err != nil {
		return fmt.Errorf("use the upload: %w", err)
	}
	if n == 1 {
		return removeParts(ctx, tx, id)
	}
	isUsed, err := tx.Upload.Query().Where(entupload.ID(id), entupload.UserID(user), entupload.UsedAtNotNil()).Exist(ctx)
	if err != nil {
		return fmt.Errorf("find the upload: %w", err)
	}
	if isUsed {
		return errUsedUp
	}
	return errUnknown
}
