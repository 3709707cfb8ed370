package rbac_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/version"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	t.Run("are created with permissions, with what they inherit, or with both", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		before := s.Policy.Live().Text()
		curator := created(t, admin, api.RoleCreate{
			Name: "curator", Description: new("Looks after museums."), RequiresMfa: new(true), Inherits: &[]string{"user"},
			Permissions: &[]api.Grant{{Permission: "area:verify", Scope: "any"}, grant("landmark:delete", "own"), deny("landmark:import")},
		})
		require.Equal(t, api.Role{
			Name: "curator", Description: "Looks after museums.", RequiresMfa: true, Inherits: []string{"user"},
			Permissions: []api.Grant{grant("area:verify", "any"), grant("landmark:delete", "own"), deny("landmark:import")},
		}, curator)
		guest := created(t, admin, api.RoleCreate{Name: "guest", Permissions: &[]api.Grant{grant("area:read", "any")}})
		require.Equal(t, api.Role{Name: "guest", Inherits: []string{}, Permissions: []api.Grant{grant("area:read", "any")}}, guest)
		heir := created(t, admin, api.RoleCreate{Name: "heir", Inherits: &[]string{"guest", "curator"}})
		require.Equal(t, api.Role{Name: "heir", Inherits: []string{"guest", "curator"}, Permissions: []api.Grant{}}, heir)
		require.Equal(t, before+strings.Join([]string{
			"p, curator, area, verify, any, allow", "p, curator, landmark, delete, own, allow", "p, curator, landmark, import, any, deny",
			"g, curator, user", "p, guest, area, read, any, allow", "g, heir, guest", "g, heir, curator", "",
		}, "\n"), s.Policy.Live().Text(), "all that stood there stays")
		ofPolicy, _ := edits(t, s)
		require.Equal(t, 4, ofPolicy)
	})

	t.Run("are not created from nothing, twice, or with faults", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		for _, in := range []api.RoleCreate{{Name: "empty"}, {Name: "empty", Inherits: &[]string{}, Permissions: &[]api.Grant{}}} {
			got := create(t, admin, in)
			refusedRole(t, http.StatusUnprocessableEntity, "role_empty", got.HTTPResponse, got.Body)
		}
		got := create(t, admin, api.RoleCreate{Name: "moderator", Permissions: &[]api.Grant{grant("area:read", "any")}})
		p := refusedRole(t, http.StatusConflict, "role_exists", got.HTTPResponse, got.Body)
		require.Equal(t, "/name", *(*p.Errors)[0].Pointer)

		for want, in := range map[string]api.RoleCreate{
			"unknown_permission /permissions/1 No operation asks for area:fly.":                {Permissions: &[]api.Grant{grant("area:read", "any"), grant("area:fly", "any")}},
			"not_ownable /permissions/0 The permission area:verify can't be held for own":      {Permissions: &[]api.Grant{grant("area:verify", "own")}},
			"cycle /inherits/1 Closes a circle: curator inherits from curator.":                {Inherits: &[]string{"user", "curator"}},
			`bad_permission /permissions/0 Resource "` + strings.Repeat("a", 65) + `" and act`: {Permissions: &[]api.Grant{grant(strings.Repeat("a", 65)+":read", "any")}},
		} {
			in.Name = "curator"
			got := create(t, admin, in)
			p := refusedRole(t, http.StatusBadRequest, "invalid_policy", got.HTTPResponse, got.Body)
			code, rest, _ := strings.Cut(want, " ")
			pointer, message, _ := strings.Cut(rest, " ")
			require.True(t, slices.ContainsFunc(*p.Errors, func(e api.FieldError) bool {
				return e.Code == code && *e.Pointer == pointer && strings.HasPrefix(strings.ReplaceAll(e.Message, `\\`, `\`), message)
			}), "%s\n%s", want, got.Body)
		}
		// All that are unknown are named at once, by where they stand.
		ghosts := create(t, admin, api.RoleCreate{Name: "curator", Inherits: &[]string{"ghost", "user", "spook"}, Permissions: &[]api.Grant{grant("area:read", "any")}})
		p = refusedRole(t, http.StatusUnprocessableEntity, "role_unknown", ghosts.HTTPResponse, ghosts.Body)
		require.Equal(t, []api.FieldError{
			{Pointer: new("/inherits/0"), Code: "unknown", Message: "The policy knows admin, moderator, user."},
			{Pointer: new("/inherits/2"), Code: "unknown", Message: "The policy knows admin, moderator, user."},
		}, *p.Errors)
		// What is no name the contract refuses, and behind it the service: it would be
		// another line.
		for _, parent := range []string{"user\np, user, policy, manage, any", "user, admin"} {
			got := create(t, admin, api.RoleCreate{Name: "curator", Inherits: &[]string{parent}})
			refusedRole(t, http.StatusBadRequest, "invalid_request", got.HTTPResponse, got.Body)
			_, err := s.Roles.Create(context.Background(), rbac.RoleCreate{Name: "curator", Inherits: []string{parent}})
			var e *fault.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "role_unknown", e.Code)
		}
		for _, body := range []string{
			`{}`, `{"name":"Curator"}`, `{"name":"a b"}`, `{"name":"curator","permissions":[{"permission":"area","scope":"any"}]}`,
			`{"name":"curator","permissions":[{"permission":"area:read","scope":"some"}]}`, `{"name":"curator","colour":"red"}`,
			`{"name":"curator","permissions":[{"permission":"area:read","scope":"any","effect":"maybe"}]}`,
		} {
			response, data := s.Call(admin, http.MethodPost, "/api/v1/admin/roles", "application/json", strings.NewReader(body))
			refusedRole(t, http.StatusBadRequest, "invalid_request", response, data)
		}
		ofPolicy, ofRoles := edits(t, s)
		require.Equal(t, []int{1, 0}, []int{ofPolicy, ofRoles}, "what failed is not on record")
		require.Zero(t, s.Store.Ent.Role.Query().CountX(ctx))
	})

	t.Run("are read, and only when they have changed", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		s.As("moderator")
		found, etag := getRole(t, admin, "moderator")
		require.Equal(t, 1, found.MemberCount)
		require.Equal(t, []string{"user"}, found.Inherits)
		require.Contains(t, found.Permissions, grant("area:verify", "any"))
		unchanged := func() int {
			got, err := admin.GetRoleWithResponse(ctx, "moderator", &api.GetRoleParams{IfNoneMatch: &etag})
			require.NoError(t, err)
			return got.StatusCode()
		}
		require.Equal(t, http.StatusNotModified, unchanged())
		require.NotNil(t, patch(t, admin, "moderator", api.RoleUpdate{Description: new("Looks after areas.")}).JSON200)
		require.Equal(t, http.StatusOK, unchanged(), "what is said about it counts")
		_, etag = getRole(t, admin, "moderator")
		require.NotNil(t, putGrants(t, admin, "moderator", append(found.Permissions, grant("audit:read", "any"))).JSON200)
		require.Equal(t, http.StatusOK, unchanged(), "what it may do counts")
		for _, name := range []string{"ghost", "Moderator", "a b"} {
			got, err := admin.GetRoleWithResponse(ctx, name, nil)
			require.NoError(t, err)
			require.Contains(t, []int{http.StatusNotFound, http.StatusBadRequest}, got.StatusCode(), name)
		}
		got, err := admin.GetRoleWithResponse(ctx, "ghost", nil)
		require.NoError(t, err)
		refusedRole(t, http.StatusNotFound, "not_found", got.HTTPResponse, got.Body)
	})

	t.Run("are changed by those who have seen the latest", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		created(t, admin, api.RoleCreate{Name: "curator", Inherits: &[]string{"user"}})
		_, etag := getRole(t, admin, "curator")
		described := patch(t, admin, "curator", api.RoleUpdate{Description: new("Looks after museums.")}, etag)
		require.NotNil(t, described.JSON200, string(described.Body))
		require.Equal(t, "Looks after museums.", described.JSON200.Description)
		require.Equal(t, []string{"user"}, described.JSON200.Inherits)
		policies, roles := edits(t, s)
		require.Equal(t, []int{2, 2}, []int{policies, roles}, "a description is no edit of the policy")
		next := described.HTTPResponse.Header.Get("ETag")
		require.NotEqual(t, etag, next)

		inherits := patch(t, admin, "curator", api.RoleUpdate{Inherits: &[]string{"moderator"}}, next)
		require.NotNil(t, inherits.JSON200, string(inherits.Body))
		require.Equal(t, []string{"moderator"}, inherits.JSON200.Inherits)
		require.Equal(t, "Looks after museums.", inherits.JSON200.Description)
		require.Equal(t, int64(3), s.Policy.Live().Version())

		late := patch(t, admin, "curator", api.RoleUpdate{Description: new("Late")}, next)
		refusedRole(t, http.StatusPreconditionFailed, "version_changed", late.HTTPResponse, late.Body)
		latePut := putGrants(t, admin, "curator", []api.Grant{grant("area:read", "any")}, etag)
		refusedRole(t, http.StatusPreconditionFailed, "version_changed", latePut.HTTPResponse, latePut.Body)
		lateDelete := remove(t, admin, "curator", etag)
		refusedRole(t, http.StatusPreconditionFailed, "version_changed", lateDelete.HTTPResponse, lateDelete.Body)

		_, etag = getRole(t, admin, "curator")
		same := patch(t, admin, "curator", api.RoleUpdate{Description: new("Looks after museums."), Inherits: &[]string{"moderator"}, RequiresMfa: new(false)}, etag)
		require.Equal(t, etag, same.HTTPResponse.Header.Get("ETag"), "nothing has changed")
		first := patch(t, admin, "user", api.RoleUpdate{Description: new("Everybody.")})
		require.Equal(t, "Everybody.", first.JSON200.Description)

		empty := patch(t, admin, "curator", api.RoleUpdate{Inherits: &[]string{}, Description: new("Nothing.")})
		refusedRole(t, http.StatusUnprocessableEntity, "role_empty", empty.HTTPResponse, empty.Body)
		circle := patch(t, admin, "user", api.RoleUpdate{Inherits: &[]string{"curator"}})
		p := refusedRole(t, http.StatusBadRequest, "invalid_policy", circle.HTTPResponse, circle.Body)
		require.Len(t, *p.Errors, 1)
		require.Contains(t, []string{"/inherits", "/inherits/0"}, *(*p.Errors)[0].Pointer, "whichever line closes it")
		ghost := patch(t, admin, "curator", api.RoleUpdate{Inherits: &[]string{"user", "ghost"}, Description: new("Nothing.")})
		p = refusedRole(t, http.StatusUnprocessableEntity, "role_unknown", ghost.HTTPResponse, ghost.Body)
		require.Len(t, *p.Errors, 1)
		require.Equal(t, "/inherits/1", *(*p.Errors)[0].Pointer)
		itself := patch(t, admin, "curator", api.RoleUpdate{Inherits: &[]string{"curator"}})
		refusedRole(t, http.StatusBadRequest, "invalid_policy", itself.HTTPResponse, itself.Body)
		unknown := patch(t, admin, "ghost", api.RoleUpdate{Description: new("Boo.")})
		refusedRole(t, http.StatusNotFound, "not_found", unknown.HTTPResponse, unknown.Body)
		unknownPut := putGrants(t, admin, "ghost", []api.Grant{grant("area:read", "any")})
		refusedRole(t, http.StatusNotFound, "not_found", unknownPut.HTTPResponse, unknownPut.Body)
		found, _ := getRole(t, admin, "curator")
		require.Equal(t, "Looks after museums.", found.Description, "a change is made whole or not at all")
		policies, _ = edits(t, s)
		require.Equal(t, 3, policies)
	})

	t.Run("may do what they are given from the next request on", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin, moderator := s.As("admin"), s.As("moderator")
		area := s.Area(s.User(), "Harbour")
		verify := func() *api.VerifyAreaResponse {
			got, err := moderator.VerifyAreaWithResponse(ctx, area.ID)
			require.NoError(t, err)
			return got
		}
		require.Equal(t, http.StatusOK, verify().StatusCode())
		found, etag := getRole(t, admin, "moderator")
		changed := putGrants(t, admin, "moderator", slices.DeleteFunc(slices.Clone(found.Permissions), func(g api.Grant) bool { return g.Permission == "area:verify" }), etag)
		require.NotNil(t, changed.JSON200, string(changed.Body))
		require.Len(t, changed.JSON200.Permissions, len(found.Permissions)-1)
		require.Equal(t, found.Inherits, changed.JSON200.Inherits)
		got := verify()
		refusedRole(t, http.StatusForbidden, "forbidden", got.HTTPResponse, got.Body)
		require.Equal(t, http.StatusOK, putGrants(t, admin, "moderator", found.Permissions).StatusCode())
		require.Equal(t, http.StatusOK, verify().StatusCode())
		require.Equal(t, http.StatusOK, putGrants(t, admin, "user", append(mustGet(t, admin, "user").Permissions, deny("area:verify"))).StatusCode())
		require.Equal(t, http.StatusForbidden, verify().StatusCode(), "a deny is inherited")

		faulty := putGrants(t, admin, "moderator", []api.Grant{grant("area:fly", "any"), grant("area:verify", "own")})
		p := refusedRole(t, http.StatusBadRequest, "invalid_policy", faulty.HTTPResponse, faulty.Body)
		require.Equal(t, []api.FieldError{
			{Pointer: new("/permissions/0"), Code: "unknown_permission", Message: "No operation asks for area:fly."},
			{Pointer: new("/permissions/1"), Code: "not_ownable", Message: "The permission area:verify can't be held for own objects only; its scope has to be any."},
		}, *p.Errors)
		// Those who inherit from it would inherit from nobody.
		faulty = putGrants(t, admin, "user", nil)
		refusedRole(t, http.StatusBadRequest, "invalid_request", faulty.HTTPResponse, faulty.Body)
		faulty = putGrants(t, admin, "user", []api.Grant{})
		p = refusedRole(t, http.StatusBadRequest, "invalid_policy", faulty.HTTPResponse, faulty.Body)
		require.Equal(t, "/permissions", *(*p.Errors)[0].Pointer, "the line is another role's: %s", faulty.Body)
		created(t, admin, api.RoleCreate{Name: "guest", Permissions: &[]api.Grant{grant("area:read", "any")}})
		faulty = putGrants(t, admin, "guest", []api.Grant{})
		refusedRole(t, http.StatusUnprocessableEntity, "role_empty", faulty.HTTPResponse, faulty.Body)
	})

	t.Run("that require a second factor are of no use without one", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin, moderator := s.As("admin"), s.As("moderator")
		area := s.Area(s.User(), "Harbour")
		for _, requires := range []bool{true, false} {
			changed := patch(t, admin, "moderator", api.RoleUpdate{RequiresMfa: &requires})
			require.Equal(t, requires, changed.JSON200.RequiresMfa)
			got, err := moderator.VerifyAreaWithResponse(ctx, area.ID)
			require.NoError(t, err)
			if requires {
				refusedRole(t, http.StatusForbidden, "second_factor_required", got.HTTPResponse, got.Body)
			} else {
				require.Equal(t, http.StatusOK, got.StatusCode())
			}
		}
		require.Equal(t, int64(1), s.Policy.Live().Version())
	})

	t.Run("are deleted once nobody has them or inherits from them", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		before := s.Policy.Live().Text()
		created(t, admin, api.RoleCreate{Name: "curator", Description: new("Old."), RequiresMfa: new(true), Inherits: &[]string{"user"}, Permissions: &[]api.Grant{grant("area:verify", "any")}})
		created(t, admin, api.RoleCreate{Name: "heir", Inherits: &[]string{"curator"}})
		got := remove(t, admin, "curator")
		p := refusedRole(t, http.StatusConflict, "role_inherited", got.HTTPResponse, got.Body)
		require.Contains(t, *p.Detail, "heir")
		require.Equal(t, http.StatusNoContent, remove(t, admin, "heir").StatusCode())

		curator := s.As("curator")
		got = remove(t, admin, "curator")
		refusedRole(t, http.StatusConflict, "role_in_use", got.HTTPResponse, got.Body)
		require.Equal(t, 1, mustGet(t, admin, "curator").MemberCount)
		require.True(t, mustGet(t, admin, "curator").RequiresMfa, "all of it is still there")
		_, err := s.Accounts.Manage(ctx, curator.ID, account.Change{Role: new("user")}, version.Precondition{})
		require.NoError(t, err)
		_, etag := getRole(t, admin, "curator")
		require.Equal(t, http.StatusNoContent, remove(t, admin, "curator", etag).StatusCode())
		require.Equal(t, before, s.Policy.Live().Text())
		got = remove(t, admin, "curator")
		refusedRole(t, http.StatusNotFound, "not_found", got.HTTPResponse, got.Body)
		gone, err := admin.GetRoleWithResponse(ctx, "curator", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, gone.StatusCode())

		again := created(t, admin, api.RoleCreate{Name: "curator", Inherits: &[]string{"user"}})
		require.Equal(t, api.Role{Name: "curator", Inherits: []string{"user"}, Permissions: []api.Grant{}}, again, "what was said of the old one is gone")
		got = remove(t, admin, "user")
		require.Equal(t, http.StatusConflict, got.StatusCode())
	})

	t.Run("leave somebody who may change the policy", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		all := mustGet(t, admin, "admin").Permissions
		without := slices.DeleteFunc(slices.Clone(all), func(g api.Grant) bool { return g.Permission == "policy:manage" })
		locked := func(response *http.Response, body []byte) {
			t.Helper()
			p := refusedRole(t, http.StatusBadRequest, "invalid_policy", response, body)
			require.Equal(t, "locked_out", (*p.Errors)[0].Code)
		}
		for _, grants := range [][]api.Grant{{}, without, append(slices.Clone(all), deny("policy:manage"))} {
			got := putGrants(t, admin, "admin", grants)
			locked(got.HTTPResponse, got.Body)
		}
		created(t, admin, api.RoleCreate{Name: "cautious", Permissions: &[]api.Grant{deny("policy:manage")}})
		got := patch(t, admin, "admin", api.RoleUpdate{Inherits: &[]string{"moderator", "cautious"}})
		locked(got.HTTPResponse, got.Body)
		gone := remove(t, admin, "admin")
		locked(gone.HTTPResponse, gone.Body)

		// A role that nobody has is nobody.
		created(t, admin, api.RoleCreate{Name: "keeper", Permissions: &[]api.Grant{grant("policy:manage", "any")}})
		taken := putGrants(t, admin, "admin", without)
		refusedRole(t, http.StatusConflict, "last_policy_manager", taken.HTTPResponse, taken.Body)
		got = patch(t, admin, "admin", api.RoleUpdate{Inherits: &[]string{"moderator", "cautious"}})
		refusedRole(t, http.StatusConflict, "last_policy_manager", got.HTTPResponse, got.Body)
		policies, _ := edits(t, s)
		require.Equal(t, 3, policies)
		keeper := s.As("keeper")
		require.Equal(t, http.StatusOK, putGrants(t, admin, "admin", without).StatusCode())
		require.Equal(t, "keeper", mustGet(t, keeper, "keeper").Name)
		lost, err := admin.GetRoleWithResponse(ctx, "keeper", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, lost.StatusCode())
	})
}

func mustGet(t *testing.T, by *apptest.Client, name string) api.Role {
	t.Helper()
	found, _ := getRole(t, by, name)
	return found
}
