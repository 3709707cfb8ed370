package httpapi

import (
	"context"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/version"
)

// ListUsers implements GET /api/v1/admin/users.
func (s *Server) ListUsers(ctx context.Context, request api.ListUsersRequestObject) (api.ListUsersResponseObject, error) {
	p := request.Params
	list, err := s.Accounts.List(ctx, account.Filter{
		Role: deref(p.Role, ""), Status: as[entuser.Status](p.Status), Search: deref(p.Search, ""),
	}, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListUsers200JSONResponse{
		Items: convert(ctx, list.Items(), toAPIAdminUser), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// GetUser implements GET /api/v1/admin/users/{user_id}.
func (s *Server) GetUser(ctx context.Context, request api.GetUserRequestObject) (api.GetUserResponseObject, error) {
	found, err := s.Accounts.Get(ctx, request.UserID)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(version.ETag(found.UpdatedAt), request.Params.IfNoneMatch)
	if notModified {
		return api.GetUser304Response{}, nil
	}
	return api.GetUser200JSONResponse{Body: toAPIAdminUser(ctx, found), Headers: api.GetUser200ResponseHeaders{ETag: tag}}, nil
}

// UpdateUser implements PATCH /api/v1/admin/users/{user_id}.
func (s *Server) UpdateUser(ctx context.Context, request api.UpdateUserRequestObject) (api.UpdateUserResponseObject, error) {
	changed, err := s.Accounts.Manage(ctx, request.UserID, account.Change{
		Role: request.Body.Role, Status: as[entuser.Status](request.Body.Status),
	}, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	return api.UpdateUser200JSONResponse{
		Body: toAPIAdminUser(ctx, changed), Headers: api.UpdateUser200ResponseHeaders{ETag: ptr(version.ETag(changed.UpdatedAt))},
	}, nil
}

func toAPIAdminUser(ctx context.Context, u *ent.User) api.AdminUser {
	return api.AdminUser{
		ID: u.ID, Username: u.Username, Email: openapi_types.Email(u.Email), DisplayName: maybe(u.DisplayName),
		Role: u.Role, Status: api.UserStatus(u.Status), EmailVerifiedAt: maybe(inZone(ctx, u.EmailVerifiedAt)),
		CreatedAt: reqctx.In(ctx, u.CreatedAt), UpdatedAt: reqctx.In(ctx, u.UpdatedAt),
	}
}
