package landmark

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/page"
)

// columns are what is shown of a landmark l, and scanned where they go.
const columns = `l.id, l.created_at, l.updated_at, l.area_id, l.name, l.description, l.hint, l.difficulty, l.location,
  l.unlock_radius_meters, l.photo_location, l.photo_radius_meters, l.created_by, l.is_verified, l.image`

func scanned(l *ent.Landmark) []any {
	return []any{
		&l.ID, &l.CreatedAt, &l.UpdatedAt, &l.AreaID, &l.Name, &l.Description, &l.Hint, &l.Difficulty, &l.Location,
		&l.UnlockRadiusMeters, &l.PhotoLocation, &l.PhotoRadiusMeters, &l.CreatedBy, &l.IsVerified, &l.Image,
	}
}

// nearbyInPostGIS answers from the database.
func (s *Service) nearbyInPostGIS(ctx context.Context, in Nearby, q page.Query, user uuid.UUID) (page.Result[Near], error) {
	total := 0
	return page.Fetch(ctx, q, page.Source[Near]{
		List: func(ctx context.Context, limit, offset int) ([]Near, error) {
			statement, args := nearbyQuery(in, user, q, limit, offset)
			rows, err := s.store.Pool.Query(ctx, statement, args...)
			if err != nil {
				return nil, fmt.Errorf("nearby landmarks: %w", err)
			}
			return pgx.CollectRows(rows, func(row pgx.CollectableRow) (n Near, err error) {
				var l ent.Landmark
				if err = row.Scan(append(scanned(&l), &n.DistanceMeters, &n.Unlocked, &total)...); err != nil {
					return n, err
				}
				n.ID = l.ID
				n.Body, err = s.render(&l)
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
			statement, args := nearbyQuery(in, user, first, 1, 0)
			err = s.store.Pool.QueryRow(ctx, "-- name: landmark_nearby_total\nSELECT coalesce(max(total), 0) FROM ("+statement+") counted", args...).Scan(&total)
			return total, err
		},
		Key: nearKey,
	})
}

// nearbyQuery is the statement behind [Service.Nearby] and its arguments.
//
// The circle is asked of landmark_location, a GiST index on geography: it knows
// no antimeridian and no poles. Distances are computed once, and sorted as
// narrow rows; only the page is joined to the wide ones and to the caller's
// unlocks (unlock_user_id_landmark_id). A cursor needs no total, and gets none.
//
// The circle is a row of its own, and limit and offset are no arguments, so that the
// database makes one plan for all: of what it sees it makes a new one each time, which
// can take as long as the rest
// (docs/decisions/0016-one-plan-for-every-circle.md). Within an area it is to see it: an
// area of many landmarks needs another plan than one of few.
func nearbyQuery(in Nearby, user uuid.UUID, q page.Query, limit, offset int) (string, []any) {
	var b strings.Builder
	args := []any{in.Center, in.RadiusMeters, user}
	arg := func(value any) string {
		args = append(args, value)
		return fmt.Sprintf("$%d", len(args))
	}
	planned := "MATERIALIZED" // Without a look at the circle.
	if in.AreaID != nil {
		planned = "NOT MATERIALIZED"
	}
	b.WriteString(`-- name: landmark_nearby
WITH circle AS ` + planned + ` (SELECT $1::geography AS center, $2::float8 AS radius),
hits AS (
  SELECT l.id, round(ST_Distance(l.location, center) * 100) / 100 AS distance FROM circle, landmarks l WHERE l.deleted_at IS NULL AND `)
	const inRadius = "ST_DWithin(l.location, center, radius)"
	if in.LoadFromSameArea {
		b.WriteString(`l.area_id IN (SELECT l.area_id FROM circle, landmarks l WHERE l.deleted_at IS NULL AND ` + inRadius + `)`)
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
    SELECT FROM landmarks o WHERE o.area_id = l.area_id AND o.deleted_at IS NULL AND NOT ST_DWithin(o.location, center, radius))`)
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
	b.WriteString(" ORDER BY " + q.OrderBy() + " LIMIT " + strconv.Itoa(limit))
	if offset > 0 {
		b.WriteString(" OFFSET (SELECT " + arg(offset) + "::bigint)")
	}
	b.WriteString(`
)
SELECT ` + columns + `, p.distance, u.id IS NOT NULL AS unlocked, p.total
FROM paged p JOIN landmarks l ON l.id = p.id
LEFT JOIN unlocks u ON u.user_id = $3 AND u.landmark_id = l.id AND u.deleted_at IS NULL
ORDER BY p.distance, p.id`)
	return b.String(), args
}
