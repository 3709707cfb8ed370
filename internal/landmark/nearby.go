package landmark

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/page"
)

// Nearby asks for landmarks around a point.
type Nearby struct {
	Center       geo.Point
	RadiusMeters float64
	AreaID       *uuid.UUID
	IsVerified   *bool
	// Unlocked keeps what the caller has, or has not, unlocked.
	Unlocked *bool
	// RequireAllInRadius keeps landmarks of areas that lie within the radius entirely.
	RequireAllInRadius bool
	// LoadFromSameArea adds those beyond the radius that share an area with one inside it.
	LoadFromSameArea bool
}

// Near is a landmark with what depends on who asks from where.
type Near struct {
	ent.Landmark
	// DistanceMeters is the length of the geodesic on the WGS 84 ellipsoid.
	DistanceMeters float64
	// Unlocked says whether the caller has unlocked it.
	Unlocked bool
}

var nearbyList = page.List{
	Name: "landmarks/nearby", Default: "distance",
	SortBy: map[string]page.Column{"distance": {Name: "distance", Type: page.Float}},
}

// Nearby returns living landmarks within a radius, nearest first.
func (s *Service) Nearby(ctx context.Context, in Nearby, params page.Params) (page.Result[Near], error) {
	caller, _ := authz.CallerFrom(ctx)
	q, err := nearbyList.Resolve(params, s.cursors, in)
	if err != nil {
		return page.Result[Near]{}, err
	}
	total := 0
	return page.Fetch(ctx, q, page.Source[Near]{
		List: func(ctx context.Context, limit, offset int) ([]Near, error) {
			statement, args := NearbyQuery(in, caller.UserID, q, limit, offset)
			rows, err := s.store.Pool.Query(ctx, statement, args...)
			if err != nil {
				return nil, fmt.Errorf("nearby landmarks: %w", err)
			}
			return pgx.CollectRows(rows, func(row pgx.CollectableRow) (n Near, err error) {
				err = row.Scan(&n.ID, &n.CreatedAt, &n.UpdatedAt, &n.AreaID, &n.Name, &n.Description, &n.Hint, &n.Difficulty,
					&n.Location, &n.UnlockRadiusMeters, &n.PhotoLocation, &n.PhotoRadiusMeters, &n.CreatedBy, &n.IsVerified,
					&n.Image, &n.DistanceMeters, &n.Unlocked, &total)
				return n, err
			})
		},
		// A page behind the end has no row to tell the total.
		Count: func(ctx context.Context) (int, error) {
			if total > 0 {
				return total, nil
			}
			first, err := nearbyList.Resolve(page.Params{}, s.cursors, in)
			if err != nil {
				return 0, err
			}
			statement, args := NearbyQuery(in, caller.UserID, first, 1, 0)
			err = s.store.Pool.QueryRow(ctx, "SELECT coalesce(max(total), 0) FROM ("+statement+") counted", args...).Scan(&total)
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

// NearbyQuery is the statement behind [Service.Nearby] and its arguments.
//
// The circle is asked of landmark_location, a GiST index on geography: it knows
// no antimeridian and no poles. Distances are computed once, and sorted as
// narrow rows; only the page is joined to the wide ones and to the caller's
// unlocks (unlock_user_id_landmark_id). A cursor needs no total, and gets none.
func NearbyQuery(in Nearby, user uuid.UUID, q page.Query, limit, offset int) (string, []any) {
	var b strings.Builder
	args := []any{in.Center, in.RadiusMeters, user}
	arg := func(value any) string {
		args = append(args, value)
		return fmt.Sprintf("$%d", len(args))
	}
	b.WriteString(`
WITH hits AS (
  SELECT l.id, ST_Distance(l.location, $1) AS distance FROM landmarks l WHERE l.deleted_at IS NULL AND `)
	const inRadius = "ST_DWithin(l.location, $1, $2)"
	if in.LoadFromSameArea {
		b.WriteString(`l.area_id IN (SELECT l.area_id FROM landmarks l WHERE l.deleted_at IS NULL AND ` + inRadius + `)`)
	} else {
		b.WriteString(inRadius)
	}
	if in.AreaID != nil {
		b.WriteString(" AND l.area_id = " + arg(*in.AreaID))
	}
	if in.IsVerified != nil {
		b.WriteString(" AND l.is_verified = " + arg(*in.IsVerified))
	}
	if in.Unlocked != nil {
		b.WriteString(" AND " + arg(*in.Unlocked) + `::boolean = EXISTS (
    SELECT FROM unlocks u WHERE u.user_id = $3 AND u.landmark_id = l.id AND u.deleted_at IS NULL)`)
	}
	if in.RequireAllInRadius {
		b.WriteString(` AND NOT EXISTS (
    SELECT FROM landmarks o WHERE o.area_id = l.area_id AND o.deleted_at IS NULL AND NOT ST_DWithin(o.location, $1, $2))`)
	}
	b.WriteString("\n), paged AS (\n  SELECT id, distance, ")
	if q.ByCursor() {
		b.WriteString("0 AS total FROM hits WHERE ")
		condition, after := q.Condition(len(args) + 1)
		args = append(args, after...)
		b.WriteString(condition)
	} else {
		b.WriteString("count(*) OVER () AS total FROM hits")
	}
	b.WriteString(" ORDER BY " + q.OrderBy() + " LIMIT " + arg(limit) + " OFFSET " + arg(offset))
	b.WriteString(`
)
SELECT l.id, l.created_at, l.updated_at, l.area_id, l.name, l.description, l.hint, l.difficulty, l.location,
  l.unlock_radius_meters, l.photo_location, l.photo_radius_meters, l.created_by, l.is_verified, l.image,
  p.distance, u.id IS NOT NULL AS unlocked, p.total
FROM paged p JOIN landmarks l ON l.id = p.id
LEFT JOIN unlocks u ON u.user_id = $3 AND u.landmark_id = l.id AND u.deleted_at IS NULL
ORDER BY p.distance, p.id`)
	return b.String(), args
}
