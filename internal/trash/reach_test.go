package trash_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/version"
)

func (b *bundle) edit(fn func(text string) string) {
	b.t.Helper()
	_, err := b.Policy.Edit(b.ctx, version.Precondition{}, "", func(text string) (string, error) { return fn(text), nil })
	require.NoError(b.t, err)
}

// Whoever looks after the trash restores and purges no account whose role allows more
// than their own.
func TestAccountsBeyondTheCallersRole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.edit(func(text string) string { return text + "g, janitor, user\np, janitor, trash, manage, any, allow\n" })
	janitor := b.As("janitor")
	user, moderator, admin := b.User(), b.As("moderator"), b.As("admin")
	for _, gone := range []*apptest.Client{user, moderator, admin} {
		b.deleteMe(gone)
	}
	beyond := func(response *http.Response, body []byte) {
		t.Helper()
		p := apptest.Problem(t, http.StatusForbidden, response, body)
		require.Equal(t, "/problems/role_exceeds_own", p.Type)
	}
	for _, gone := range []*apptest.Client{moderator, admin} {
		restored, err := janitor.RestoreUserWithResponse(b.ctx, gone.ID)
		require.NoError(t, err)
		beyond(restored.HTTPResponse, restored.Body)
		purged, err := janitor.PurgeUserWithResponse(b.ctx, gone.ID)
		require.NoError(t, err)
		beyond(purged.HTTPResponse, purged.Body)
	}
	require.Equal(t, 3, b.count("users WHERE deleted_at IS NOT NULL"))

	restored, err := janitor.RestoreUserWithResponse(b.ctx, user.ID)
	require.NoError(t, err)
	require.NotNil(t, restored.JSON200, string(restored.Body))
	b.deleteMe(b.LogIn(user.ID, user.Username, user.Email))
	purged, err := janitor.PurgeUserWithResponse(b.ctx, user.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, purged.StatusCode(), string(purged.Body))

	back := b.restoreUser(admin.ID)
	require.NotNil(t, back.JSON200, string(back.Body))
	purged, err = b.admin.PurgeUserWithResponse(b.ctx, moderator.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, purged.StatusCode(), string(purged.Body))
}

// An account whose role was deleted meanwhile comes back with the one that every new
// account has, both when an admin restores it and when its owner logs in.
func TestAccountsComeBackWithARoleThatIsThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, comeBack := range map[string]func(*apptest.Client){
		"restored": func(gone *apptest.Client) {
			got := b.restoreUser(gone.ID)
			require.NotNil(t, got.JSON200, string(got.Body))
		},
		"logged in": func(gone *apptest.Client) { b.LogIn(gone.ID, gone.Username, gone.Email) },
	} {
		b.edit(func(text string) string { return text + "g, curator, moderator\n" })
		lost, kept := b.As("curator"), b.As("moderator")
		b.deleteMe(lost)
		b.deleteMe(kept)
		b.edit(func(text string) string { return strings.ReplaceAll(text, "g, curator, moderator\n", "") })
		comeBack(lost)
		comeBack(kept)
		for _, back := range []struct {
			*apptest.Client
			role    string
			changes int
		}{{lost, "user", 1}, {kept, "moderator", 0}} {
			found, err := b.admin.GetUserWithResponse(b.ctx, back.ID, nil)
			require.NoError(t, err)
			require.NotNil(t, found.JSON200, string(found.Body))
			require.Equal(t, back.role, found.JSON200.Role, name)
			require.Equal(t, 1, b.count("audit_logs WHERE entity_id = $1 AND action = 'restore'", back.ID), name)
			require.Equal(t, back.changes, b.count("audit_logs WHERE entity_id = $1 AND changes ? 'role' AND action <> 'create'", back.ID), name)
		}
		me, err := b.LogIn(lost.ID, lost.Username, lost.Email).GetMeWithResponse(context.Background(), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, me.StatusCode())
	}
	// No role that is not there is left behind, so that every edit of the policy is taken.
	made, err := b.admin.CreateRoleWithResponse(b.ctx, nil, api.RoleCreate{Name: "guide", Inherits: &[]string{"user"}})
	require.NoError(t, err)
	require.NotNil(t, made.JSON201, string(made.Body))
}
