package trash_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/store"
)

// TestNoOperationShowsDeletedThings deletes one of each and then asks every
// operation of the contract that reads, as an admin, who sees the most.
func TestNoOperationShowsDeletedThings(t *testing.T) {
	t.Parallel()
	b := of(t, apptest.New(t))
	spec, err := api.GetSpec()
	require.NoError(t, err)
	at := harbour(1)

	// A twin of each stays, so that no answer is empty for another reason.
	type things struct{ area, beneath, landmark, user, unlock string }
	build := func(name string) (made things, delete func()) {
		owner := b.User()
		top := b.Area(b.admin, name)
		beneath := b.Area(b.admin, name+" pier", within(top.ID))
		landmark := b.Landmark(b.admin, beneath.ID, name+" crane", at, func(in *api.LandmarkCreate) { in.AllowDuplicate = ptr(true) })
		unlock := b.Decided(owner, b.Attempt(owner, landmark.ID, apptest.Photo(t, at, time.Now()), at).ID).UnlockID.MustGet()
		b.put(b.admin, "/api/v1/areas/"+top.ID.String()+"/image")
		b.put(b.admin, "/api/v1/landmarks/"+landmark.ID.String()+"/image")
		b.put(owner, "/api/v1/me/avatar")
		return things{top.ID.String(), beneath.ID.String(), landmark.ID.String(), owner.ID.String(), unlock.String()}, func() {
			require.NoError(t, b.Store.InTx(as(b.admin), func(ctx context.Context, tx *store.Tx) error {
				return tx.Unlock.DeleteOneID(unlock).Exec(ctx)
			}))
			b.deleteArea(b.admin, top.ID)
			b.deleteMe(owner)
		}
	}
	gone, remove := build("Gone")
	kept, _ := build("Kept")
	query := map[string]string{
		"latitude": fmt.Sprint(at.Latitude), "longitude": fmt.Sprint(at.Longitude), "radius_meters": "1000", "size": "100",
		"load_from_same_area": "true", "include_descendants": "true", "bbox": "-180,-90,180,90",
	}
	// read asks an operation about one of the two sets of things.
	read := func(path string, o *openapi3.Operation, about things) (*http.Response, string) {
		t.Helper()
		target := strings.NewReplacer("{area_id}", about.area, "{landmark_id}", about.landmark, "{user_id}", about.user, "{unlock_id}", about.unlock).Replace(path)
		if strings.Contains(path, "/areas/{area_id}/landmarks") {
			target = strings.Replace(target, about.area, about.beneath, 1)
		}
		separator := "?"
		for _, p := range o.Parameters {
			if value, ok := query[p.Value.Name]; ok && p.Value.In == "query" {
				target += separator + p.Value.Name + "=" + value
				separator = "&"
			}
		}
		response, body := b.Call(b.admin, http.MethodGet, target, "", nil)
		return response, string(body)
	}
	type operation struct {
		path string
		*openapi3.Operation
	}
	var operations []operation
	for path, item := range spec.Paths.Map() {
		// The trash and the audit log are there to show it.
		if item.Get != nil && strings.HasPrefix(path, "/api/v1/") && !strings.HasPrefix(path, "/api/v1/admin/trash") &&
			!strings.HasPrefix(path, "/api/v1/admin/audit") && path != "/api/v1/me/export" {
			operations = append(operations, operation{path, item.Get})
		}
	}
	require.Greater(t, len(operations), 15)

	item := func(id string) string { return `"id":"` + id + `"` }
	shows := func(body string, of things) (found []string) {
		for kind, id := range map[string]string{"area": of.area, "area beneath": of.beneath, "landmark": of.landmark, "user": of.user, "unlock": of.unlock} {
			if strings.Contains(body, item(id)) {
				found = append(found, kind)
			}
		}
		return found
	}
	// What each operation showed before says that the test can see anything at all.
	seen, byID := map[string]bool{}, map[string]bool{}
	for _, o := range operations {
		response, body := read(o.path, o.Operation, gone)
		if response.StatusCode != http.StatusOK {
			continue
		}
		for _, kind := range shows(body, gone) {
			seen[kind] = true
		}
		if strings.Contains(o.path, "{area_id}") || strings.Contains(o.path, "{landmark_id}") || strings.Contains(o.path, "{user_id}") || strings.Contains(o.path, "{unlock_id}") {
			byID[o.path] = true
		}
	}
	require.Len(t, seen, 5, "%v", seen)
	for _, path := range []string{"/api/v1/areas/{area_id}", "/api/v1/areas/{area_id}/image", "/api/v1/areas/{area_id}/landmarks", "/api/v1/landmarks/{landmark_id}", "/api/v1/landmarks/{landmark_id}/image", "/api/v1/users/{user_id}/avatar", "/api/v1/unlocks/{unlock_id}"} {
		require.True(t, byID[path], path)
	}

	remove()
	for _, o := range operations {
		t.Run(o.OperationID, func(t *testing.T) {
			response, body := read(o.path, o.Operation, gone)
			require.Empty(t, shows(body, gone))
			if byID[o.path] {
				require.Equal(t, http.StatusNotFound, response.StatusCode, body)
			}
			response, body = read(o.path, o.Operation, kept)
			if byID[o.path] {
				require.Equal(t, http.StatusOK, response.StatusCode, body)
			}
			require.Empty(t, shows(body, gone))
		})
	}

	t.Run("totals and counts", func(t *testing.T) {
		areas, err := b.admin.ListAreasWithResponse(b.ctx, &api.ListAreasParams{Size: ptr(1)})
		require.NoError(t, err)
		require.Equal(t, 2, *areas.JSON200.Total)
		landmarks, err := b.admin.ListLandmarksWithResponse(b.ctx, &api.ListLandmarksParams{Size: ptr(1)})
		require.NoError(t, err)
		require.Equal(t, 1, *landmarks.JSON200.Total)
		near, err := b.admin.ListNearbyLandmarksWithResponse(b.ctx, &api.ListNearbyLandmarksParams{Latitude: at.Latitude, Longitude: at.Longitude, RadiusMeters: 100, Page: ptr(2), Size: ptr(1)})
		require.NoError(t, err)
		require.Equal(t, 1, *near.JSON200.Total)
		around, err := b.admin.ListNearbyAreasWithResponse(b.ctx, &api.ListNearbyAreasParams{Latitude: at.Latitude, Longitude: at.Longitude, RadiusMeters: 100})
		require.NoError(t, err)
		require.Equal(t, 1, *around.JSON200.Total)
		require.Equal(t, 1, around.JSON200.Items[0].LandmarkCount)
		unlocks, err := b.admin.ListUnlocksWithResponse(b.ctx, &api.ListUnlocksParams{Size: ptr(1)})
		require.NoError(t, err)
		require.Equal(t, 1, *unlocks.JSON200.Total)
		users, err := b.admin.ListUsersWithResponse(b.ctx, &api.ListUsersParams{Size: ptr(1)})
		require.NoError(t, err)
		require.Equal(t, 3, *users.JSON200.Total)
		roles, err := b.admin.ListRolesWithResponse(b.ctx, nil)
		require.NoError(t, err)
		members := 0
		for _, r := range roles.JSON200.Items {
			members += r.MemberCount
		}
		require.Equal(t, 3, members)
	})

	t.Run("and nothing that writes reaches them", func(t *testing.T) {
		for path, method := range map[string]string{
			"/api/v1/areas/" + gone.area:                           http.MethodDelete,
			"/api/v1/landmarks/" + gone.landmark:                   http.MethodDelete,
			"/api/v1/areas/" + gone.area + "/verification":         http.MethodPost,
			"/api/v1/areas/" + gone.area + "/image":                http.MethodDelete,
			"/api/v1/landmarks/" + gone.landmark + "/image":        http.MethodDelete,
			"/api/v1/landmarks/" + gone.landmark + "/verification": http.MethodPost,
		} {
			response, body := b.Call(b.admin, method, path, "", nil)
			apptest.Problem(t, http.StatusNotFound, response, body)
		}
		made, err := b.admin.CreateLandmarkWithResponse(b.ctx, nil, api.LandmarkCreate{AreaID: uuid.MustParse(gone.area), Name: "x", Latitude: 1, Longitude: 1})
		require.NoError(t, err)
		require.Equal(t, http.StatusUnprocessableEntity, made.StatusCode())
	})
}
