package landmark

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/internal/page"
)

// exportBatch is how many landmarks [Service.Each] holds at a time.
const exportBatch = 1000

// Each calls fn with all living landmarks that a filter leaves, the oldest first, in
// batches, with the names of their areas: what is held does not grow with their number,
// and neither a connection nor a snapshot is held while fn works. So a landmark that is
// there all the while comes once, as it was at some moment; one that is created, changed
// or deleted meanwhile may come or not. It ends with fn's error or the context's.
func (s *Service) Each(ctx context.Context, f Filter, fn func([]*ent.Landmark) error) error {
	next, err := s.batches(ctx, f)
	if err != nil {
		return err
	}
	for {
		batch, err := next(ctx)
		if err != nil || len(batch) == 0 {
			return err
		}
		if batch, err = s.withAreas(ctx, batch); err != nil {
			return err
		}
		if err := fn(batch); err != nil {
			return err
		}
	}
}

// batches returns what reads the next batch; an empty one is the end. Each is read by
// the same indexes as the list's pages.
func (s *Service) batches(ctx context.Context, f Filter) (next func(context.Context) ([]*ent.Landmark, error), err error) {
	if f.Search != "" {
		return s.pages(f), nil
	}
	where, err := s.where(ctx, f)
	if err != nil {
		return nil, err
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

// pages reads what a search finds as the list would, page by page.
func (s *Service) pages(f Filter) func(context.Context) ([]*ent.Landmark, error) {
	cursor := new(string)
	return func(ctx context.Context) ([]*ent.Landmark, error) {
		// A page may be empty before the last one, when what was found has gone since.
		for cursor != nil {
			found, err := s.List(ctx, f, page.Params{Cursor: cursor, Size: page.MaxSize, SortBy: entlandmark.FieldCreatedAt, SortOrder: page.Asc})
			if err != nil {
				return nil, err
			}
			cursor = found.Keyset.NextCursor
			if len(found.Items()) > 0 {
				return found.Items(), nil
			}
		}
		return nil, nil
	}
}

// withAreas reads the names of the landmarks' areas along. It leaves out landmarks whose
// area was deleted since they were read, since they were deleted with it.
func (s *Service) withAreas(ctx context.Context, landmarks []*ent.Landmark) ([]*ent.Landmark, error) {
	var ids []uuid.UUID
	areas := map[uuid.UUID]*ent.Area{}
	for _, l := range landmarks {
		if _, seen := areas[l.AreaID]; !seen {
			areas[l.AreaID] = nil
			ids = append(ids, l.AreaID)
		}
	}
	found, err := s.store.Ent.Area.Query().Where(entarea.IDIn(ids...)).Select(entarea.FieldID, entarea.FieldName).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("export landmarks: read their areas: %w", err)
	}
	for _, a := range found {
		areas[a.ID] = a
	}
	kept := landmarks[:0]
	for _, l := range landmarks {
		if l.Edges.Area = areas[l.AreaID]; l.Edges.Area != nil {
			kept = append(kept, l)
		}
	}
	return kept, nil
}
