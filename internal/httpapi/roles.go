package httpapi

import (
	"context"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/version"
)

// ListRoles implements GET /api/v1/admin/roles.
func (s *Server) ListRoles(ctx context.Context, request api.ListRolesRequestObject) (api.ListRolesResponseObject, error) {
	p := request.Params
	list, err := s.Roles.List(ctx, deref(p.Search, ""), params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListRoles200JSONResponse{
		Items: convert(ctx, list.Items(), toAPIRole), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// CreateRole implements POST /api/v1/admin/roles.
func (s *Server) CreateRole(ctx context.Context, request api.CreateRoleRequestObject) (api.CreateRoleResponseObject, error) {
	in := request.Body
	created, err := s.Roles.Create(ctx, rbac.RoleCreate{
		Name: in.Name, Description: deref(in.Description, ""), RequiresMFA: deref(in.RequiresMfa, false),
		Inherits: deref(in.Inherits, nil), Grants: fromAPIGrants(deref(in.Permissions, nil)),
	})
	if err != nil {
		return nil, err
	}
	return api.CreateRole201JSONResponse{
		Body: toAPIRole(ctx, created),
		Headers: api.CreateRole201ResponseHeaders{
			Location: ptr("/api/v1/admin/roles/" + created.Name), ETag: &created.ETag,
		},
	}, nil
}

// GetRole implements GET /api/v1/admin/roles/{role}.
func (s *Server) GetRole(ctx context.Context, request api.GetRoleRequestObject) (api.GetRoleResponseObject, error) {
	found, err := s.Roles.Get(ctx, request.Role)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(found.ETag, request.Params.IfNoneMatch)
	if notModified {
		return api.GetRole304Response{}, nil
	}
	return api.GetRole200JSONResponse{Body: toAPIRole(ctx, found), Headers: api.GetRole200ResponseHeaders{ETag: tag}}, nil
}

// UpdateRole implements PATCH /api/v1/admin/roles/{role}.
func (s *Server) UpdateRole(ctx context.Context, request api.UpdateRoleRequestObject) (api.UpdateRoleResponseObject, error) {
	in := rbac.RoleUpdate{
		Description: request.Body.Description, RequiresMFA: request.Body.RequiresMfa, Inherits: request.Body.Inherits,
	}
	changed, err := s.Roles.Update(ctx, request.Role, in, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	return api.UpdateRole200JSONResponse{
		Body: toAPIRole(ctx, changed), Headers: api.UpdateRole200ResponseHeaders{ETag: &changed.ETag},
	}, nil
}

// DeleteRole implements DELETE /api/v1/admin/roles/{role}.
func (s *Server) DeleteRole(ctx context.Context, request api.DeleteRoleRequestObject) (api.DeleteRoleResponseObject, error) {
	if err := s.Roles.Delete(ctx, request.Role, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch)); err != nil {
		return nil, err
	}
	return api.DeleteRole204Response{}, nil
}

// ReplaceRolePermissions implements PUT /api/v1/admin/roles/{role}/permissions.
func (s *Server) ReplaceRolePermissions(ctx context.Context, request api.ReplaceRolePermissionsRequestObject) (api.ReplaceRolePermissionsResponseObject, error) {
	changed, err := s.Roles.ReplaceGrants(ctx, request.Role, fromAPIGrants(request.Body.Permissions), version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	return api.ReplaceRolePermissions200JSONResponse{
		Body: toAPIRole(ctx, changed), Headers: api.ReplaceRolePermissions200ResponseHeaders{ETag: &changed.ETag},
	}, nil
}

// ListPermissions implements GET /api/v1/admin/permissions.
func (s *Server) ListPermissions(ctx context.Context, request api.ListPermissionsRequestObject) (api.ListPermissionsResponseObject, error) {
	p := request.Params
	list, err := s.Roles.Permissions(ctx, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListPermissions200JSONResponse{
		Items: convert(ctx, list.Items(), s.toAPIPermission), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

func toAPIRole(_ context.Context, r rbac.Role) api.Role {
	grants := make([]api.Grant, len(r.Grants))
	for i, g := range r.Grants {
		grants[i] = api.Grant{
			Permission: string(g.Permission), Scope: api.PolicyScope(g.Scope), Effect: ptr(api.PolicyEffect(g.Effect)),
		}
	}
	return api.Role{
		Name: r.Name, Description: r.Description, RequiresMfa: r.RequiresMFA, MemberCount: r.Members,
		Inherits: orEmpty(r.Inherits), Permissions: grants,
	}
}

func fromAPIGrants(grants []api.Grant) []authz.Grant {
	out := make([]authz.Grant, len(grants))
	for i, g := range grants {
		out[i] = authz.Grant{
			Permission: authz.Permission(g.Permission), Scope: string(g.Scope), Effect: string(deref(g.Effect, api.PolicyEffectAllow)),
		}
	}
	return out
}

func (s *Server) toAPIPermission(_ context.Context, p rbac.Permission) api.Permission {
	roles := make([]api.RoleScope, len(p.Roles))
	for i, r := range p.Roles {
		roles[i] = api.RoleScope{Role: r.Role, Scope: api.PolicyScope(r.Scope.String())}
	}
	return api.Permission{
		Permission: string(p.Permission), Ownable: p.Ownable(), Operations: orEmpty(s.Operations[p.Permission]), Roles: roles,
	}
}

// orEmpty makes an empty array of what would be null.
func orEmpty[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
