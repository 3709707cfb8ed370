package area

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	"github.com/picaspot/picaspot/ent/predicate"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/search"
)

// Filter narrows a list of areas; nil does not.
type Filter struct {
	IsVerified *bool
	ParentID   *uuid.UUID
	CreatedBy  *uuid.UUID
	// Search keeps areas whose names and descriptions have the words of it, or words
	// that it may be a mistyped form of; empty does not narrow.
	Search string
}

var list = page.List{
	Name: "areas", Default: "created_at", Ranked: true,
	SortBy: map[string]page.Column{
		"created_at": {Name: entarea.FieldCreatedAt, Type: page.Time},
		"updated_at": {Name: entarea.FieldUpdatedAt, Type: page.Time},
		"name":       {Name: entarea.FieldName, Type: page.Text, Through: search.NameKey},
	},
}

// List returns a page of living areas. Each sort has an index of its name, and so has
// each filter in the order of the creation: area_created_at_id,
// area_is_verified_created_at_id and so on.
func (s *Service) List(ctx context.Context, f Filter, params page.Params) (page.Result[*ent.Area], error) {
	params.Searched = f.Search != ""
	q, err := list.Resolve(params, s.cursors, f)
	if err != nil {
		return page.Result[*ent.Area]{}, err
	}
	var where []predicate.Area
	// having is what the database keeps the count of areas by.
	having := map[string]any{}
	if f.IsVerified != nil {
		where = append(where, entarea.IsVerified(*f.IsVerified))
		having[entarea.FieldIsVerified] = *f.IsVerified
	}
	if f.ParentID != nil {
		where = append(where, entarea.ParentAreaID(*f.ParentID))
	}
	if f.CreatedBy != nil {
		where = append(where, entarea.CreatedBy(*f.CreatedBy))
	}
	if f.Search != "" {
		return s.search(ctx, f.Search, where, q)
	}
	return page.Fetch(ctx, q, page.Source[*ent.Area]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.Area, error) {
			return s.store.Ent.Area.Query().Where(append(where, q.Where)...).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) {
			if f.ParentID == nil && f.CreatedBy == nil {
				return s.store.Total(ctx, entarea.Table, having)
			}
			return s.store.Ent.Area.Query().Where(where...).Count(ctx)
		},
		Key: func(a *ent.Area, column string) any {
			switch column {
			case entarea.FieldID:
				return a.ID
			case entarea.FieldName:
				return a.Name
			case entarea.FieldUpdatedAt:
				return a.UpdatedAt
			default:
				return a.CreatedAt
			}
		},
	})
}

func (s *Service) search(ctx context.Context, text string, where []predicate.Area, q page.Query) (page.Result[*ent.Area], error) {
	hits, err := search.Search{
		Pool: s.store.Pool, Table: search.Areas, Text: text, Where: search.Predicates(where), Query: q,
	}.Page(ctx)
	if err != nil {
		return page.Result[*ent.Area]{}, err
	}
	found, err := s.store.Ent.Area.Query().Where(entarea.IDIn(search.IDs(hits)...)).All(ctx)
	if err != nil {
		return page.Result[*ent.Area]{}, fmt.Errorf("read what was found: %w", err)
	}
	return search.Rows(hits, found, func(a *ent.Area) uuid.UUID { return a.ID }), nil
}

// Nearby asks for areas around a point.
type Nearby struct {
	Center       geo.Point
	RadiusMeters float64
	IsVerified   *bool
	// RequireAllInRadius keeps areas of which every landmark lies within the radius.
	RequireAllInRadius bool
}

// Near is an area with what depends on where somebody asks from.
type Near struct {
	ent.Area
	// DistanceMeters is to the nearest of its landmarks.
	DistanceMeters float64
	// LandmarkCount counts its landmarks within the radius.
	LandmarkCount int
}

var nearbyList = page.List{
	Name: "areas/nearby", Default: "distance",
	SortBy: map[string]page.Column{"distance": {Name: "distance", Type: page.Float}},
}

// nearbySQL groups the landmarks of the circle, which landmark_location serves,
// by their areas; landmark_area_id_created_at_id serves the count of an area's landmarks.
const nearbySQL = `-- name: area_nearby
WITH hits AS (
  SELECT area_id AS id, min(ST_Distance(location, $1)) AS distance, count(*) AS landmark_count
  FROM landmarks
  WHERE deleted_at IS NULL AND ST_DWithin(location, $1, $2)
  GROUP BY area_id
), matching AS (
  SELECT h.* FROM hits h JOIN areas a ON a.id = h.id
  WHERE a.deleted_at IS NULL AND ($3::boolean IS NULL OR a.is_verified = $3)
    AND (NOT $4::boolean OR h.landmark_count = (
      SELECT count(*) FROM landmarks l WHERE l.area_id = h.id AND l.deleted_at IS NULL))
), paged AS (
  SELECT *, count(*) OVER () AS total FROM matching WHERE %s ORDER BY %s LIMIT $5 OFFSET $6
)
SELECT a.id, a.created_at, a.updated_at, a.name, a.description, a.parent_area_id, a.created_by, a.is_verified, a.image,
  p.distance, p.landmark_count, p.total
FROM paged p JOIN areas a ON a.id = p.id ORDER BY p.distance, p.id`

// Nearby returns the areas that have a landmark within a radius, the one with
// the nearest landmark first.
func (s *Service) Nearby(ctx context.Context, in Nearby, params page.Params) (page.Result[Near], error) {
	q, err := nearbyList.Resolve(params, s.cursors, in)
	if err != nil {
		return page.Result[Near]{}, err
	}
	condition, after := q.Condition(7)
	statement := fmt.Sprintf(nearbySQL, condition, q.OrderBy())
	total := 0
	return page.Fetch(ctx, q, page.Source[Near]{
		List: func(ctx context.Context, limit, offset int) ([]Near, error) {
			args := append([]any{in.Center, in.RadiusMeters, in.IsVerified, in.RequireAllInRadius, limit, offset}, after...)
			rows, err := s.store.Pool.Query(ctx, statement, args...)
			if err != nil {
				return nil, fmt.Errorf("nearby areas: %w", err)
			}
			return pgx.CollectRows(rows, func(row pgx.CollectableRow) (n Near, err error) {
				err = row.Scan(&n.ID, &n.CreatedAt, &n.UpdatedAt, &n.Name, &n.Description, &n.ParentAreaID, &n.CreatedBy,
					&n.IsVerified, &n.Image, &n.DistanceMeters, &n.LandmarkCount, &total)
				return n, err
			})
		},
		// A page behind the end has no row to tell the total.
		Count: func(ctx context.Context) (int, error) {
			if total > 0 {
				return total, nil
			}
			first := fmt.Sprintf(nearbySQL, "TRUE", q.OrderBy())
			err := s.store.Pool.QueryRow(ctx, "-- name: area_nearby_total\nSELECT coalesce(max(total), 0) FROM ("+first+") counted",
				in.Center, in.RadiusMeters, in.IsVerified, in.RequireAllInRadius, 1, 0).Scan(&total)
			return total, err
		},
		Key: func(n Near, column string) any {
			if column == "distance" {
				return n.DistanceMeters
			}
			return n.ID
		},
	})
}
