package landmark

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/predicate"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/search"
)

// exportBatch is how many landmarks [Service.Each] holds at a time.
const exportBatch = 1000

// Exported is a landmark and where it stands in the tree of areas.
type Exported struct {
	*ent.Landmark
	// AreaPath has the names of the areas from the top of the tree down to its own.
	AreaPath []string
}

// Each calls fn with all living landmarks that a filter leaves, the oldest first, in
// batches, with the names of their areas: what is held does not grow with their number,
// and neither a connection nor a snapshot is held while fn works. So a landmark that is
// there all the while comes once, as it was at some moment; one that is created, changed
// or deleted meanwhile may come or not. It ends with fn's error or the context's.
func (s *Service) Each(ctx context.Context, f Filter, fn func([]Exported) error) error {
	next, err := s.batches(ctx, f)
	if err != nil {
		return err
	}
	for {
		batch, err := next(ctx)
		if err != nil || len(batch) == 0 {
			return err
		}
		exported, err := s.withAreas(ctx, batch)
		if err != nil {
			return err
		}
		if err := fn(exported); err != nil {
			return err
		}
	}
}

// batches returns what reads the next batch; an empty one is the end. Each is read by
// the same indexes as the list's pages.
func (s *Service) batches(ctx context.Context, f Filter) (next func(context.Context) ([]*ent.Landmark, error), err error) {
	where, err := s.where(ctx, f)
	if err != nil {
		return nil, err
	}
	if f.Search != "" {
		return s.found(f.Search, where), nil
	}
	var last *ent.Landmark
	return func(ctx context.Context) ([]*ent.Landmark, error) {
		query := s.store.Ent.Landmark.Query().Where(where...)
		if last != nil {
			query.Where(func(s *sql.Selector) {
				s.Where(sql.CompositeGT([]string{s.C(entlandmark.FieldCreatedAt), s.C(entlandmark.FieldID)}, last.CreatedAt, last.ID))
			})
		}
		batch, err := query.Order(entlandmark.ByCreatedAt(), entlandmark.ByID()).Limit(exportBatch).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("export landmarks: %w", err)
		}
		if len(batch) > 0 {
			last = batch[len(batch)-1]
		}
		return batch, nil
	}, nil
}

// found reads what a search finds. The ids come from the search, many at a time, and the
// landmarks by them, since each question to the search costs as much as all matches do.
func (s *Service) found(text string, where []predicate.Landmark) func(context.Context) ([]*ent.Landmark, error) {
	walk := search.Search{Pool: s.store.Pool, Table: search.Landmarks, Text: text, Where: search.Predicates(where)}.Walk()
	var ids []uuid.UUID
	return func(ctx context.Context) (batch []*ent.Landmark, err error) {
		// A batch may be empty before the last one, when what was found has gone since.
		for len(batch) == 0 {
			if len(ids) == 0 {
				if ids, err = walk.Next(ctx); err != nil || len(ids) == 0 {
					return nil, err
				}
			}
			n := min(len(ids), exportBatch)
			batch, err = s.store.Ent.Landmark.Query().Where(entlandmark.IDIn(ids[:n]...)).
				Order(entlandmark.ByCreatedAt(), entlandmark.ByID()).All(ctx)
			if err != nil {
				return nil, fmt.Errorf("export landmarks: %w", err)
			}
			ids = ids[n:]
		}
		return batch, nil
	}
}

// withAreas reads the areas of landmarks along. It leaves out landmarks whose area was
// deleted since they were read, since they were deleted with it.
func (s *Service) withAreas(ctx context.Context, landmarks []*ent.Landmark) ([]Exported, error) {
	var ids []uuid.UUID
	seen := map[uuid.UUID]bool{}
	for _, l := range landmarks {
		if !seen[l.AreaID] {
			seen[l.AreaID] = true
			ids = append(ids, l.AreaID)
		}
	}
	paths, err := area.Paths(ctx, s.store.Ent, ids)
	if err != nil {
		return nil, fmt.Errorf("export landmarks: %w", err)
	}
	kept := make([]Exported, 0, len(landmarks))
	for _, l := range landmarks {
		if path := paths[l.AreaID]; len(path) > 0 {
			kept = append(kept, Exported{Landmark: l, AreaPath: path})
		}
	}
	return kept, nil
}
