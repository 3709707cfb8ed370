package httpapi

import (
	"context"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/role"
	"github.com/picaspot/picaspot/internal/version"
)

// GetRole implements GET /api/v1/admin/roles/{role}.
func (s *Server) GetRole(ctx context.Context, request api.GetRoleRequestObject) (api.GetRoleResponseObject, error) {
	found, err := s.Roles.Get(ctx, request.Role)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(version.ETag(found.UpdatedAt), request.Params.IfNoneMatch)
	if notModified {
		return api.GetRole304Response{}, nil
	}
	return api.GetRole200JSONResponse{Body: toAPIRole(found), Headers: api.GetRole200ResponseHeaders{ETag: tag}}, nil
}

// UpdateRole implements PATCH /api/v1/admin/roles/{role}.
func (s *Server) UpdateRole(ctx context.Context, request api.UpdateRoleRequestObject) (api.UpdateRoleResponseObject, error) {
	changed, err := s.Roles.Update(ctx, request.Role, role.Update{RequiresMFA: request.Body.RequiresMfa}, version.IfMatch(request.Params.IfMatch))
	if err != nil {
		return nil, err
	}
	return api.UpdateRole200JSONResponse{
		Body: toAPIRole(changed), Headers: api.UpdateRole200ResponseHeaders{ETag: ptr(version.ETag(changed.UpdatedAt))},
	}, nil
}

func toAPIRole(r *ent.Role) api.Role { return api.Role{Name: r.Name, RequiresMfa: r.RequiresMfa} }
