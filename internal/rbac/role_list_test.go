package rbac_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

func TestRoleLists(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	s.User()
	s.User()
	for _, name := range []string{"zoo-keeper", "a-team", "a_team", "curator"} {
		created(t, admin, api.RoleCreate{Name: name, Description: new("The " + name + "."), Inherits: &[]string{"user"}})
	}

	t.Run("have every role of the policy, by pages and by cursor", func(t *testing.T) {
		list := func(params api.ListRolesParams) api.RoleList {
			got, err := admin.ListRolesWithResponse(ctx, &params)
			require.NoError(t, err)
			require.NotNil(t, got.JSON200, string(got.Body))
			return *got.JSON200
		}
		sorted := []string{"a-team", "a_team", "admin", "curator", "moderator", "user", "zoo-keeper"}
		for _, order := range []api.ListRolesParamsSortOrder{"asc", "desc"} {
			whole := list(api.ListRolesParams{SortOrder: &order})
			require.Equal(t, 7, *whole.Total)
			var names []string
			for _, r := range whole.Items {
				names = append(names, r.Name)
				require.Equal(t, mustGet(t, admin, r.Name), r)
			}
			require.Equal(t, sorted, names)
			slices.Reverse(sorted)
			var paged, walked []api.Role
			for number := 1; number <= 4; number++ {
				p := list(api.ListRolesParams{SortOrder: &order, Page: &number, Size: new(2)})
				require.Equal(t, []int{7, 4}, []int{*p.Total, *p.Pages})
				paged = append(paged, p.Items...)
			}
			for cursor := new(""); cursor != nil; {
				p := list(api.ListRolesParams{SortOrder: &order, Cursor: cursor, Size: new(3)})
				require.Nil(t, p.Total)
				walked = append(walked, p.Items...)
				cursor = p.NextCursor
			}
			require.Equal(t, whole.Items, paged)
			require.Equal(t, whole.Items, walked)
		}
		found := list(api.ListRolesParams{Search: new("-TÉAM"), Page: new(1), Size: new(1)})
		require.Equal(t, "a-team", found.Items[0].Name)
		require.Equal(t, 1, *found.Total)
		require.Equal(t, 4, *list(api.ListRolesParams{Search: new("The "), Size: new(2)}).Total, "descriptions count")
		require.Empty(t, list(api.ListRolesParams{Search: new("%")}).Items)
		require.Equal(t, []int{1, 2, 0}, []int{mustGet(t, admin, "admin").MemberCount, mustGet(t, admin, "user").MemberCount, mustGet(t, admin, "curator").MemberCount})
		wrong, err := admin.ListRolesWithResponse(ctx, &api.ListRolesParams{Cursor: new("x")})
		require.NoError(t, err)
		refusedRole(t, http.StatusBadRequest, "invalid_cursor", wrong.HTTPResponse, wrong.Body)
	})

	t.Run("have every permission, with the operations and the roles", func(t *testing.T) {
		list := func(params api.ListPermissionsParams) api.PermissionList {
			got, err := admin.ListPermissionsWithResponse(ctx, &params)
			require.NoError(t, err)
			require.NotNil(t, got.JSON200, string(got.Body))
			return *got.JSON200
		}
		for _, order := range []api.ListPermissionsParamsSortOrder{"asc", "desc"} {
			whole := list(api.ListPermissionsParams{SortOrder: &order, Size: new(100)})
			known := s.Policy.Known()
			require.Equal(t, len(known), *whole.Total)
			require.True(t, slices.IsSortedFunc(whole.Items, func(a, b api.Permission) int {
				if order == "desc" {
					a, b = b, a
				}
				return strings.Compare(a.Permission, b.Permission)
			}))
			var paged, walked []api.Permission
			for number := 1; number <= (len(known)+6)/7; number++ {
				paged = append(paged, list(api.ListPermissionsParams{SortOrder: &order, Page: &number, Size: new(7)}).Items...)
			}
			for cursor := new(""); cursor != nil; {
				p := list(api.ListPermissionsParams{SortOrder: &order, Cursor: cursor, Size: new(7)})
				walked = append(walked, p.Items...)
				cursor = p.NextCursor
			}
			require.Equal(t, whole.Items, paged)
			require.Equal(t, whole.Items, walked)
			for _, p := range whole.Items {
				switch p.Permission {
				case "area:delete":
					require.True(t, p.Ownable)
					require.Contains(t, p.Operations, "deleteArea")
					require.Equal(t, []api.RoleScope{
						{Role: "a-team", Scope: "own"}, {Role: "a_team", Scope: "own"}, {Role: "admin", Scope: "any"}, {Role: "curator", Scope: "own"},
						{Role: "moderator", Scope: "own"}, {Role: "user", Scope: "own"}, {Role: "zoo-keeper", Scope: "own"},
					}, p.Roles)
				case "policy:manage":
					require.False(t, p.Ownable)
					require.Subset(t, p.Operations, []string{"getPolicy", "replacePolicy", "listRoles", "validateAccess"})
					require.Equal(t, []api.RoleScope{{Role: "admin", Scope: "any"}}, p.Roles)
				}
			}
		}
		wrong, err := admin.ListPermissionsWithResponse(ctx, &api.ListPermissionsParams{Cursor: new("x")})
		require.NoError(t, err)
		refusedRole(t, http.StatusBadRequest, "invalid_cursor", wrong.HTTPResponse, wrong.Body)
	})
}
