package account_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

func TestRoleThatRequiresSecondFactor(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	admin, moderator, user := s.As("admin"), s.As("moderator"), s.User()
	change := func(by *apptest.Client, role string, in api.RoleUpdate, params *api.UpdateRoleParams) *api.UpdateRoleResponse {
		got, err := by.UpdateRoleWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, role, params, in)
		require.NoError(t, err)
		return got
	}
	get := func(by *apptest.Client, role string, params *api.GetRoleParams) *api.GetRoleResponse {
		got, err := by.GetRoleWithResponse(ctx, role, params)
		require.NoError(t, err)
		return got
	}
	strict, lax := api.RoleUpdate{RequiresMfa: ptr(true)}, api.RoleUpdate{RequiresMfa: ptr(false)}
	areas := func(t *testing.T, by *apptest.Client) int {
		t.Helper()
		got, err := by.ListAreasWithResponse(ctx, nil)
		require.NoError(t, err)
		if got.JSON200 == nil {
			refused(t, http.StatusForbidden, "second_factor_required", got.HTTPResponse, got.Body)
		}
		return got.StatusCode()
	}

	t.Run("is for those to say who manage the policy", func(t *testing.T) {
		for _, by := range []*apptest.Client{user, moderator} {
			read := get(by, "moderator", nil)
			refused(t, http.StatusForbidden, "forbidden", read.HTTPResponse, read.Body)
			got := change(by, "moderator", strict, nil)
			refused(t, http.StatusForbidden, "forbidden", got.HTTPResponse, got.Body)
		}
		got := change(s.Anonymous(), "moderator", strict, nil)
		refused(t, http.StatusUnauthorized, "unauthenticated", got.HTTPResponse, got.Body)
		got = change(admin, "captain", strict, nil)
		refused(t, http.StatusNotFound, "not_found", got.HTTPResponse, got.Body)
		read := get(admin, "captain", nil)
		refused(t, http.StatusNotFound, "not_found", read.HTTPResponse, read.Body)
		response, body := s.Call(admin, http.MethodPatch, "/api/v1/admin/roles/moderator", mergeType, strings.NewReader(`{"requires_mfa":"yes"}`))
		require.Equal(t, "/requires_mfa", pointer(t, refused(t, http.StatusBadRequest, "invalid_request", response, body)))
	})

	first := get(admin, "moderator", nil)
	require.NotNil(t, first.JSON200, string(first.Body))
	require.False(t, first.JSON200.RequiresMfa)
	require.Equal(t, http.StatusOK, areas(t, moderator))

	t.Run("holds from the next request on", func(t *testing.T) {
		seen := first.HTTPResponse.Header.Get("ETag")
		got := change(admin, "moderator", strict, &api.UpdateRoleParams{IfMatch: &seen})
		require.NotNil(t, got.JSON200, string(got.Body))
		require.True(t, got.JSON200.RequiresMfa)
		require.Equal(t, http.StatusForbidden, areas(t, moderator))
		require.Equal(t, http.StatusOK, areas(t, user), "others go on")
		require.Equal(t, http.StatusOK, areas(t, admin), "also who inherits from it")

		stale := change(admin, "moderator", lax, &api.UpdateRoleParams{IfMatch: &seen})
		refused(t, http.StatusPreconditionFailed, "version_changed", stale.HTTPResponse, stale.Body)
		tag := got.HTTPResponse.Header.Get("ETag")
		require.Equal(t, http.StatusNotModified, get(admin, "moderator", &api.GetRoleParams{IfNoneMatch: &tag}).StatusCode())
		require.Equal(t, http.StatusOK, get(admin, "moderator", &api.GetRoleParams{IfNoneMatch: &seen}).StatusCode())
	})

	t.Run("lets one look after one's own account", func(t *testing.T) {
		require.Equal(t, "moderator", me(t, moderator).Role)
		require.Len(t, sessions(t, moderator, nil).Items, 1)
		enrol(t, s, moderator)
		require.Equal(t, http.StatusOK, areas(t, moderator), "in the same session")
	})

	t.Run("is not met by a refresh", func(t *testing.T) {
		other := s.As("moderator")
		tokens := login(t, s, other, nil)
		require.Equal(t, http.StatusForbidden, areas(t, withToken(t, s, other, tokens.AccessToken)))
		next := refresh(t, s, *tokens.RefreshToken)
		require.Equal(t, http.StatusForbidden, areas(t, withToken(t, s, other, next.AccessToken)))
	})

	t.Run("asks again once the factor is gone", func(t *testing.T) {
		other := s.As("moderator")
		a, codes := enrol(t, s, other)
		tokens := login(t, s, other, withOTP(a.next()))
		elsewhere := withToken(t, s, other, tokens.AccessToken)
		require.Equal(t, http.StatusOK, areas(t, elsewhere))
		require.Equal(t, http.StatusOK, areas(t, withToken(t, s, other, refresh(t, s, *tokens.RefreshToken).AccessToken)))
		removed, err := other.RemoveTotpWithResponse(ctx, confirmation(apptest.Password, codes[0]))
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, removed.StatusCode(), string(removed.Body))
		require.Equal(t, http.StatusForbidden, areas(t, other))
		require.Equal(t, http.StatusForbidden, areas(t, elsewhere))
	})

	t.Run("until it is lifted", func(t *testing.T) {
		other := s.As("moderator")
		require.Equal(t, http.StatusForbidden, areas(t, other))
		got := change(admin, "moderator", lax, nil)
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, http.StatusOK, areas(t, other))
		again := change(admin, "moderator", lax, nil)
		require.Equal(t, got.HTTPResponse.Header.Get("ETag"), again.HTTPResponse.Header.Get("ETag"), "nothing has changed")
		require.False(t, get(admin, "moderator", nil).JSON200.RequiresMfa)
	})
}

// Who requires a second factor of their own role needs one first, in the session in
// which they do so: they could not take it back.
func TestNobodyRequiresOfTheirOwnRoleWhatTheirSessionLacks(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	admin := s.As("admin")
	change := func(by *apptest.Client, in api.RoleUpdate) *api.UpdateRoleResponse {
		got, err := by.UpdateRoleWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, "admin", nil, in)
		require.NoError(t, err)
		return got
	}
	shut := func(by *apptest.Client) {
		t.Helper()
		got := change(by, api.RoleUpdate{RequiresMfa: ptr(true), Description: ptr("Governs.")})
		p := refused(t, http.StatusConflict, "session_unproven", got.HTTPResponse, got.Body)
		require.Equal(t, "/requires_mfa", pointer(t, p))
		role, err := by.GetRoleWithResponse(ctx, "admin", nil)
		require.NoError(t, err)
		require.NotNil(t, role.JSON200, string(role.Body))
		require.False(t, role.JSON200.RequiresMfa)
		require.Empty(t, role.JSON200.Description, "a change is made whole or not at all")
	}
	shut(admin)
	for _, in := range []api.RoleUpdate{{RequiresMfa: ptr(false)}, {Description: ptr("")}} {
		require.NotNil(t, change(admin, in).JSON200)
	}

	// A factor of somebody else's who has the role is none of the caller's.
	other := s.As("admin")
	enrol(t, s, other)
	shut(admin)
	enrol(t, s, admin)
	got := change(admin, api.RoleUpdate{RequiresMfa: ptr(true)})
	require.NotNil(t, got.JSON200, string(got.Body))
	require.True(t, got.JSON200.RequiresMfa)
	require.NotNil(t, change(admin, api.RoleUpdate{RequiresMfa: ptr(true)}).JSON200, "and again")
	late := change(s.As("admin"), api.RoleUpdate{RequiresMfa: ptr(false)})
	refused(t, http.StatusForbidden, "second_factor_required", late.HTTPResponse, late.Body)
}
