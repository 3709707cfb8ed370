package rbac_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/rbac"
)

func TestRolesAndPolicyAreForThoseWhoManageThem(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	callers := map[*apptest.Client]int{
		s.Anonymous(): http.StatusUnauthorized, s.User(): http.StatusForbidden, s.As("moderator"): http.StatusForbidden,
	}
	for _, operation := range []string{
		"GET /roles", "POST /roles", "GET /roles/user", "PATCH /roles/user", "DELETE /roles/user", "PUT /roles/user/permissions", "GET /permissions",
		"GET /policy", "PUT /policy", "POST /policy/check", "GET /policy/versions", "POST /policy/versions/1/revert",
	} {
		method, path, _ := strings.Cut(operation, " ")
		for by, status := range callers {
			response, body := s.Call(by, method, "/api/v1/admin"+path, "", nil)
			apptest.Problem(t, status, response, body)
		}
	}
	require.Equal(t, int64(1), s.Policy.Live().Version())
}

// What one process says about a role holds on another one within a second.
func TestRolesWatchTakesInWhatOthersChange(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	cursors, err := page.NewCodec(make([]byte, 32))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	other, err := rbac.NewRoles(ctx, s.Store, s.Policy, cursors)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		other.Watch(ctx)
	}()
	for _, requires := range []bool{true, false} {
		require.NotNil(t, patch(t, admin, "moderator", api.RoleUpdate{RequiresMfa: &requires}).JSON200)
		require.Eventually(t, func() bool { return other.RequiresMFA("moderator") == requires }, time.Minute, time.Millisecond)
	}
	require.NotNil(t, patch(t, admin, "moderator", api.RoleUpdate{RequiresMfa: new(true)}).JSON200)
	require.Eventually(t, func() bool { return other.RequiresMFA("moderator") }, time.Minute, time.Millisecond)
	_, err = s.Store.Pool.Exec(ctx, "ALTER TABLE roles RENAME TO elsewhere")
	require.NoError(t, err)
	time.Sleep(600 * time.Millisecond) // It looks twice a second.
	require.True(t, other.RequiresMFA("moderator"), "what was read last holds")
	cancel()
	<-done
	_, err = rbac.NewRoles(context.Background(), s.Store, s.Policy, cursors)
	require.ErrorContains(t, err, "read the roles")
}

func TestRolesOfABrokenPolicyAreNotEdited(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	_, err := s.Store.Pool.Exec(context.Background(), `INSERT INTO policy_versions (id, created_at, updated_at, version, text)
		VALUES (gen_random_uuid(), now(), now(), 2, 'p, user')`)
	require.NoError(t, err)
	in := api.RoleCreate{Name: "curator", Inherits: &[]string{"user"}}
	made := create(t, admin, in)
	refusedRole(t, http.StatusBadRequest, "invalid_policy", made.HTTPResponse, made.Body)
	changed := patch(t, admin, "moderator", api.RoleUpdate{Inherits: &[]string{}})
	refusedRole(t, http.StatusBadRequest, "invalid_policy", changed.HTTPResponse, changed.Body)
	gone := remove(t, admin, "moderator")
	refusedRole(t, http.StatusBadRequest, "invalid_policy", gone.HTTPResponse, gone.Body)
	require.Equal(t, "moderator", mustGet(t, admin, "moderator").Name)
}
