package landmark_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
)

// A box lists what a comparison of numbers says, edges included, whether its landmarks
// are looked up by their position or met on a walk.
func TestBoxesAreExact(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "field").ID
	random := rand.New(rand.NewPCG(3, 5))
	// Few numbers, so that edges meet points, and neighbours of numbers that an index
	// with single precision can't tell apart.
	number := func(limit float64) float64 {
		n := []float64{-limit, limit, 0, 12.3456789, -12.3456789, math.Round((random.Float64()*2 - 1) * limit)}[random.IntN(6)]
		switch random.IntN(4) {
		case 0:
			n = math.Nextafter(n, 0)
		case 1:
			n += 1e-9
		}
		return min(max(n, -limit), limit)
	}
	points := make([]geo.Point, 300)
	for i := range points {
		points[i] = geo.Point{Latitude: number(90), Longitude: number(180)}
	}
	scatterAround(t, s, area, creator.ID, points)
	check := func() {
		t.Helper()
		for range 150 {
			south, north := number(90), number(90)
			box := geo.BBox{West: number(180), South: min(south, north), East: number(180), North: max(south, north)}
			want := 0
			for _, p := range points {
				if box.Contains(p) {
					want++
				}
			}
			got, err := creator.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{
				Bbox: new(fmt.Sprintf("%v,%v,%v,%v", box.West, box.South, box.East, box.North)), Size: new(100),
			})
			require.NoError(t, err)
			require.NotNil(t, got.JSON200, string(got.Body))
			require.Equal(t, want, *got.JSON200.Total, "%v", box)
			for _, l := range got.JSON200.Items {
				require.True(t, box.Contains(geo.Point{Latitude: l.Latitude, Longitude: l.Longitude}), "%v: %v", box, l)
			}
		}
	}
	check()
	require.NoError(t, s.Tiles.Count(ctx))
	_, err := s.Store.Pool.Exec(ctx, "UPDATE landmark_cells SET n = n * 10000, x = x * 10000, y = y * 10000")
	require.NoError(t, err)
	check()
	none, err := creator.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{Bbox: new("-180,-90,180,90"), AreaID: new(uuid.New())})
	require.NoError(t, err)
	require.Zero(t, *none.JSON200.Total)
}
