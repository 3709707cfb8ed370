package landmark

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/predicate"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/search"
	"github.com/picaspot/picaspot/internal/tile"
)

// Filter narrows a list of landmarks; nil does not.
type Filter struct {
	AreaID *uuid.UUID
	// IncludeDescendants also lists those of the areas beneath AreaID.
	IncludeDescendants bool
	Difficulty         *int
	IsVerified         *bool
	CreatedBy          *uuid.UUID
	BBox               *geo.BBox
	// Cell keeps landmarks that the cluster of this cell counts. Cursors of lists without
	// it have been made before there was one, so it is left out of their filter.
	Cell *tile.Tile `json:",omitempty"`
	// Search keeps landmarks whose names and descriptions have the words of it, or words
	// that it may be a mistyped form of; empty does not narrow.
	Search string
}

var list = page.List{
	Name: "landmarks", Default: "created_at", Ranked: true,
	SortBy: map[string]page.Column{
		"created_at": {Name: entlandmark.FieldCreatedAt, Type: page.Time},
		"updated_at": {Name: entlandmark.FieldUpdatedAt, Type: page.Time},
		"name":       {Name: entlandmark.FieldName, Type: page.Text, Through: search.NameKey},
		"difficulty": {Name: entlandmark.FieldDifficulty, Type: page.Integer, Then: []page.Column{
			{Name: entlandmark.FieldCreatedAt, Type: page.Time},
		}},
	},
}

// List returns a page of living landmarks. Each sort has an index of its name, and so
// has each filter in the order of the creation: landmark_created_at_id,
// landmark_area_id_created_at_id and so on.
func (s *Service) List(ctx context.Context, f Filter, params page.Params) (page.Result[*ent.Landmark], error) {
	params.Searched = f.Search != ""
	q, err := list.Resolve(params, s.cursors, f)
	if err != nil {
		return page.Result[*ent.Landmark]{}, err
	}
	where, err := s.where(ctx, f)
	if err != nil {
		return page.Result[*ent.Landmark]{}, err
	}
	if f.Search != "" {
		return s.search(ctx, f.Search, where, q)
	}
	return page.Fetch(ctx, q, page.Source[*ent.Landmark]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.Landmark, error) {
			return s.store.Ent.Landmark.Query().Where(append(where, q.Where)...).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) {
			if having, counted := f.counted(); counted {
				return s.store.Total(ctx, entlandmark.Table, having)
			}
			return s.store.Ent.Landmark.Query().Where(where...).Count(ctx)
		},
		Key: func(l *ent.Landmark, column string) any {
			switch column {
			case entlandmark.FieldID:
				return l.ID
			case entlandmark.FieldName:
				return l.Name
			case entlandmark.FieldDifficulty:
				return l.Difficulty
			case entlandmark.FieldUpdatedAt:
				return l.UpdatedAt
			default:
				return l.CreatedAt
			}
		},
	})
}

// counted reports whether the database keeps the count of the landmarks that the filter
// leaves, and by which values.
func (f Filter) counted() (having map[string]any, counted bool) {
	having = map[string]any{}
	if f.IsVerified != nil {
		having[entlandmark.FieldIsVerified] = *f.IsVerified
	}
	if f.Difficulty != nil {
		having[entlandmark.FieldDifficulty] = *f.Difficulty
	}
	return having, f.AreaID == nil && f.CreatedBy == nil && f.BBox == nil && f.Cell == nil
}

func (s *Service) search(ctx context.Context, text string, where []predicate.Landmark, q page.Query) (page.Result[*ent.Landmark], error) {
	hits, err := search.Search{
		Pool: s.store.Pool, Table: search.Landmarks, Text: text, Where: search.Predicates(where), Query: q,
	}.Page(ctx)
	if err != nil {
		return page.Result[*ent.Landmark]{}, err
	}
	found, err := s.store.Ent.Landmark.Query().Where(entlandmark.IDIn(search.IDs(hits)...)).All(ctx)
	if err != nil {
		return page.Result[*ent.Landmark]{}, fmt.Errorf("read what was found: %w", err)
	}
	return search.Rows(hits, found, func(l *ent.Landmark) uuid.UUID { return l.ID }), nil
}

func (s *Service) where(ctx context.Context, f Filter) ([]predicate.Landmark, error) {
	var where []predicate.Landmark
	switch {
	case f.AreaID != nil && f.IncludeDescendants:
		areas, err := area.Descendants(ctx, s.store.Ent, *f.AreaID)
		if err != nil {
			return nil, err
		}
		where = append(where, entlandmark.AreaIDIn(areas...))
	case f.AreaID != nil:
		where = append(where, entlandmark.AreaID(*f.AreaID))
	}
	if f.Difficulty != nil {
		where = append(where, entlandmark.Difficulty(*f.Difficulty))
	}
	if f.IsVerified != nil {
		where = append(where, entlandmark.IsVerified(*f.IsVerified))
	}
	if f.CreatedBy != nil {
		where = append(where, entlandmark.CreatedBy(*f.CreatedBy))
	}
	if f.BBox != nil && *f.BBox != geo.World {
		inside, err := s.within(ctx, *f.BBox)
		if err != nil {
			return nil, err
		}
		where = append(where, inside)
	}
	if f.Cell != nil {
		inside, err := s.withinCell(ctx, *f.Cell)
		if err != nil {
			return nil, err
		}
		where = append(where, inside)
	}
	return where, nil
}
