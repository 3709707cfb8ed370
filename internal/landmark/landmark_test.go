package landmark_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo/sample"
	"github.com/picaspot/picaspot/internal/store"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var here = geo.Point{Latitude: 53.8671, Longitude: 8.7206}

func patch(t *testing.T, by *apptest.Client, id uuid.UUID, in api.LandmarkUpdate, ifMatch ...string) *api.UpdateLandmarkResponse {
	t.Helper()
	params := &api.UpdateLandmarkParams{}
	if len(ifMatch) > 0 {
		params.IfMatch = &ifMatch[0]
	}
	got, err := by.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(context.Background(), id, params, in)
	require.NoError(t, err)
	return got
}

func TestLandmarks(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	t.Run("are created with defaults, read and changed", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		area, other := s.Area(creator, "Harbour"), s.Area(creator, "Other")
		made := s.Landmark(creator, area.ID, " Lighthouse ", here)
		require.Equal(t, "Lighthouse", made.Name)
		require.Equal(t, []float64{1, 100, 50}, []float64{float64(made.Difficulty), made.UnlockRadiusMeters, made.PhotoRadiusMeters})
		require.Equal(t, []float64{here.Latitude, here.Longitude}, []float64{made.Latitude, made.Longitude})
		require.True(t, made.PhotoLocation.IsNull())

		got, err := creator.GetLandmarkWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		require.Equal(t, made, *got.JSON200)
		etag := got.HTTPResponse.Header.Get("ETag")
		same, err := creator.GetLandmarkWithResponse(ctx, made.ID, &api.GetLandmarkParams{IfNoneMatch: new("W/" + etag)})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotModified, same.StatusCode())

		changed := patch(t, creator, made.ID, api.LandmarkUpdate{
			Hint: nullable.NewNullableWithValue("Look up."), Difficulty: new(3), Latitude: new(53.9), UnlockRadiusMeters: new(250.5), AreaID: &other.ID,
			PhotoLocation: nullable.NewNullableWithValue(api.PositionUpdate{Latitude: new(53.91), Longitude: new(8.72)}),
		}, etag)
		require.NotNil(t, changed.JSON200, string(changed.Body))
		require.Equal(t, []float64{53.9, here.Longitude}, []float64{changed.JSON200.Latitude, changed.JSON200.Longitude})
		require.Equal(t, other.ID, changed.JSON200.AreaID)
		require.InDelta(t, 53.91, changed.JSON200.PhotoLocation.MustGet().Latitude, 0)
		late := patch(t, creator, made.ID, api.LandmarkUpdate{Hint: nullable.NewNullableWithValue("Late.")}, etag)
		apptest.Problem(t, http.StatusPreconditionFailed, late.HTTPResponse, late.Body)
		cleared := patch(t, creator, made.ID, api.LandmarkUpdate{PhotoLocation: nullable.NewNullNullable[api.PositionUpdate]()})
		require.True(t, cleared.JSON200.PhotoLocation.IsNull())
		require.Equal(t, "Look up.", cleared.JSON200.Hint)
		unknown := patch(t, creator, made.ID, api.LandmarkUpdate{AreaID: new(uuid.New())})
		require.Equal(t, "/problems/area_unknown", apptest.Problem(t, http.StatusUnprocessableEntity, unknown.HTTPResponse, unknown.Body).Type)
		blank := patch(t, creator, made.ID, api.LandmarkUpdate{Name: new("  ")})
		apptest.Problem(t, http.StatusUnprocessableEntity, blank.HTTPResponse, blank.Body)
	})

	t.Run("tell times in the zone that is asked for", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		made := s.Landmark(creator, s.Area(creator, "Harbour").ID, "Lighthouse", here)
		in := func(zone string) (*http.Response, []byte) {
			got, err := creator.GetLandmark(ctx, made.ID, nil, func(_ context.Context, r *http.Request) error {
				r.Header.Set("X-Timezone", zone)
				return nil
			})
			require.NoError(t, err)
			defer got.Body.Close()
			var body bytes.Buffer
			_, err = body.ReadFrom(got.Body)
			require.NoError(t, err)
			return got, body.Bytes()
		}
		_, body := in("Asia/Kolkata")
		require.Contains(t, string(body), `+05:30"`)
		response, body := in("Mars/Olympus")
		apptest.Problem(t, http.StatusBadRequest, response, body)
	})

	t.Run("belong to their creator", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, other, moderator := s.User(), s.User(), s.As("moderator")
		area := s.Area(creator, "Harbour")
		made := s.Landmark(creator, area.ID, "Lighthouse", here)
		refused := patch(t, other, made.ID, api.LandmarkUpdate{Name: new("Mine")})
		apptest.Problem(t, http.StatusForbidden, refused.HTTPResponse, refused.Body)
		denied, err := other.DeleteLandmarkWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusForbidden, denied.HTTPResponse, denied.Body)
		notAllowed, err := other.VerifyLandmarkWithResponse(ctx, made.ID)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusForbidden, notAllowed.HTTPResponse, notAllowed.Body)
		verified, err := moderator.VerifyLandmarkWithResponse(ctx, made.ID)
		require.NoError(t, err)
		require.True(t, verified.JSON200.IsVerified)
		withdrawn, err := moderator.UnverifyLandmarkWithResponse(ctx, made.ID)
		require.NoError(t, err)
		require.False(t, withdrawn.JSON200.IsVerified)
		require.True(t, s.Landmark(moderator, area.ID, "Beacon", here).IsVerified)
		gone, err := creator.DeleteLandmarkWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, gone.StatusCode())
		missing, err := creator.GetLandmarkWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusNotFound, missing.HTTPResponse, missing.Body)
	})

	t.Run("are not created twice by mistake", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		area, other := s.Area(creator, "Harbour"), s.Area(creator, "Other")
		first := s.Landmark(creator, area.ID, "North Lighthouse", here)
		at := func(meters float64) geo.Point {
			return geo.Point{Latitude: here.Latitude + meters/111_300, Longitude: here.Longitude}
		}
		create := func(in uuid.UUID, name string, at geo.Point, allow bool) *api.CreateLandmarkResponse {
			got, err := creator.CreateLandmarkWithResponse(ctx, nil, api.LandmarkCreate{
				AreaID: in, Name: name, Latitude: at.Latitude, Longitude: at.Longitude, AllowDuplicate: &allow,
			})
			require.NoError(t, err)
			return got
		}
		for _, name := range []string{"North Lighthouse", "north lighthouse", "The North Lighthouse"} {
			twice := create(area.ID, name, at(20), false)
			p := apptest.Problem(t, http.StatusConflict, twice.HTTPResponse, twice.Body)
			require.Equal(t, "/problems/landmark_duplicate", p.Type)
			require.Contains(t, *p.Detail, first.ID.String())
		}
		require.Equal(t, 201, create(area.ID, "Łódź ١٥", at(900), false).StatusCode())
		for _, same := range []string{"lodz 15", "ŁO\u0301DZ\u0301 \u200b15", "Lódź  15"} {
			twice := create(area.ID, same, at(900), false)
			require.Equal(t, "/problems/landmark_duplicate", apptest.Problem(t, http.StatusConflict, twice.HTTPResponse, twice.Body).Type, same)
		}
		require.Equal(t, 201, create(area.ID, "North Lighthouse", at(30), false).StatusCode())
		require.Equal(t, 201, create(area.ID, "Kiosk", at(1), false).StatusCode())
		require.Equal(t, 201, create(other.ID, "North Lighthouse", at(1), false).StatusCode())
		require.Equal(t, 201, create(area.ID, "North Lighthouse", at(2), true).StatusCode())
		nowhere := create(uuid.New(), "North Lighthouse", here, false)
		apptest.Problem(t, http.StatusUnprocessableEntity, nowhere.HTTPResponse, nowhere.Body)

		statuses := make([]int, 6)
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() { statuses[i] = create(area.ID, "Rush", at(500), false).StatusCode() })
		}
		wg.Wait()
		require.ElementsMatch(t, []int{201, 409, 409, 409, 409, 409}, statuses)
	})

	t.Run("stand where numbers are the smallest", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		area := s.Area(creator, "Null Island")
		const smallest = math.SmallestNonzeroFloat64
		for i, at := range []geo.Point{
			{}, {Latitude: -smallest}, {Longitude: smallest}, {Latitude: 1e-15}, {Latitude: 1e-9, Longitude: -1e-12}, {Longitude: 2e-5},
			{Latitude: 1e-200, Longitude: -94}, {Latitude: -smallest, Longitude: -94.02584910521827}, {Latitude: 1e-7, Longitude: 1e-7}, {},
		} {
			made, err := creator.CreateLandmarkWithResponse(ctx, nil, api.LandmarkCreate{
				AreaID: area.ID, Name: fmt.Sprintf("%c", 'A'+i), Latitude: at.Latitude, Longitude: at.Longitude,
			})
			require.NoError(t, err)
			require.NotNil(t, made.JSON201, string(made.Body))
			require.InDelta(t, at.Latitude, made.JSON201.Latitude, 1e-15)
			require.InDelta(t, at.Longitude, made.JSON201.Longitude, 1e-15)
			near, err := creator.ListNearbyLandmarksWithResponse(ctx, &api.ListNearbyLandmarksParams{
				Latitude: at.Latitude, Longitude: at.Longitude, RadiusMeters: 50,
			})
			require.NoError(t, err)
			require.NotNil(t, near.JSON200, string(near.Body))
			require.Contains(t, string(near.Body), made.JSON201.ID.String())
		}
		for _, box := range []string{"-5e-324,-5e-324,5e-324,5e-324", "1e-200,1e-200,1,1", "0,0,0,0"} {
			got, err := creator.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{Bbox: &box})
			require.NoError(t, err)
			require.NotNil(t, got.JSON200, string(got.Body))
		}
	})

	t.Run("are listed, filtered and walked", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, moderator := s.User(), s.As("moderator")
		area := s.Area(creator, "Harbour")
		child := s.Area(creator, "Pier", func(in *api.AreaCreate) { in.ParentAreaID = nullable.NewNullableWithValue(area.ID) })
		for i := range 13 {
			s.Landmark(creator, area.ID, fmt.Sprintf("stone %d", i%4), geo.Point{Latitude: float64(i), Longitude: 179.5 + float64(i%2)/10}, func(in *api.LandmarkCreate) {
				in.Difficulty = new(i%3 + 1)
			})
		}
		s.Landmark(moderator, child.ID, "east", geo.Point{Latitude: 5, Longitude: -179.5})
		list := func(params api.ListLandmarksParams) api.LandmarkList {
			got, err := creator.ListLandmarksWithResponse(ctx, &params)
			require.NoError(t, err)
			require.NotNil(t, got.JSON200, string(got.Body))
			return *got.JSON200
		}
		for want, params := range map[int]api.ListLandmarksParams{
			14: {}, 13: {AreaID: &area.ID}, 5: {Difficulty: new(1), AreaID: &area.ID}, 1: {IsVerified: new(true)},
			7: {Bbox: new("179,4,-179,9.5")}, 0: {Bbox: new("-10,4,10,6")}, 6: {Bbox: new("179,4,180,9.5")},
		} {
			require.Equal(t, want, *list(params).Total, "%+v", params)
		}
		require.Equal(t, 1, *list(api.ListLandmarksParams{CreatedBy: &moderator.ID}).Total)
		for _, box := range []string{"1,2,3,x", "1,50,2,40", "190,0,200,10", "1,2,3,NaN"} {
			got, err := creator.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{Bbox: &box})
			require.NoError(t, err)
			p := apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body)
			require.Equal(t, "bbox", *(*p.Errors)[0].Parameter)
		}
		for _, by := range []api.LandmarkSortBy{"created_at", "updated_at", "name", "difficulty"} {
			for _, order := range []api.SortOrder{"asc", "desc"} {
				params := api.ListLandmarksParams{SortBy: new(api.ListLandmarksParamsSortBy(by)), SortOrder: new(api.ListLandmarksParamsSortOrder(order))}
				whole := list(params)
				params.Cursor, params.Size = new(""), new(3)
				var walked []api.Landmark
				for params.Cursor != nil {
					page := list(params)
					walked = append(walked, page.Items...)
					params.Cursor = page.NextCursor
				}
				require.Equal(t, whole.Items, walked, "%s %s", by, order)
			}
		}
		inArea := func(params api.ListAreaLandmarksParams) int {
			got, err := creator.ListAreaLandmarksWithResponse(ctx, area.ID, &params)
			require.NoError(t, err)
			return *got.JSON200.Total
		}
		require.Equal(t, 13, inArea(api.ListAreaLandmarksParams{}))
		require.Equal(t, 14, inArea(api.ListAreaLandmarksParams{IncludeDescendants: new(true)}))
	})
}

// scatter puts landmarks around a point, some of them right at it, and returns
// where they are.
func scatter(s *apptest.Server, by *apptest.Client, area uuid.UUID, center geo.Point, n int, spread float64, random *rand.Rand) map[uuid.UUID]geo.Point {
	places := map[uuid.UUID]geo.Point{}
	for i := range n {
		at := geo.Point{Latitude: center.Latitude + (random.Float64()*2-1)*spread, Longitude: center.Longitude + (random.Float64()*2-1)*spread*3}
		at.Latitude = min(max(at.Latitude, -90), 90)
		if at.Longitude > 180 {
			at.Longitude -= 360
		} else if at.Longitude < -180 {
			at.Longitude += 360
		}
		places[s.Landmark(by, area, fmt.Sprintf("stone %d", i), at, func(in *api.LandmarkCreate) { in.AllowDuplicate = new(true) }).ID] = at
	}
	return places
}

func TestNearbyGivesWhatABruteForceGives(t *testing.T) {
	t.Parallel()
	for name, center := range map[string]geo.Point{
		"at the coast":        here,
		"at the antimeridian": {Latitude: -17, Longitude: 179.999},
		"west of it":          {Latitude: 52, Longitude: -179.9999},
		"at the north pole":   {Latitude: 90, Longitude: 0},
		"near the south pole": {Latitude: -89.9995, Longitude: 120},
		"where it all meets":  {Latitude: 0, Longitude: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apptest.NewWithoutWorkers(t)
			creator := s.User()
			random := rand.New(rand.NewPCG(1, uint64(len(name))))
			places := scatter(s, creator, s.Area(creator, "field").ID, center, 40, 0.01, random)
			for _, radius := range []float64{1, 300, 900, 20_000} {
				var want []uuid.UUID
				for id, at := range places {
					if center.DistanceMeters(at) <= radius {
						want = append(want, id)
					}
				}
				got, err := creator.ListNearbyLandmarksWithResponse(context.Background(), &api.ListNearbyLandmarksParams{
					Latitude: center.Latitude, Longitude: center.Longitude, RadiusMeters: radius, Size: new(100),
				})
				require.NoError(t, err)
				require.NotNil(t, got.JSON200, string(got.Body))
				require.Equal(t, len(want), *got.JSON200.Total)
				var ids []uuid.UUID
				for _, item := range got.JSON200.Items {
					ids = append(ids, item.ID)
					require.InDelta(t, center.DistanceMeters(places[item.ID]), item.DistanceMeters, 0.01)
				}
				require.ElementsMatch(t, want, ids)
				require.True(t, slices.IsSortedFunc(got.JSON200.Items, func(a, b api.NearbyLandmark) int {
					return cmp.Compare(a.DistanceMeters, b.DistanceMeters)
				}))
			}
		})
	}
}

func TestNearbyFilters(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	creator, moderator, explorer := s.User(), s.As("moderator"), s.User()
	north := func(meters float64) geo.Point {
		return geo.Point{Latitude: here.Latitude + meters/111_300, Longitude: here.Longitude}
	}
	inside, partly := s.Area(creator, "inside"), s.Area(creator, "partly")
	a := s.Landmark(creator, inside.ID, "a", north(100)).ID
	b := s.Landmark(moderator, inside.ID, "b", north(200)).ID
	c := s.Landmark(creator, partly.ID, "c", north(300)).ID
	far := s.Landmark(creator, partly.ID, "far", north(9000)).ID
	require.NoError(t, s.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.Unlock.Create().SetUserID(explorer.ID).SetLandmarkID(b).Exec(ctx)
	}))
	near := func(by *apptest.Client, params api.ListNearbyLandmarksParams) api.NearbyLandmarkList {
		params.Latitude, params.Longitude, params.RadiusMeters = here.Latitude, here.Longitude, 1000
		got, err := by.ListNearbyLandmarksWithResponse(ctx, &params)
		require.NoError(t, err)
		require.NotNil(t, got.JSON200, string(got.Body))
		return *got.JSON200
	}
	for name, test := range map[string]struct {
		params api.ListNearbyLandmarksParams
		want   []uuid.UUID
	}{
		"nothing":                {api.ListNearbyLandmarksParams{}, []uuid.UUID{a, b, c}},
		"the area":               {api.ListNearbyLandmarksParams{AreaID: &inside.ID}, []uuid.UUID{a, b}},
		"verified":               {api.ListNearbyLandmarksParams{IsVerified: new(true)}, []uuid.UUID{b}},
		"unlocked":               {api.ListNearbyLandmarksParams{Unlocked: new(true)}, []uuid.UUID{b}},
		"not unlocked":           {api.ListNearbyLandmarksParams{Unlocked: new(false)}, []uuid.UUID{a, c}},
		"areas that lie inside":  {api.ListNearbyLandmarksParams{RequireAllLandmarksInRadius: new(true)}, []uuid.UUID{a, b}},
		"the same areas":         {api.ListNearbyLandmarksParams{LoadFromSameArea: new(true)}, []uuid.UUID{a, b, c, far}},
		"the same, not unlocked": {api.ListNearbyLandmarksParams{LoadFromSameArea: new(true), Unlocked: new(false)}, []uuid.UUID{a, c, far}},
		"a page behind the end":  {api.ListNearbyLandmarksParams{Page: new(9)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			list := near(explorer, test.params)
			var ids []uuid.UUID
			for _, item := range list.Items {
				ids = append(ids, item.ID)
				require.Equal(t, item.ID == b, item.Unlocked)
			}
			require.Equal(t, test.want, ids)
			if test.want == nil {
				require.Equal(t, 3, *list.Total)
				return
			}
			var walked []uuid.UUID
			test.params.Size = new(1)
			for test.params.Cursor = new(""); test.params.Cursor != nil; {
				page := near(explorer, test.params)
				for _, item := range page.Items {
					walked = append(walked, item.ID)
				}
				test.params.Cursor = page.NextCursor
			}
			require.Equal(t, test.want, walked)
		})
	}
	for _, item := range near(creator, api.ListNearbyLandmarksParams{}).Items {
		require.False(t, item.Unlocked, "unlocks are each one's own")
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator, other := s.User(), s.User()
	area := s.Area(creator, "Harbour")
	made := s.Landmark(creator, area.ID, "Lighthouse", here)
	upright := apptest.Photo(t, here, time.Now())
	lying, err := sample.JPEG(sample.Options{Position: &here, TakenAt: time.Now(), Seed: 2, Width: 320, Height: 240, Orientation: 6})
	require.NoError(t, err)

	stored, err := jpeg.DecodeConfig(bytes.NewReader(lying))
	require.NoError(t, err)
	require.Equal(t, []int{240, 320}, []int{stored.Width, stored.Height}, "as the camera held it")

	for _, path := range []string{"/api/v1/landmarks/" + made.ID.String(), "/api/v1/areas/" + area.ID.String()} {
		image := path + "/image"
		put := func(by *apptest.Client, contentType string, data []byte) (*http.Response, []byte) {
			return s.Call(by, http.MethodPut, image, contentType, bytes.NewReader(data))
		}
		response, body := s.Call(creator, http.MethodGet, image, "", nil)
		apptest.Problem(t, http.StatusNotFound, response, body)
		response, body = put(other, "image/jpeg", upright)
		apptest.Problem(t, http.StatusForbidden, response, body)
		response, body = put(creator, "text/plain", upright)
		apptest.Problem(t, http.StatusUnsupportedMediaType, response, body)
		response, body = put(creator, "image/jpeg", []byte("no photo at all, just text"))
		apptest.Problem(t, http.StatusUnsupportedMediaType, response, body)
		response, body = put(creator, "image/jpeg", upright[:len(upright)/2])
		apptest.Problem(t, http.StatusBadRequest, response, body)
		response, body = put(creator, "image/jpeg", make([]byte, 22<<20))
		apptest.Problem(t, http.StatusRequestEntityTooLarge, response, body)

		response, body = put(creator, "image/jpeg", lying)
		require.Equal(t, http.StatusOK, response.StatusCode, string(body))
		require.Contains(t, string(body), `"width":320`)
		require.Contains(t, string(body), `"height":240`)
		response, body = s.Call(other, http.MethodGet, image, "", nil)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Equal(t, "image/jpeg", response.Header.Get("Content-Type"))
		require.NotContains(t, string(body), "Exif")
		first := response.Header.Get("ETag")
		require.NotEmpty(t, first)

		response, body = put(creator, "image/jpeg", upright)
		require.Equal(t, http.StatusOK, response.StatusCode, string(body))
		_, address, _ := strings.Cut(string(body), `"url":"`)
		address, _, _ = strings.Cut(address, `"`)
		address = strings.ReplaceAll(address, `\u0026`, "&")
		response, _ = s.Call(other, http.MethodGet, address, "", nil)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.NotEqual(t, first, response.Header.Get("ETag"))

		response, _ = s.Call(creator, http.MethodDelete, image, "", nil)
		require.Equal(t, http.StatusNoContent, response.StatusCode)
		response, _ = s.Call(creator, http.MethodDelete, image, "", nil)
		require.Equal(t, http.StatusNoContent, response.StatusCode)
		response, body = s.Call(creator, http.MethodGet, image, "", nil)
		apptest.Problem(t, http.StatusNotFound, response, body)
	}

	_, err = creator.PutLandmarkImageWithBodyWithResponse(ctx, made.ID, "image/jpeg", bytes.NewReader(upright))
	require.NoError(t, err)
	got, err := creator.GetLandmarkImageWithResponse(ctx, made.ID, nil)
	require.NoError(t, err)
	again, err := creator.GetLandmarkImageWithResponse(ctx, made.ID, &api.GetLandmarkImageParams{IfNoneMatch: new(got.HTTPResponse.Header.Get("ETag"))})
	require.NoError(t, err)
	require.Equal(t, http.StatusNotModified, again.StatusCode())
	_, err = creator.PutAreaImageWithBodyWithResponse(ctx, area.ID, "image/jpeg", bytes.NewReader(upright))
	require.NoError(t, err)
	gotArea, err := creator.GetAreaImageWithResponse(ctx, area.ID, nil)
	require.NoError(t, err)
	againArea, err := creator.GetAreaImageWithResponse(ctx, area.ID, &api.GetAreaImageParams{IfNoneMatch: new(gotArea.HTTPResponse.Header.Get("ETag"))})
	require.NoError(t, err)
	require.Equal(t, http.StatusNotModified, againArea.StatusCode())
}
