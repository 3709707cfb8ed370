package area_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/geo"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func beneath(parent uuid.UUID) func(*api.AreaCreate) {
	return func(in *api.AreaCreate) { in.ParentAreaID = nullable.NewNullableWithValue(parent) }
}

func patch(t *testing.T, by *apptest.Client, id uuid.UUID, in api.AreaUpdate, ifMatch ...string) *api.UpdateAreaResponse {
	t.Helper()
	params := &api.UpdateAreaParams{}
	if len(ifMatch) > 0 {
		params.IfMatch = &ifMatch[0]
	}
	got, err := by.UpdateAreaWithApplicationMergePatchPlusJSONBodyWithResponse(context.Background(), id, params, in)
	require.NoError(t, err)
	return got
}

func TestAreas(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	t.Run("are created, read and changed", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, other := s.User(), s.User()
		parent := s.Area(creator, "Coast")
		made := s.Area(creator, "  Harbour ", beneath(parent.ID), func(in *api.AreaCreate) { in.Description = new("Quays.") })
		require.Equal(t, "Harbour", made.Name)
		require.Equal(t, creator.ID, made.CreatedBy)
		require.Equal(t, parent.ID, made.ParentAreaID.MustGet())
		require.False(t, made.IsVerified)

		got, err := other.GetAreaWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		require.Equal(t, made, *got.JSON200)
		etag := got.HTTPResponse.Header.Get("ETag")
		same, err := other.GetAreaWithResponse(ctx, made.ID, &api.GetAreaParams{IfNoneMatch: &etag})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotModified, same.StatusCode())

		changed := patch(t, creator, made.ID, api.AreaUpdate{Name: new("Old Harbour")}, etag)
		require.NotNil(t, changed.JSON200, string(changed.Body))
		require.Equal(t, "Old Harbour", changed.JSON200.Name)
		require.Equal(t, "Quays.", changed.JSON200.Description)
		late := patch(t, creator, made.ID, api.AreaUpdate{Name: new("Late")}, etag)
		apptest.Problem(t, http.StatusPreconditionFailed, late.HTTPResponse, late.Body)

		top := patch(t, creator, made.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullNullable[uuid.UUID]()})
		require.True(t, top.JSON200.ParentAreaID.IsNull())
		response, body := s.Call(creator, http.MethodGet, "/api/v1/areas/"+made.ID.String(), "", nil)
		require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	})

	t.Run("belong to their creator, and to those who look after them", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, other, moderator, admin := s.User(), s.User(), s.As("moderator"), s.As("admin")
		made := s.Area(creator, "Harbour")
		refused := patch(t, other, made.ID, api.AreaUpdate{Name: new("Mine")})
		require.Equal(t, "/problems/not_owner", apptest.Problem(t, http.StatusForbidden, refused.HTTPResponse, refused.Body).Type)
		require.NotNil(t, patch(t, moderator, made.ID, api.AreaUpdate{Name: new("Ours")}).JSON200)
		for by, want := range map[*apptest.Client]int{other: http.StatusForbidden, moderator: http.StatusForbidden} {
			got, err := by.DeleteAreaWithResponse(ctx, made.ID, nil)
			require.NoError(t, err)
			require.Equal(t, want, got.StatusCode())
		}
		verified, err := moderator.VerifyAreaWithResponse(ctx, made.ID)
		require.NoError(t, err)
		require.True(t, verified.JSON200.IsVerified)
		withdrawn, err := moderator.UnverifyAreaWithResponse(ctx, made.ID)
		require.NoError(t, err)
		require.False(t, withdrawn.JSON200.IsVerified)
		require.True(t, s.Area(moderator, "Checked").IsVerified)
		gone, err := admin.DeleteAreaWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, gone.StatusCode())
		missing := patch(t, creator, made.ID, api.AreaUpdate{Name: new("Back")})
		apptest.Problem(t, http.StatusNotFound, missing.HTTPResponse, missing.Body)
		anonymous, err := s.Anonymous().GetAreaWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusUnauthorized, anonymous.HTTPResponse, anonymous.Body)
	})

	t.Run("have names that are unique beneath a parent", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		first := s.Area(creator, "Harbour")
		s.Area(creator, "Harbour", beneath(first.ID))
		for _, in := range []api.AreaCreate{{Name: "Harbour"}, {Name: "Harbour", ParentAreaID: nullable.NewNullableWithValue(first.ID)}} {
			taken, err := creator.CreateAreaWithResponse(ctx, nil, in)
			require.NoError(t, err)
			require.Equal(t, "/problems/area_name_taken", apptest.Problem(t, http.StatusConflict, taken.HTTPResponse, taken.Body).Type)
		}
		s.Area(creator, "Café Łódź")
		for _, same := range []string{"Cafe\u0301 Łódź", "cafe lodz", " CAFÉ\u3000ŁÓDŹ ", "Caf\u200bé Łódź\u2060"} {
			taken, err := creator.CreateAreaWithResponse(ctx, nil, api.AreaCreate{Name: same})
			require.NoError(t, err)
			require.Equal(t, "/problems/area_name_taken", apptest.Problem(t, http.StatusConflict, taken.HTTPResponse, taken.Body).Type, same)
		}
		deleted, err := creator.DeleteAreaWithResponse(ctx, first.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deleted.StatusCode())
		s.Area(creator, "Harbour")

		statuses := make([]int, 8)
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() {
				got, err := creator.CreateAreaWithResponse(ctx, nil, api.AreaCreate{Name: "Rush"})
				if err == nil {
					statuses[i] = got.StatusCode()
				}
			})
		}
		wg.Wait()
		require.ElementsMatch(t, []int{201, 409, 409, 409, 409, 409, 409, 409}, statuses)
	})

	t.Run("nest ten levels, without circles", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		chain := []api.Area{s.Area(creator, "1")}
		for level := 2; level <= area.MaxDepth; level++ {
			chain = append(chain, s.Area(creator, fmt.Sprint(level), beneath(chain[len(chain)-1].ID)))
		}
		deep, err := creator.CreateAreaWithResponse(ctx, nil, api.AreaCreate{Name: "11", ParentAreaID: nullable.NewNullableWithValue(chain[9].ID)})
		require.NoError(t, err)
		require.Equal(t, "/problems/area_too_deep", apptest.Problem(t, http.StatusUnprocessableEntity, deep.HTTPResponse, deep.Body).Type)
		pair := s.Area(creator, "pair")
		s.Area(creator, "child", beneath(pair.ID))
		tooHigh := patch(t, creator, pair.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(chain[8].ID)})
		require.Equal(t, "/problems/area_too_deep", apptest.Problem(t, http.StatusUnprocessableEntity, tooHigh.HTTPResponse, tooHigh.Body).Type)
		fits := patch(t, creator, pair.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(chain[7].ID)})
		require.NotNil(t, fits.JSON200, string(fits.Body))
		for _, to := range []uuid.UUID{chain[0].ID, chain[5].ID} {
			circle := patch(t, creator, chain[0].ID, api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(to)})
			require.Equal(t, "/problems/area_circle", apptest.Problem(t, http.StatusUnprocessableEntity, circle.HTTPResponse, circle.Body).Type)
		}
		unknown := patch(t, creator, pair.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(uuid.New())})
		require.Equal(t, "/problems/parent_area_unknown", apptest.Problem(t, http.StatusUnprocessableEntity, unknown.HTTPResponse, unknown.Body).Type)
	})

	t.Run("can't make a circle by two moves at once", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		for i := range 5 {
			a, b := s.Area(creator, fmt.Sprint("a", i)), s.Area(creator, fmt.Sprint("b", i))
			var wg sync.WaitGroup
			wg.Go(func() { patch(t, creator, a.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(b.ID)}) })
			wg.Go(func() { patch(t, creator, b.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(a.ID)}) })
			wg.Wait()
			circles := 0
			require.NoError(t, s.Store.Pool.QueryRow(ctx, `SELECT count(*) FROM areas x JOIN areas y ON x.parent_area_id = y.id WHERE y.parent_area_id = x.id`).Scan(&circles))
			require.Zero(t, circles)
		}
	})

	t.Run("take all that lies in them along when they are deleted", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		root := s.Area(creator, "Root")
		child := s.Area(creator, "Child", beneath(root.ID))
		grandchild := s.Area(creator, "Grandchild", beneath(child.ID))
		beside := s.Area(creator, "Beside")
		here := geo.Point{Latitude: 53.8, Longitude: 8.7}
		for i, in := range []uuid.UUID{root.ID, child.ID, grandchild.ID, beside.ID} {
			s.Landmark(creator, in, "Stone", geo.Point{Latitude: here.Latitude + float64(i)/1000, Longitude: here.Longitude})
		}
		early := s.Landmark(creator, grandchild.ID, "Early", here)
		gone, err := creator.DeleteLandmarkWithResponse(ctx, early.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, gone.StatusCode())

		stale := `"stale"`
		refused, err := creator.DeleteAreaWithResponse(ctx, root.ID, &api.DeleteAreaParams{IfMatch: &stale})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusPreconditionFailed, refused.HTTPResponse, refused.Body)
		deleted, err := creator.DeleteAreaWithResponse(ctx, root.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deleted.StatusCode(), string(deleted.Body))

		var deletions, areas, landmarks int
		require.NoError(t, s.Store.Pool.QueryRow(ctx, `SELECT count(DISTINCT d), count(*) FILTER (WHERE kind = 'area'), count(*) FILTER (WHERE kind = 'landmark')
			FROM (SELECT deletion_id AS d, 'area' AS kind FROM areas WHERE deleted_at IS NOT NULL
				UNION ALL SELECT deletion_id, 'landmark' FROM landmarks WHERE deleted_at IS NOT NULL AND name = 'Stone') x`).
			Scan(&deletions, &areas, &landmarks))
		require.Equal(t, []int{1, 3, 3}, []int{deletions, areas, landmarks})
		near, err := creator.ListNearbyLandmarksWithResponse(ctx, &api.ListNearbyLandmarksParams{Latitude: here.Latitude, Longitude: here.Longitude, RadiusMeters: 5000})
		require.NoError(t, err)
		require.Len(t, near.JSON200.Items, 1)
		nearAreas, err := creator.ListNearbyAreasWithResponse(ctx, &api.ListNearbyAreasParams{Latitude: here.Latitude, Longitude: here.Longitude, RadiusMeters: 5000})
		require.NoError(t, err)
		require.Len(t, nearAreas.JSON200.Items, 1)
		require.Equal(t, beside.ID, nearAreas.JSON200.Items[0].ID)
		all, err := creator.ListAreasWithResponse(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, 1, *all.JSON200.Total)
		inside, err := creator.ListAreaLandmarksWithResponse(ctx, child.ID, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusNotFound, inside.HTTPResponse, inside.Body)
		onto, err := creator.CreateAreaWithResponse(ctx, nil, api.AreaCreate{Name: "Late", ParentAreaID: nullable.NewNullableWithValue(child.ID)})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusUnprocessableEntity, onto.HTTPResponse, onto.Body)
	})

	t.Run("refuse what the contract does not know, and name all of it", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		made := s.Area(creator, "Harbour")
		post := func(body string) api.Problem {
			response, data := s.Call(creator, http.MethodPost, "/api/v1/areas", "application/json", strings.NewReader(body))
			return apptest.Problem(t, http.StatusBadRequest, response, data)
		}
		p := post(`{"name": "", "description": 1, "colour": "red", "parent_area_id": "x"}`)
		require.Len(t, *p.Errors, 4)
		for _, body := range []string{``, `{`, `[]`, `{"name":"a","name":"b"}`, `{"name":"a"} {}`, "{\"name\":\"a\\u0000\"}", "{\"name\":\"\xff\"}"} {
			post(body)
		}
		blank, err := creator.CreateAreaWithResponse(ctx, nil, api.AreaCreate{Name: " \t "})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusUnprocessableEntity, blank.HTTPResponse, blank.Body)
		blankPatch := patch(t, creator, made.ID, api.AreaUpdate{Name: new(" ")})
		apptest.Problem(t, http.StatusUnprocessableEntity, blankPatch.HTTPResponse, blankPatch.Body)
		for _, query := range []string{"colour=red", "size=0", "size=101", "page=0", "page=1&cursor=", "cursor=x", "is_verified=maybe", "sort_by=colour", "size=5&size=6", "created_by=me", "page=%zz", "sort_order=up"} {
			response, data := s.Call(creator, http.MethodGet, "/api/v1/areas?"+query, "", nil)
			apptest.Problem(t, http.StatusBadRequest, response, data)
		}
		response, data := s.Call(creator, http.MethodGet, "/api/v1/areas/not-an-id", "", nil)
		apptest.Problem(t, http.StatusBadRequest, response, data)
		response, data = s.Call(creator, http.MethodPatch, "/api/v1/areas/"+made.ID.String(), "application/json", strings.NewReader(`{}`))
		apptest.Problem(t, http.StatusUnsupportedMediaType, response, data)
		response, data = s.Call(creator, http.MethodPatch, "/api/v1/areas/"+made.ID.String(), "application/merge-patch+json", strings.NewReader(`{"name":null}`))
		apptest.Problem(t, http.StatusBadRequest, response, data)
	})

	t.Run("are listed by pages and by cursor, filtered and sorted", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, moderator := s.User(), s.As("moderator")
		parent := s.Area(creator, "parent")
		for i := range 7 {
			s.Area(creator, fmt.Sprintf("area %d", i), beneath(parent.ID))
		}
		s.Area(moderator, "checked")
		list := func(params api.ListAreasParams) api.AreaList {
			got, err := creator.ListAreasWithResponse(ctx, &params)
			require.NoError(t, err)
			require.NotNil(t, got.JSON200, string(got.Body))
			return *got.JSON200
		}
		require.Equal(t, 9, *list(api.ListAreasParams{}).Total)
		require.Equal(t, 7, *list(api.ListAreasParams{ParentAreaID: &parent.ID}).Total)
		require.Equal(t, 1, *list(api.ListAreasParams{IsVerified: new(true)}).Total)
		require.Equal(t, 8, *list(api.ListAreasParams{CreatedBy: &creator.ID, Size: new(3)}).Total)
		for _, by := range []api.ListAreasParamsSortBy{api.ListAreasParamsSortByName, api.ListAreasParamsSortByCreatedAt, api.ListAreasParamsSortByUpdatedAt} {
			for _, order := range []api.ListAreasParamsSortOrder{"asc", "desc"} {
				whole := list(api.ListAreasParams{SortBy: &by, SortOrder: &order})
				var walked []api.Area
				for cursor := new(""); cursor != nil; {
					page := list(api.ListAreasParams{SortBy: &by, SortOrder: &order, Cursor: cursor, Size: new(2)})
					require.Nil(t, page.Total)
					walked = append(walked, page.Items...)
					cursor = page.NextCursor
				}
				require.Equal(t, whole.Items, walked, "%s %s", by, order)
			}
		}
		foreign := list(api.ListAreasParams{Cursor: new(""), Size: new(1)}).NextCursor
		mismatch, err := creator.ListAreasWithResponse(ctx, &api.ListAreasParams{Cursor: foreign, IsVerified: new(true)})
		require.NoError(t, err)
		require.Equal(t, "/problems/cursor_mismatch", apptest.Problem(t, http.StatusBadRequest, mismatch.HTTPResponse, mismatch.Body).Type)
	})
}

func TestNearbyAreas(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	creator, moderator := s.User(), s.As("moderator")
	center := geo.Point{Latitude: 53.8, Longitude: 8.7}
	north := func(meters float64) geo.Point {
		return geo.Point{Latitude: center.Latitude + meters/111_300, Longitude: center.Longitude}
	}
	inside, partly, checked := s.Area(creator, "inside"), s.Area(creator, "partly"), s.Area(moderator, "checked")
	s.Area(creator, "empty")
	s.Landmark(creator, inside.ID, "a", north(100))
	s.Landmark(creator, inside.ID, "b", north(200))
	s.Landmark(creator, partly.ID, "a", north(50))
	s.Landmark(creator, partly.ID, "b", north(5000))
	s.Landmark(creator, checked.ID, "a", north(300))
	near := func(params api.ListNearbyAreasParams) api.NearbyAreaList {
		params.Latitude, params.Longitude, params.RadiusMeters = center.Latitude, center.Longitude, 1000
		got, err := creator.ListNearbyAreasWithResponse(ctx, &params)
		require.NoError(t, err)
		require.NotNil(t, got.JSON200, string(got.Body))
		return *got.JSON200
	}
	ids := func(list api.NearbyAreaList) (ids []uuid.UUID) {
		for _, item := range list.Items {
			ids = append(ids, item.ID)
		}
		return ids
	}
	all := near(api.ListNearbyAreasParams{})
	require.Equal(t, []uuid.UUID{partly.ID, inside.ID, checked.ID}, ids(all))
	require.Equal(t, 3, *all.Total)
	require.Equal(t, []int{1, 2, 1}, []int{all.Items[0].LandmarkCount, all.Items[1].LandmarkCount, all.Items[2].LandmarkCount})
	require.InDelta(t, center.DistanceMeters(north(50)), all.Items[0].DistanceMeters, 0.01)
	require.Equal(t, []uuid.UUID{inside.ID, checked.ID}, ids(near(api.ListNearbyAreasParams{RequireAllLandmarksInRadius: new(true)})))
	require.Equal(t, []uuid.UUID{checked.ID}, ids(near(api.ListNearbyAreasParams{IsVerified: new(true)})))
	behind := near(api.ListNearbyAreasParams{Page: new(5)})
	require.Empty(t, behind.Items)
	require.Equal(t, 3, *behind.Total)
	var walked []uuid.UUID
	for cursor := new(""); cursor != nil; {
		page := near(api.ListNearbyAreasParams{Cursor: cursor, Size: new(1)})
		walked = append(walked, ids(page)...)
		cursor = page.NextCursor
	}
	require.Equal(t, ids(all), walked)
}
