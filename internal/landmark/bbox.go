package landmark

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/predicate"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/tile"
)

// sparse is how many landmarks a box holds that are worth to be looked up by their
// position.
const sparse = 10_000

// within is the condition that landmarks stand in a box.
//
// The planner takes what the index is asked for one of few landmarks, since it has no
// statistics for the operator, and would read and sort half the table for the first page
// of a continent. So an estimate decides: what holds few is looked up in
// landmark_position; in what holds many, a walk through another index meets the next
// ones soon, which the planner knows by the statistics landmark_degrees.
func (s *Service) within(ctx context.Context, box geo.BBox) (predicate.Landmark, error) {
	about, err := tile.Estimate(ctx, s.store, box)
	if err != nil {
		return nil, err
	}
	return inBox(box, about < sparse), nil
}

// withinCell is the condition that landmarks stand in a cell of the map, as tiles count
// them. The index is asked for the cell's box, which is a little larger.
func (s *Service) withinCell(ctx context.Context, cell tile.Tile) (predicate.Landmark, error) {
	near, err := s.within(ctx, cell.Box())
	if err != nil {
		return nil, err
	}
	return func(s *sql.Selector) {
		near(s)
		s.Where(sql.ExprP(cell.Contains(s.C(entlandmark.FieldLocation) + "::geometry")))
	}, nil
}

// inBox compares degrees, as RFC 7946 defines a box: its sides are meridians and
// parallels, where the sides of a geography are geodesics. The comparison is exact,
// and the same as [geo.BBox.Contains]; indexed adds the operator that asks
// landmark_position, which rounds.
func inBox(box geo.BBox, indexed bool) predicate.Landmark {
	return func(s *sql.Selector) {
		place := s.C(entlandmark.FieldLocation) + "::geometry"
		s.Where(sql.P(func(b *sql.Builder) {
			b.WriteString("(")
			for i, part := range box.Parts() {
				if i > 0 {
					b.WriteString(" OR ")
				}
				if indexed {
					b.WriteString(place+" && ST_MakeEnvelope(").Args(part.West, part.South, part.East, part.North).
						WriteString(fmt.Sprintf(", %d) AND ", geo.SRID))
				}
				b.WriteString("ST_X(" + place + ") BETWEEN ").Arg(part.West).WriteString(" AND ").Arg(part.East)
				b.WriteString(" AND ST_Y(" + place + ") BETWEEN ").Arg(part.South).WriteString(" AND ").Arg(part.North)
			}
			b.WriteString(")")
		}))
	}
}
