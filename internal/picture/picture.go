// Package picture keeps the pictures that others may fetch: re-encoded, upright
// and without metadata, so that no picture shows where its owner lives.
package picture

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
)

// UserPrefix is what the keys of the files begin with that belong to a user alone; a
// slash follows. The purge of the user removes all that is beneath it.
func UserPrefix(user uuid.UUID) string { return "users/" + user.String() }

// Gallery makes, keeps and hands out pictures.
type Gallery struct {
	storage *storage.Store
	decoder *photo.Decoder
}

// NewGallery makes a gallery on a storage.
func NewGallery(s *storage.Store, d *photo.Decoder) *Gallery {
	return &Gallery{storage: s, decoder: d}
}

// Add turns a file that the caller uploaded into a picture and stores it beneath
// prefix. The key tells the picture's bytes, so what is stored twice beneath the same
// prefix is one file: a prefix that is used again needs a caller who knows of all its
// uses. The errors are those of [photo.Decoder.Decode] and of the storage.
func (g *Gallery) Add(ctx context.Context, prefix string, file io.ReadSeeker, size int64) (*photo.Image, error) {
	caller, _ := authz.CallerFrom(ctx)
	var rendered *photo.Rendered
	err := g.decoder.Decode(ctx, caller.UserID.String(), file, size, func(decoded photo.Decoded) error {
		var err error
		rendered, err = photo.Render(decoded.Image, photo.MaxEdge)
		return err
	})
	if err != nil {
		return nil, err
	}
	return g.Keep(ctx, prefix, rendered)
}

// Keep stores a rendered picture beneath prefix.
func (g *Gallery) Keep(ctx context.Context, prefix string, rendered *photo.Rendered) (*photo.Image, error) {
	digest := sha256.Sum256(rendered.JPEG)
	made := &photo.Image{
		ContentType: photo.JPEG, Bytes: int64(len(rendered.JPEG)),
		Width: rendered.Size.X, Height: rendered.Size.Y, SHA256: hex.EncodeToString(digest[:]),
	}
	made.Key = fmt.Sprintf("%s/%s.jpg", prefix, made.SHA256[:32])
	if err := g.storage.Put(ctx, made.Key, bytes.NewReader(rendered.JPEG), made.ContentType); err != nil {
		return nil, err
	}
	return made, nil
}

// Open returns the bytes of a picture; the caller closes them.
func (g *Gallery) Open(ctx context.Context, image *photo.Image) (io.ReadCloser, error) {
	body, _, _, err := g.storage.Get(ctx, image.Key)
	return body, err
}

// Discard has the file of a picture removed once the transaction commits, which takes
// away what refers to it, and never if it does not. Nil is no picture.
func Discard(ctx context.Context, tx *store.Tx, image *photo.Image) error {
	if image == nil {
		return nil
	}
	return tx.Enqueue(ctx, storage.RemovalArgs{Keys: []string{image.Key}}, nil)
}

// Undo deletes a file that was just stored, after the change that was to name it has
// failed with cause; but not when that change may have been committed. What stays
// without a row is removed by the sweep of the storage, so a failure is no reason to
// fail the request.
func (g *Gallery) Undo(ctx context.Context, key string, cause error) {
	ctx = context.WithoutCancel(ctx)
	if errors.Is(cause, store.ErrCommit) {
		slog.WarnContext(ctx, "file kept: the outcome of the commit is unknown", "key", key, "error", cause)
		return
	}
	if err := g.storage.Delete(ctx, key); err != nil {
		slog.WarnContext(ctx, "file left behind for the sweep", "key", key, "error", err)
	}
}
