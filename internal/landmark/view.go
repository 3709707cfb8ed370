package landmark

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/view"
)

var views = view.Kind("landmark")

// AnyWord is what stands for all landmarks in the cache's generations.
const AnyWord = "landmarks"

// Word is what stands for a landmark in the cache's generations.
func Word(id uuid.UUID) string { return "l" + id.String() }

// viewSQL is a look-up by primary key. It stands for ent's own, which takes longer
// than the database does.
const viewSQL = "-- name: landmark_view\nSELECT " + columns + " FROM landmarks l WHERE l.id = $1 AND l.deleted_at IS NULL"

// View returns a living landmark as it is shown, or [fault.NotFound].
func (s *Service) View(ctx context.Context, id uuid.UUID) (view.View, error) {
	load := func(ctx context.Context) (view.View, error) {
		var found ent.Landmark
		err := s.store.Pool.QueryRow(ctx, viewSQL, id).Scan(scanned(&found)...)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return view.View{}, errNotFound
		case err != nil:
			return view.View{}, fmt.Errorf("view a landmark: %w", err)
		}
		return view.Of(&found, found.UpdatedAt, s.render)
	}
	word := Word(id)
	if !s.cache.Note([]string{word}) {
		return load(ctx)
	}
	return cache.Get(ctx, s.cache, views, word, word, load)
}
