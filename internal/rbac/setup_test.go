package rbac_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

func grant(permission string, scope api.PolicyScope) api.Grant {
	return api.Grant{Permission: permission, Scope: scope, Effect: new(api.PolicyEffectAllow)}
}

func deny(permission string) api.Grant {
	return api.Grant{Permission: permission, Scope: api.PolicyScopeAny, Effect: new(api.PolicyEffectDeny)}
}

func create(t *testing.T, by *apptest.Client, in api.RoleCreate) *api.CreateRoleResponse {
	t.Helper()
	got, err := by.CreateRoleWithResponse(context.Background(), nil, in)
	require.NoError(t, err)
	return got
}

func created(t *testing.T, by *apptest.Client, in api.RoleCreate) api.Role {
	t.Helper()
	got := create(t, by, in)
	require.NotNil(t, got.JSON201, string(got.Body))
	require.Equal(t, "/api/v1/admin/roles/"+in.Name, got.HTTPResponse.Header.Get("Location"))
	require.NotEmpty(t, got.HTTPResponse.Header.Get("ETag"))
	return *got.JSON201
}

func getRole(t *testing.T, by *apptest.Client, name string) (found api.Role, etag string) {
	t.Helper()
	got, err := by.GetRoleWithResponse(context.Background(), name, nil)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200, got.HTTPResponse.Header.Get("ETag")
}

func patch(t *testing.T, by *apptest.Client, name string, in api.RoleUpdate, ifMatch ...string) *api.UpdateRoleResponse {
	t.Helper()
	params := &api.UpdateRoleParams{}
	if len(ifMatch) > 0 {
		params.IfMatch = &ifMatch[0]
	}
	got, err := by.UpdateRoleWithApplicationMergePatchPlusJSONBodyWithResponse(context.Background(), name, params, in)
	require.NoError(t, err)
	return got
}

func putGrants(t *testing.T, by *apptest.Client, name string, grants []api.Grant, ifMatch ...string) *api.ReplaceRolePermissionsResponse {
	t.Helper()
	params := &api.ReplaceRolePermissionsParams{}
	if len(ifMatch) > 0 {
		params.IfMatch = &ifMatch[0]
	}
	got, err := by.ReplaceRolePermissionsWithResponse(context.Background(), name, params, api.RolePermissions{Permissions: grants})
	require.NoError(t, err)
	return got
}

func remove(t *testing.T, by *apptest.Client, name string, ifMatch ...string) *api.DeleteRoleResponse {
	t.Helper()
	params := &api.DeleteRoleParams{}
	if len(ifMatch) > 0 {
		params.IfMatch = &ifMatch[0]
	}
	got, err := by.DeleteRoleWithResponse(context.Background(), name, params)
	require.NoError(t, err)
	return got
}

func refusedRole(t *testing.T, status int, code string, response *http.Response, body []byte) api.Problem {
	t.Helper()
	p := apptest.Problem(t, status, response, body)
	require.Equal(t, "/problems/"+code, p.Type, string(body))
	return p
}

// edits is how many edits of the policy, and of what is said about roles, are on record.
func edits(t *testing.T, s *apptest.Server) (ofPolicy, ofRoles int) {
	t.Helper()
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(), `
		SELECT count(*) FILTER (WHERE action = 'policy_changed'), count(*) FILTER (WHERE entity_type = 'role') FROM audit_logs`).Scan(&ofPolicy, &ofRoles))
	return ofPolicy, ofRoles
}
