package area

import (
	"context"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/view"
)

var views = view.Kind("area")

// AnyWord is what stands for all areas in the cache's generations.
const AnyWord = "areas"

// Word is what stands for an area in the cache's generations.
func Word(id uuid.UUID) string { return "a" + id.String() }

// View returns a living area as it is shown, or [fault.NotFound].
func (s *Service) View(ctx context.Context, id uuid.UUID) (view.View, error) {
	load := func(ctx context.Context) (view.View, error) {
		found, err := s.Get(ctx, id)
		if err != nil {
			return view.View{}, err
		}
		return view.Of(found, found.UpdatedAt, s.render)
	}
	word := Word(id)
	if !s.cache.Note([]string{word}) {
		return load(ctx)
	}
	return cache.Get(ctx, s.cache, views, word, word, load)
}
