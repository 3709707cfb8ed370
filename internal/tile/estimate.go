package tile

import (
	"context"
	"fmt"
	"math"
	"math/bits"

	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/store"
)

// Estimate returns about how many landmarks live in a box of degrees. It asks the counts
// alone, some thousand rows of them at most, without what is not counted yet: each cell
// counts as standing where the middle of its landmarks is.
func Estimate(ctx context.Context, s *store.Store, box geo.BBox) (landmarks int, err error) {
	var levels []int16
	var firsts, ends, wests, norths, easts, souths []int64
	for _, part := range box.Parts() {
		west, east := column(part.West), column(part.East)
		north, south := row(part.North), row(part.South)
		// The deepest zoom at which the part lies in two tiles at most, either way.
		zoom := min(mapBits-bits.Len64(uint64(max(east-west, south-north))), streetZoom-1) //nolint:gosec // West and north come first.
		shift := mapBits - zoom
		for x := west >> shift; x <= east>>shift; x++ {
			for y := north >> shift; y <= south>>shift; y++ {
				first, end := Tile{Z: zoom, X: int(x), Y: int(y)}.cells(level(zoom))
				levels, firsts, ends = append(levels, int16(level(zoom))), append(firsts, first), append(ends, end) //nolint:gosec // 16 at most.
				wests, norths, easts, souths = append(wests, west), append(norths, north), append(easts, east), append(souths, south)
			}
		}
	}
	err = s.Pool.QueryRow(ctx, `-- name: tile_estimate
SELECT coalesce(sum(c.n), 0)::bigint
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
  AS t(level, first, behind, west, north, east, south)
JOIN landmark_cells c ON c.level = t.level AND c.cell >= t.first AND c.cell < t.behind
WHERE c.n > 0 AND c.x / c.n BETWEEN t.west AND t.east AND c.y / c.n BETWEEN t.north AND t.south`,
		levels, firsts, ends, wests, norths, easts, souths).Scan(&landmarks)
	if err != nil {
		return 0, fmt.Errorf("estimate landmarks: %w", err)
	}
	return landmarks, nil
}

// column is where a longitude lies on the map, as mercator_x computes it.
func column(longitude float64) int64 { return onMap((longitude + 180) / 360) }

// row is where a latitude lies on the map, as mercator_y computes it.
func row(latitude float64) int64 {
	latitude = min(max(latitude, -86), 86) * math.Pi / 180
	return onMap(0.5 - math.Log(math.Tan(math.Pi/4+latitude/2))/(2*math.Pi))
}

func onMap(part float64) int64 {
	return int64(min(max(math.Floor(part*(1<<mapBits)), 0), 1<<mapBits-1))
}
