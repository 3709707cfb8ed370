package account_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
)

var lighthouse = geo.Point{Latitude: 53.8671, Longitude: 8.7206}

func TestProfileIsChanged(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	user := s.User()
	try := func(in api.MeUpdate, params *api.UpdateMeParams) *api.UpdateMeResponse {
		got, err := user.UpdateMeWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, params, in)
		require.NoError(t, err)
		return got
	}
	update := func(t *testing.T, in api.MeUpdate, params *api.UpdateMeParams) api.Me {
		t.Helper()
		got := try(in, params)
		require.NotNil(t, got.JSON200, string(got.Body))
		return *got.JSON200
	}
	patch := func(body string) (*http.Response, []byte) {
		return s.Call(user, http.MethodPatch, "/api/v1/me", mergeType, strings.NewReader(body))
	}
	named := func(name string) api.MeUpdate {
		return api.MeUpdate{DisplayName: nullable.NewNullableWithValue(name)}
	}

	t.Run("field by field", func(t *testing.T) {
		before := me(t, user)
		require.True(t, before.DisplayName.IsNull())
		require.True(t, before.Avatar.IsNull())
		require.Empty(t, before.Bio)
		require.Equal(t, []string{user.Username, user.Email, "user"}, []string{before.Username, string(before.Email), before.Role})
		after := update(t, named("  Ada 🗼 "), nil)
		require.Equal(t, "Ada 🗼", after.DisplayName.MustGet())
		require.True(t, after.UpdatedAt.After(before.UpdatedAt))
		after = update(t, api.MeUpdate{Bio: nullable.NewNullableWithValue("Collects lighthouses.")}, nil)
		require.Equal(t, "Ada 🗼", after.DisplayName.MustGet(), "what is absent stays")
		require.Equal(t, "Collects lighthouses.", after.Bio)
		after = update(t, api.MeUpdate{DisplayName: nullable.NewNullNullable[string]()}, nil)
		require.True(t, after.DisplayName.IsNull())
		require.Equal(t, "Collects lighthouses.", after.Bio)
		require.Empty(t, update(t, api.MeUpdate{Bio: nullable.NewNullableWithValue("")}, nil).Bio)
		require.Equal(t, after.CreatedAt, me(t, user).CreatedAt)
		update(t, api.MeUpdate{Bio: nullable.NewNullableWithValue("Again.")}, nil)
		require.Empty(t, update(t, api.MeUpdate{Bio: nullable.NewNullNullable[string]()}, nil).Bio, "null clears")
	})

	t.Run("or refused", func(t *testing.T) {
		before := me(t, user)
		for body, at := range map[string]string{
			`{"name":"Ada"}`:      "/name",
			`{"role":"admin"}`:    "/role",
			`{"email":"a@b.org"}`: "/email",
			`{"username":"ada"}`:  "/username",
			`{"display_name":""}`: "/display_name",
			`{"display_name":7}`:  "/display_name",
			`{"bio":"\u0000"}`:    "/bio",
			`{"display_name":"` + strings.Repeat("é", 65) + `"}`: "/display_name",
			`{"bio":"` + strings.Repeat("é", 501) + `"}`:         "/bio",
		} {
			response, data := patch(body)
			require.Equal(t, at, pointer(t, refused(t, http.StatusBadRequest, "invalid_request", response, data)), body)
		}
		response, data := patch(`{"display_name":" \u00a0\t"}`)
		require.Equal(t, "/display_name", pointer(t, refused(t, http.StatusUnprocessableEntity, "display_name_blank", response, data)))
		for _, blank := range []string{`\u200b`, `\u3164`, `\u2800`} {
			response, data = patch(`{"display_name":"` + blank + `"}`)
			refused(t, http.StatusUnprocessableEntity, "display_name_blank", response, data)
		}
		for _, unfit := range []string{`a\u202eb`, `a\u0007b`, `\ufffe`} {
			response, data = patch(`{"display_name":"` + unfit + `"}`)
			require.Equal(t, "/display_name", pointer(t, refused(t, http.StatusUnprocessableEntity, "name_invalid", response, data)))
		}
		response, data = patch(`{`)
		apptest.Problem(t, http.StatusBadRequest, response, data)
		response, data = s.Call(user, http.MethodPatch, "/api/v1/me", "text/plain", strings.NewReader(`{}`))
		apptest.Problem(t, http.StatusUnsupportedMediaType, response, data)
		response, data = s.Call(nil, http.MethodPatch, "/api/v1/me", mergeType, strings.NewReader(`{}`))
		refused(t, http.StatusUnauthorized, "unauthenticated", response, data)
		require.Equal(t, before, me(t, user))
	})

	t.Run("in the version that was seen", func(t *testing.T) {
		got, err := user.GetMeWithResponse(ctx, nil)
		require.NoError(t, err)
		seen := got.HTTPResponse.Header.Get("ETag")
		same, err := user.GetMeWithResponse(ctx, &api.GetMeParams{IfNoneMatch: &seen})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotModified, same.StatusCode())
		require.Empty(t, same.Body)

		unchanged := try(api.MeUpdate{}, &api.UpdateMeParams{IfMatch: &seen})
		require.Equal(t, seen, unchanged.HTTPResponse.Header.Get("ETag"), "nothing has changed")
		changed := try(named("Ada"), &api.UpdateMeParams{IfMatch: &seen})
		require.NotNil(t, changed.JSON200, string(changed.Body))
		tag := changed.HTTPResponse.Header.Get("ETag")
		require.NotEqual(t, seen, tag)
		late := try(named("Grace"), &api.UpdateMeParams{IfMatch: &seen})
		refused(t, http.StatusPreconditionFailed, "version_changed", late.HTTPResponse, late.Body)
		require.Equal(t, "Ada", me(t, user).DisplayName.MustGet())
		other, err := user.GetMeWithResponse(ctx, &api.GetMeParams{IfNoneMatch: &seen})
		require.NoError(t, err)
		require.NotNil(t, other.JSON200)
		require.Equal(t, tag, other.HTTPResponse.Header.Get("ETag"))
		update(t, named("Grace"), &api.UpdateMeParams{IfMatch: ptr("*")})
	})

	t.Run("on record, or not at all", func(t *testing.T) {
		require.Positive(t, count(t, s, `SELECT count(*) FROM audit_logs WHERE entity_type = 'user' AND action = 'update'
			AND actor_id = $1 AND entity_id = $1 AND changes ? 'display_name'`, user.ID))
		relent := s.Refuse("INSERT", "audit_logs")
		got := try(named("Hedy"), nil)
		relent()
		refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		require.Equal(t, "Grace", me(t, user).DisplayName.MustGet())
	})
}
