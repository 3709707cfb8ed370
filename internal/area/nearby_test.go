package area_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
)

// field is what a brute force knows of an area.
type field struct {
	id       uuid.UUID
	verified bool
	stones   []geo.Point
}

// near counts the landmarks of an area within a radius, and measures to the nearest.
func (f field) near(center geo.Point, radius float64) (count int, nearest float64) {
	nearest = math.Inf(1)
	for _, at := range f.stones {
		if d := center.DistanceMeters(at); d <= radius {
			count++
			nearest = min(nearest, d)
		}
	}
	return count, nearest
}

func TestNearbyAreasAgreeWithALoop(t *testing.T) {
	t.Parallel()
	for name, center := range map[string]geo.Point{
		"on land":             {Latitude: 53.8671, Longitude: 8.7206},
		"at the antimeridian": {Latitude: -17, Longitude: 179.9995},
		"at the north pole":   {Latitude: 90, Longitude: -30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			s := apptest.NewWithoutWorkers(t)
			creator, moderator := s.User(), s.As("moderator")
			random := rand.New(rand.NewPCG(7, uint64(len(name))))
			var fields []field
			for i := range 8 {
				by := []*apptest.Client{creator, moderator}[i%2]
				made := s.Area(by, fmt.Sprint("field ", i))
				f := field{id: made.ID, verified: made.IsVerified}
				for j := range random.IntN(5) {
					at := geo.Point{Latitude: center.Latitude + (random.Float64()-0.5)*0.04, Longitude: center.Longitude + (random.Float64()-0.5)*0.04}
					if center.Latitude == 90 {
						at = geo.Point{Latitude: 90 - random.Float64()*0.03, Longitude: random.Float64()*360 - 180}
					}
					if at.Longitude > 180 {
						at.Longitude -= 360
					}
					s.Landmark(creator, made.ID, fmt.Sprint("stone ", j), at, func(in *api.LandmarkCreate) { in.AllowDuplicate = new(true) })
					f.stones = append(f.stones, at)
				}
				fields = append(fields, f)
			}
			answered := 0
			for range 25 {
				params := api.ListNearbyAreasParams{
					Latitude: center.Latitude, Longitude: center.Longitude, RadiusMeters: 1 + random.Float64()*3500, Size: new(100),
					IsVerified:                  []*bool{nil, nil, new(true), new(false)}[random.IntN(4)],
					RequireAllLandmarksInRadius: []*bool{nil, new(true), new(false)}[random.IntN(3)],
				}
				var want []api.NearbyArea
				for _, f := range fields {
					count, nearest := f.near(center, params.RadiusMeters)
					if count > 0 && (params.IsVerified == nil || f.verified == *params.IsVerified) &&
						(params.RequireAllLandmarksInRadius == nil || !*params.RequireAllLandmarksInRadius || count == len(f.stones)) {
						want = append(want, api.NearbyArea{ID: f.id, LandmarkCount: count, DistanceMeters: nearest})
					}
				}
				slices.SortFunc(want, func(a, b api.NearbyArea) int { return cmp.Compare(a.DistanceMeters, b.DistanceMeters) })
				answered += len(want)
				ask := func() api.NearbyAreaList {
					got, err := creator.ListNearbyAreasWithResponse(ctx, &params)
					require.NoError(t, err)
					require.NotNil(t, got.JSON200, string(got.Body))
					return *got.JSON200
				}
				compare := func(got []api.NearbyArea) {
					require.Len(t, got, len(want), "%+v", params)
					for i, item := range got {
						require.Equal(t, want[i].ID, item.ID)
						require.Equal(t, want[i].LandmarkCount, item.LandmarkCount)
						require.InDelta(t, want[i].DistanceMeters, item.DistanceMeters, 0.01)
					}
				}
				whole := ask()
				require.Equal(t, len(want), *whole.Total)
				compare(whole.Items)
				params.Size = new(1 + random.IntN(3))
				var walked []api.NearbyArea
				for params.Cursor = new(""); params.Cursor != nil; {
					page := ask()
					walked = append(walked, page.Items...)
					params.Cursor = page.NextCursor
				}
				compare(walked)
			}
			require.Greater(t, answered, 20, "the questions are worth asking")
		})
	}
}
