package landmark_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// A JSON Merge Patch changes of an object what it names, and null removes (RFC 7396).
func TestPatchesAreMerged(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour", func(in *api.AreaCreate) { in.Description = new("Quays.") })
	made := s.Landmark(creator, area.ID, "Lighthouse", here, func(in *api.LandmarkCreate) {
		in.Description, in.Hint = new("Tall."), new("Look up.")
	})
	path := "/api/v1/landmarks/" + made.ID.String()
	send := func(t *testing.T, patch string) (*http.Response, []byte) {
		t.Helper()
		return s.Call(creator, http.MethodPatch, path, "application/merge-patch+json", strings.NewReader(patch))
	}
	get := func(t *testing.T, id uuid.UUID) api.Landmark {
		t.Helper()
		got, err := creator.GetLandmarkWithResponse(t.Context(), id, nil)
		require.NoError(t, err)
		return *got.JSON200
	}
	refused := func(t *testing.T, patch string, pointers ...string) {
		t.Helper()
		before := get(t, made.ID)
		response, body := send(t, patch)
		var named []string
		for _, fault := range *apptest.Problem(t, http.StatusBadRequest, response, body).Errors {
			named = append(named, *fault.Pointer)
		}
		slices.Sort(named)
		require.Equal(t, pointers, named, string(body))
		require.Equal(t, before, get(t, made.ID))
	}
	merged := func(t *testing.T, patch string, latitude, longitude float64) {
		t.Helper()
		response, body := send(t, patch)
		require.Equal(t, http.StatusOK, response.StatusCode, string(body))
		at := get(t, made.ID).PhotoLocation.MustGet()
		require.Equal(t, []float64{latitude, longitude}, []float64{at.Latitude, at.Longitude})
	}

	refused(t, `{"photo_location":{"latitude":53.9}}`, "/photo_location/longitude")
	refused(t, `{"photo_location":{"longitude":8.7}}`, "/photo_location/latitude")
	refused(t, `{"photo_location":{}}`, "/photo_location")
	merged(t, `{"photo_location":{"latitude":53.9,"longitude":8.7}}`, 53.9, 8.7)
	merged(t, `{"photo_location":{"latitude":0}}`, 0, 8.7)
	merged(t, `{"photo_location":{"longitude":-180}}`, 0, -180)
	merged(t, `{"hint":"Look down."}`, 0, -180)
	refused(t, `{"photo_location":{"latitude":91}}`, "/photo_location/latitude")
	refused(t, `{"photo_location":{"latitude":null}}`, "/photo_location/latitude")
	refused(t, `{"photo_location":{"height":1}}`, "/photo_location/height")

	response, body := send(t, `{"photo_location":null,"description":null,"hint":null}`)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	cleared := get(t, made.ID)
	require.True(t, cleared.PhotoLocation.IsNull())
	require.Empty(t, cleared.Description+cleared.Hint)
	refused(t, `{"photo_location":{"latitude":1}}`, "/photo_location/longitude")
	refused(t, `{"name":null}`, "/name")

	response, body = s.Call(creator, http.MethodPatch, "/api/v1/areas/"+area.ID.String(), "application/merge-patch+json", strings.NewReader(`{"description":null}`))
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	changed, err := creator.GetAreaWithResponse(t.Context(), area.ID, nil)
	require.NoError(t, err)
	require.Empty(t, changed.JSON200.Description)
}
