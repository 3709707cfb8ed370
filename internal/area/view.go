package area

import (
	"context"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/cache"
)

var views = cache.Views("area")

// AnyWord is what stands for all areas in the cache's generations.
const AnyWord = "areas"

// Word is what stands for an area in the cache's generations.
func Word(id uuid.UUID) string { return "a" + id.String() }

// View returns a living area as it is shown, or [fault.NotFound].
func (s *Service) View(ctx context.Context, id uuid.UUID) (cache.View, error) {
	load := func(ctx context.Context) (cache.View, error) {
		found, err := s.Get(ctx, id)
		if err != nil {
			return cache.View{}, err
		}
		return cache.NewView(found, found.UpdatedAt, s.render)
	}
	word := Word(id)
	if !s.cache.Note([]string{word}) {
		return load(ctx)
	}
	return cache.Get(ctx, s.cache, views, word, word, load)
}
