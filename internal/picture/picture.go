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

	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
)

// MaxEdge bounds the longer edge of a picture, in pixels.
const MaxEdge = 2048

// Gallery makes, keeps and hands out pictures.
type Gallery struct {
	storage *storage.Store
	decoder *photo.Decoder
}

// NewGallery makes a gallery on a storage.
func NewGallery(s *storage.Store, d *photo.Decoder) *Gallery {
	return &Gallery{storage: s, decoder: d}
}

// Add turns an uploaded file into a picture and stores it beneath prefix. The key
// tells the picture's bytes, so what is stored twice beneath the same prefix is
// one file: a prefix that is used again needs a caller who knows of all its uses.
func (g *Gallery) Add(ctx context.Context, prefix string, file io.ReadSeeker, size int64) (*photo.Image, error) {
	var made *photo.Image
	err := g.decoder.Decode(ctx, file, size, func(decoded photo.Decoded) error {
		var err error
		made, err = g.Render(ctx, prefix, decoded)
		return err
	})
	return made, err
}

// Render stores what is already decoded as a picture beneath prefix.
func (g *Gallery) Render(ctx context.Context, prefix string, decoded photo.Decoded) (*photo.Image, error) {
	data, size, err := photo.Render(decoded.Image, MaxEdge)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(data)
	made := &photo.Image{
		ContentType: "image/jpeg", Bytes: int64(len(data)),
		Width: size.X, Height: size.Y, SHA256: hex.EncodeToString(digest[:]),
	}
	made.Key = fmt.Sprintf("%s/%s.jpg", prefix, made.SHA256[:32])
	if err := g.storage.Put(ctx, made.Key, bytes.NewReader(data), made.ContentType); err != nil {
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

// Undo deletes the file of a picture that was just made, after the change that was to
// refer to it has failed; but not when that may have been committed all the same. A
// failure leaves an orphan and is logged: it is no reason to fail the request.
func (g *Gallery) Undo(ctx context.Context, made *photo.Image, cause error) {
	if errors.Is(cause, store.ErrCommit) {
		slog.WarnContext(ctx, "picture may be left behind", "key", made.Key, "error", cause)
		return
	}
	if err := g.storage.Delete(ctx, made.Key); err != nil {
		slog.WarnContext(ctx, "picture left behind", "key", made.Key, "error", err)
	}
}
