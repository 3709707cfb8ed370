package area

import (
	"context"
	"io"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
)

var errNoImage = fault.New(fault.NotFound, "not_found", "The area has no image.")

// Image opens an area's image; the caller closes it.
func (s *Service) Image(ctx context.Context, id uuid.UUID) (*photo.Image, func(context.Context) (io.ReadCloser, error), error) {
	found, err := s.Get(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if found.Image == nil {
		return nil, nil, errNoImage
	}
	return found.Image, func(ctx context.Context) (io.ReadCloser, error) {
		return s.pictures.Open(ctx, found.Image)
	}, nil
}

// SetImage gives an area an image, in place of the one that it has.
func (s *Service) SetImage(ctx context.Context, id uuid.UUID, file io.ReadSeeker, size int64) (*ent.Area, error) {
	// Asked before the work of decoding, and again with the row locked.
	found, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := authz.RequireOwner(ctx, found.CreatedBy, true); err != nil {
		return nil, err
	}
	// Each upload has a file of its own: one shared with the same picture sent at
	// the same time would be gone for both once one of them is replaced.
	made, err := s.pictures.Add(ctx, "areas/"+id.String()+"/"+mixin.NewID().String(), file, size)
	if err != nil {
		return nil, err
	}
	changed, err := s.replaceImage(ctx, id, made)
	if err != nil {
		s.pictures.Undo(ctx, made.Key, err)
	}
	return changed, err
}

// ClearImage removes an area's image, if it has one.
func (s *Service) ClearImage(ctx context.Context, id uuid.UUID) error {
	_, err := s.replaceImage(ctx, id, nil)
	return err
}

func (s *Service) replaceImage(ctx context.Context, id uuid.UUID, made *photo.Image) (*ent.Area, error) {
	return s.change(ctx, id, version.Precondition{}, func(ctx context.Context, tx *store.Tx, found *ent.Area, update *ent.AreaUpdateOne) error {
		if err := picture.Discard(ctx, tx, found.Image); err != nil {
			return err
		}
		switch {
		case made != nil:
			update.SetImage(made)
		case found.Image != nil:
			update.ClearImage()
		}
		return nil
	}, None)
}
