package landmark_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/store"
)

func listLandmarks(t *testing.T, by *apptest.Client, params api.ListLandmarksParams) api.LandmarkList {
	t.Helper()
	got, err := by.ListLandmarksWithResponse(context.Background(), &params)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

// TestBothWaysThroughAList walks a list with many ties by pages and by cursor:
// each has to meet every landmark exactly once, in the same order.
func TestBothWaysThroughAList(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	random := rand.New(rand.NewPCG(3, 4))
	areas := []uuid.UUID{s.Area(creator, "one").ID, s.Area(creator, "two").ID}
	// Texts that sort oddly, and that a cursor has to carry unharmed.
	names := []string{"stone", "Stone", "stöne", "石", "a" + strings.Repeat("\u2028", 198) + "z", strings.Repeat(`"`, 200), "a&b<c>", "100 %"}
	for range 60 {
		at := geo.Point{Latitude: random.Float64()*170 - 85, Longitude: random.Float64()*358 - 179}
		s.Landmark(creator, areas[random.IntN(2)], names[random.IntN(len(names))], at, func(in *api.LandmarkCreate) {
			in.Difficulty = new(1 + random.IntN(3))
		})
	}
	// Ties in time, as an import makes them.
	_, err := s.Store.Pool.Exec(context.Background(), `UPDATE landmarks SET created_at = date_trunc('second', created_at), updated_at = date_trunc('minute', updated_at)`)
	require.NoError(t, err)

	for _, by := range []string{"created_at", "updated_at", "name", "difficulty"} {
		for _, order := range []string{"asc", "desc"} {
			t.Run(by+" "+order, func(t *testing.T) {
				t.Parallel()
				for _, size := range []int{1, 7, 30, 60, 100} {
					params := api.ListLandmarksParams{
						SortBy: new(api.ListLandmarksParamsSortBy(by)), SortOrder: new(api.ListLandmarksParamsSortOrder(order)), Size: &size,
					}
					if size == 1 {
						params.AreaID = &areas[0]
					}
					var paged, walked []api.Landmark
					for number := 1; ; number++ {
						params.Page = &number
						page := listLandmarks(t, creator, params)
						require.Equal(t, []int{number, size}, []int{*page.Page, *page.Size})
						require.Equal(t, (*page.Total+size-1)/size, *page.Pages)
						require.Nil(t, page.NextCursor)
						paged = append(paged, page.Items...)
						if number >= *page.Pages {
							require.Len(t, paged, *page.Total)
							break
						}
					}
					params.Page = nil
					for params.Cursor = new(""); params.Cursor != nil; {
						page := listLandmarks(t, creator, params)
						require.Nil(t, page.Total)
						require.LessOrEqual(t, len(page.Items), size)
						walked = append(walked, page.Items...)
						params.Cursor = page.NextCursor
					}
					require.Equal(t, paged, walked)
					seen := map[uuid.UUID]bool{}
					for _, item := range walked {
						require.False(t, seen[item.ID], "met twice")
						seen[item.ID] = true
					}
					require.True(t, slices.IsSortedFunc(walked, func(a, b api.Landmark) int {
						compared := map[string]int{
							"created_at": a.CreatedAt.Compare(b.CreatedAt), "updated_at": a.UpdatedAt.Compare(b.UpdatedAt),
							"difficulty": cmp.Compare(a.Difficulty, b.Difficulty),
						}[by]
						if order == "desc" {
							return -compared
						}
						return compared
					}))
				}
			})
		}
	}
}

func TestCursorsGoOnWithTheirOwnQuery(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour")
	for i := range 4 {
		s.Landmark(creator, area.ID, fmt.Sprint("stone ", i), geo.Point{Latitude: here.Latitude + float64(i)/1000, Longitude: here.Longitude})
	}
	cursor := *listLandmarks(t, creator, api.ListLandmarksParams{Cursor: new(""), Size: new(1)}).NextCursor
	require.Len(t, listLandmarks(t, creator, api.ListLandmarksParams{Cursor: &cursor, Size: new(100)}).Items, 3, "the size may change on the way")
	near, err := creator.ListNearbyLandmarksWithResponse(ctx, &api.ListNearbyLandmarksParams{
		Latitude: here.Latitude, Longitude: here.Longitude, RadiusMeters: 1000, Cursor: new(""), Size: new(1),
	})
	require.NoError(t, err)
	nearby := fmt.Sprintf("/api/v1/landmarks/nearby?latitude=%v&longitude=%v&", here.Latitude, here.Longitude)
	for name, test := range map[string]struct{ path, code string }{
		"another filter":         {"/api/v1/landmarks?difficulty=1&cursor=" + cursor, "cursor_mismatch"},
		"another order":          {"/api/v1/landmarks?sort_order=asc&cursor=" + cursor, "cursor_mismatch"},
		"another column":         {"/api/v1/landmarks?sort_by=name&cursor=" + cursor, "cursor_mismatch"},
		"another list":           {"/api/v1/areas?cursor=" + cursor, "cursor_mismatch"},
		"another circle":         {nearby + "radius_meters=1001&cursor=" + *near.JSON200.NextCursor, "cursor_mismatch"},
		"another area's":         {"/api/v1/areas/" + area.ID.String() + "/landmarks?cursor=" + cursor, "cursor_mismatch"},
		"a cursor that is bent":  {"/api/v1/landmarks?cursor=B" + cursor[1:], "invalid_cursor"},
		"a cursor that is short": {"/api/v1/landmarks?cursor=" + cursor[:len(cursor)-1], "invalid_cursor"},
		"a cursor that is long":  {"/api/v1/landmarks?cursor=" + cursor + "A", "invalid_cursor"},
		"a cursor and a page":    {"/api/v1/landmarks?page=1&cursor=" + cursor, "page_and_cursor"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, body := s.Call(creator, http.MethodGet, test.path, "", nil)
			p := apptest.Problem(t, http.StatusBadRequest, response, body)
			require.Equal(t, test.code, (*p.Errors)[0].Code)
			require.Equal(t, "cursor", *(*p.Errors)[0].Parameter)
		})
	}
	t.Run("and skip what was added before them", func(t *testing.T) {
		first := listLandmarks(t, creator, api.ListLandmarksParams{Cursor: new(""), Size: new(2)})
		added := s.Landmark(creator, area.ID, "newest", geo.Point{})
		gone, err := creator.DeleteLandmarkWithResponse(ctx, first.Items[1].ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, gone.StatusCode())
		rest := listLandmarks(t, creator, api.ListLandmarksParams{Cursor: first.NextCursor, Size: new(10)})
		require.Len(t, rest.Items, 2, "although the one that the cursor names is gone")
		require.NotContains(t, []uuid.UUID{rest.Items[0].ID, rest.Items[1].ID}, added.ID)
	})
}

// place is what a brute force knows of a landmark.
type place struct {
	id, area           uuid.UUID
	at                 geo.Point
	verified, unlocked bool
}

// world is all that there is in a test.
type world []place

// nearby is what the API promises, in a loop.
func (w world) nearby(p api.ListNearbyLandmarksParams) []uuid.UUID {
	center := geo.Point{Latitude: p.Latitude, Longitude: p.Longitude}
	inside := func(at geo.Point) bool { return center.DistanceMeters(at) <= p.RadiusMeters }
	touched, whole := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	for _, l := range w {
		whole[l.area] = true
	}
	for _, l := range w {
		touched[l.area] = touched[l.area] || inside(l.at)
		whole[l.area] = whole[l.area] && inside(l.at)
	}
	var found []uuid.UUID
	distances := map[uuid.UUID]float64{}
	for _, l := range w {
		in := inside(l.at) || p.LoadFromSameArea != nil && *p.LoadFromSameArea && touched[l.area]
		if !in || p.AreaID != nil && l.area != *p.AreaID || p.IsVerified != nil && l.verified != *p.IsVerified ||
			p.Unlocked != nil && l.unlocked != *p.Unlocked ||
			p.RequireAllLandmarksInRadius != nil && *p.RequireAllLandmarksInRadius && !whole[l.area] {
			continue
		}
		found = append(found, l.id)
		distances[l.id] = center.DistanceMeters(l.at)
	}
	slices.SortFunc(found, func(a, b uuid.UUID) int {
		// PostGIS and geo agree on far less than a millimetre, not on the last bit.
		if d := distances[a] - distances[b]; math.Abs(d) > 1e-6 {
			return cmp.Compare(d, 0)
		}
		return slices.Compare(a[:], b[:])
	})
	return found
}

// TestNearbyAgreesWithALoop asks random questions, with every combination of
// filters, where distances tie and where maps end.
func TestNearbyAgreesWithALoop(t *testing.T) {
	t.Parallel()
	for name, center := range map[string]geo.Point{
		"on land":             here,
		"at the antimeridian": {Latitude: 10, Longitude: -179.9995},
		"at the south pole":   {Latitude: -90, Longitude: 45},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			s := apptest.NewWithoutWorkers(t)
			creator, moderator, explorer := s.User(), s.As("moderator"), s.User()
			random := rand.New(rand.NewPCG(5, uint64(len(name))))
			var areas []uuid.UUID
			for i := range 6 {
				areas = append(areas, s.Area(creator, fmt.Sprint("area ", i)).ID)
			}
			// Some of the places hold several landmarks: their distances are the same.
			var spots []geo.Point
			for range 20 {
				at := geo.Point{Latitude: center.Latitude + (random.Float64()-0.5)*0.05, Longitude: center.Longitude + (random.Float64()-0.5)*0.05}
				if center.Latitude == -90 {
					at = geo.Point{Latitude: -90 + random.Float64()*0.03, Longitude: random.Float64()*360 - 180}
				}
				at.Latitude = max(at.Latitude, -90)
				if at.Longitude < -180 {
					at.Longitude += 360
				}
				spots = append(spots, at)
			}
			var w world
			for i := range 36 {
				by := creator
				if random.IntN(3) == 0 {
					by = moderator
				}
				made := s.Landmark(by, areas[random.IntN(len(areas))], fmt.Sprint("stone ", i), spots[random.IntN(len(spots))], func(in *api.LandmarkCreate) {
					in.AllowDuplicate = new(true)
				})
				l := place{made.ID, made.AreaID, geo.Point{Latitude: made.Latitude, Longitude: made.Longitude}, made.IsVerified, random.IntN(3) == 0}
				if l.unlocked {
					require.NoError(t, s.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
						return tx.Unlock.Create().SetUserID(explorer.ID).SetLandmarkID(l.id).Exec(ctx)
					}))
				}
				w = append(w, l)
			}
			maybe := func() *bool {
				return []*bool{nil, nil, new(true), new(false)}[random.IntN(4)]
			}
			answers := map[bool]int{}
			for range 60 {
				params := api.ListNearbyLandmarksParams{
					Latitude: center.Latitude, Longitude: center.Longitude, RadiusMeters: 1 + random.Float64()*4000,
					IsVerified: maybe(), Unlocked: maybe(), RequireAllLandmarksInRadius: maybe(), LoadFromSameArea: maybe(), Size: new(100),
				}
				if random.IntN(4) == 0 {
					params.AreaID = &areas[random.IntN(len(areas))]
				}
				want := w.nearby(params)
				answers[len(want) > 0]++
				ask := func() api.NearbyLandmarkList {
					got, err := explorer.ListNearbyLandmarksWithResponse(ctx, &params)
					require.NoError(t, err)
					require.NotNil(t, got.JSON200, string(got.Body))
					return *got.JSON200
				}
				whole := ask()
				require.Equal(t, len(want), *whole.Total, "%+v", params)
				for _, item := range whole.Items {
					i := slices.IndexFunc(w, func(l place) bool { return l.id == item.ID })
					require.GreaterOrEqual(t, i, 0)
					require.Equal(t, w[i].unlocked, item.Unlocked)
					require.InDelta(t, center.DistanceMeters(w[i].at), item.DistanceMeters, 0.01)
				}
				require.Equal(t, want, nearbyIDs(whole), "%+v", params)
				params.Size = new(1 + random.IntN(4))
				var walked []uuid.UUID
				for params.Cursor = new(""); params.Cursor != nil; {
					page := ask()
					walked = append(walked, nearbyIDs(page)...)
					params.Cursor = page.NextCursor
				}
				require.Equal(t, want, walked, "by cursor: %+v", params)
			}
			require.Greater(t, answers[true], 10, "the questions are worth asking")
		})
	}
}

func nearbyIDs(list api.NearbyLandmarkList) (ids []uuid.UUID) {
	for _, item := range list.Items {
		ids = append(ids, item.ID)
	}
	return ids
}

func TestNearbyRadiusIsExact(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	for _, center := range []geo.Point{here, {Latitude: 0, Longitude: 179.9999}, {Latitude: 90}} {
		at := geo.Point{Latitude: center.Latitude - 0.2, Longitude: -center.Longitude}
		if center.Latitude == here.Latitude {
			at.Longitude = center.Longitude + 0.3
		}
		made := s.Landmark(creator, s.Area(creator, fmt.Sprint(center)).ID, "stone", at)
		exactly := center.DistanceMeters(at)
		for radius, want := range map[float64]int{exactly - 0.001: 0, exactly + 0.001: 1} {
			got, err := creator.ListNearbyLandmarksWithResponse(context.Background(), &api.ListNearbyLandmarksParams{
				Latitude: center.Latitude, Longitude: center.Longitude, RadiusMeters: radius, AreaID: &made.AreaID,
			})
			require.NoError(t, err)
			require.NotNil(t, got.JSON200, string(got.Body))
			require.Equal(t, want, *got.JSON200.Total, "%v, %f of %f m", center, radius, exactly)
		}
	}
	for _, radius := range []string{"0.9", "50000.1", "-1", "Infinity"} {
		response, body := s.Call(creator, http.MethodGet, "/api/v1/landmarks/nearby?latitude=0&longitude=0&radius_meters="+radius, "", nil)
		p := apptest.Problem(t, http.StatusBadRequest, response, body)
		require.Equal(t, "radius_meters", *(*p.Errors)[0].Parameter)
	}
}
