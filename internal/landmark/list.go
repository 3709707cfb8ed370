package landmark

import (
	"context"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/predicate"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/page"
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
}

var list = page.List{
	Name: "landmarks", Default: "created_at",
	SortBy: map[string]page.Column{
		"created_at": {Name: entlandmark.FieldCreatedAt, Type: page.Time},
		"updated_at": {Name: entlandmark.FieldUpdatedAt, Type: page.Time},
		"name":       {Name: entlandmark.FieldName, Type: page.Text},
		"difficulty": {Name: entlandmark.FieldDifficulty, Type: page.Integer},
	},
}

// List returns a page of living landmarks.
func (s *Service) List(ctx context.Context, f Filter, params page.Params) (page.Result[*ent.Landmark], error) {
	q, err := list.Resolve(params, s.cursors, f)
	if err != nil {
		return page.Result[*ent.Landmark]{}, err
	}
	where, err := s.where(ctx, f)
	if err != nil {
		return page.Result[*ent.Landmark]{}, err
	}
	return page.Fetch(ctx, q, page.Source[*ent.Landmark]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.Landmark, error) {
			return s.store.Ent.Landmark.Query().Where(append(where, q.Where)...).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) {
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
	if f.BBox != nil {
		where = append(where, within(*f.BBox))
	}
	return where, nil
}

// within compares degrees, as RFC 7946 defines a box: its sides are meridians
// and parallels, where the sides of a geography are geodesics.
func within(box geo.BBox) predicate.Landmark {
	return func(s *sql.Selector) {
		longitude := "ST_X(" + s.C(entlandmark.FieldLocation) + "::geometry)"
		latitude := "ST_Y(" + s.C(entlandmark.FieldLocation) + "::geometry)"
		operator := " AND "
		if box.West > box.East { // It crosses the antimeridian.
			operator = " OR "
		}
		s.Where(sql.P(func(b *sql.Builder) {
			b.WriteString(latitude + " BETWEEN ").Arg(box.South).WriteString(" AND ").Arg(box.North)
			b.WriteString(" AND (" + longitude + " >= ").Arg(box.West)
			b.WriteString(operator + longitude + " <= ").Arg(box.East).WriteString(")")
		}))
	}
}
