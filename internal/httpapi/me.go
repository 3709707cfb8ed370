package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"
	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/version"
)

// me is the caller's account as the contract shows it, and its version.
func (s *Server) me(ctx context.Context, u *ent.User) (api.Me, *string, error) {
	enrolled, err := s.Accounts.HasSecondFactor(ctx, u.ID)
	if err != nil {
		return api.Me{}, nil, err
	}
	return api.Me{
		ID: u.ID, Username: u.Username, Email: openapi_types.Email(u.Email), Role: u.Role,
		DisplayName: maybe(u.DisplayName), Bio: u.Bio, Avatar: toAPIPicture(ctx, avatarPath(u.ID), u.Avatar),
		HasSecondFactor: enrolled, CreatedAt: reqctx.In(ctx, u.CreatedAt), UpdatedAt: reqctx.In(ctx, u.UpdatedAt),
	}, ptr(tagOf(ctx, u.UpdatedAt, u.Avatar != nil)), nil
}

// GetMe implements GET /api/v1/me.
func (s *Server) GetMe(ctx context.Context, request api.GetMeRequestObject) (api.GetMeResponseObject, error) {
	user, err := s.Accounts.Me(ctx)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(tagOf(ctx, user.UpdatedAt, user.Avatar != nil), request.Params.IfNoneMatch)
	if notModified {
		return api.GetMe304Response{}, nil
	}
	body, _, err := s.me(ctx, user)
	if err != nil {
		return nil, err
	}
	return api.GetMe200JSONResponse{Body: body, Headers: api.GetMe200ResponseHeaders{ETag: tag}}, nil
}

// UpdateMe implements PATCH /api/v1/me.
func (s *Server) UpdateMe(ctx context.Context, request api.UpdateMeRequestObject) (api.UpdateMeResponseObject, error) {
	in := account.Update{Bio: cleared(request.Body.Bio)}
	if shown := request.Body.DisplayName; shown.IsSpecified() {
		var name *string
		if value, err := shown.Get(); err == nil {
			name = &value
		}
		in.DisplayName = &name
	}
	changed, err := s.Accounts.Update(ctx, in, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	body, tag, err := s.me(ctx, changed)
	if err != nil {
		return nil, err
	}
	return api.UpdateMe200JSONResponse{Body: body, Headers: api.UpdateMe200ResponseHeaders{ETag: tag}}, nil
}

// DeleteMe implements DELETE /api/v1/me.
func (s *Server) DeleteMe(ctx context.Context, request api.DeleteMeRequestObject) (api.DeleteMeResponseObject, error) {
	if err := s.Accounts.Delete(ctx, request.Body.Password, deref(request.Body.Otp, "")); err != nil {
		return nil, err
	}
	return api.DeleteMe204Response{Headers: api.DeleteMe204ResponseHeaders{SetCookie: ptr(noRefreshCookie())}}, nil
}

// ChangePassword implements PUT /api/v1/me/password.
func (s *Server) ChangePassword(ctx context.Context, request api.ChangePasswordRequestObject) (api.ChangePasswordResponseObject, error) {
	if err := s.Accounts.ChangePassword(ctx, request.Body.CurrentPassword, deref(request.Body.Otp, ""), request.Body.Password); err != nil {
		return nil, err
	}
	return api.ChangePassword204Response{}, nil
}

// ChangeEmail implements PUT /api/v1/me/email.
func (s *Server) ChangeEmail(ctx context.Context, request api.ChangeEmailRequestObject) (api.ChangeEmailResponseObject, error) {
	email := string(request.Body.Email)
	mailed, err := s.Accounts.ChangeEmail(ctx, email, request.Body.Password, deref(request.Body.Otp, ""))
	switch {
	case err != nil:
		return nil, err
	case !mailed:
		return api.ChangeEmail202JSONResponse{Message: email + " is your address. Requests for another one are withdrawn."}, nil
	}
	return api.ChangeEmail202JSONResponse{Message: mailSent(email)}, nil
}

// PutAvatar implements PUT /api/v1/me/avatar.
func (s *Server) PutAvatar(ctx context.Context, request api.PutAvatarRequestObject) (api.PutAvatarResponseObject, error) {
	file, err := spool(request.Body)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	changed, err := s.Accounts.SetAvatar(ctx, file, file.size)
	if err != nil {
		return nil, err
	}
	body, tag, err := s.me(ctx, changed)
	if err != nil {
		return nil, err
	}
	return api.PutAvatar200JSONResponse{Body: body, Headers: api.PutAvatar200ResponseHeaders{ETag: tag}}, nil
}

// DeleteAvatar implements DELETE /api/v1/me/avatar.
func (s *Server) DeleteAvatar(ctx context.Context, _ api.DeleteAvatarRequestObject) (api.DeleteAvatarResponseObject, error) {
	if err := s.Accounts.ClearAvatar(ctx); err != nil {
		return nil, err
	}
	return api.DeleteAvatar204Response{}, nil
}

// ExportMe implements GET /api/v1/me/export.
func (s *Server) ExportMe(ctx context.Context, _ api.ExportMeRequestObject) (api.ExportMeResponseObject, error) {
	found, err := s.Accounts.Export(ctx)
	if err != nil {
		return nil, err
	}
	me, _, err := s.me(ctx, found.User)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	out := api.MeExport{
		ExportedAt: reqctx.In(ctx, now), Account: me,
		Sessions: convert(ctx, found.Sessions, toAPISession), Areas: convert(ctx, found.Areas, toAPIArea),
		Landmarks: convert(ctx, found.Landmarks, toAPILandmark), Unlocks: convert(ctx, found.Unlocks, toAPIUnlock),
		Attempts: make([]api.Attempt, len(found.Attempts)), AuditLog: make([]api.AuditEntry, len(found.Audit)),
	}
	unlocked := map[uuid.UUID]*uuid.UUID{}
	for _, u := range found.Unlocks {
		if u.AttemptID != nil {
			unlocked[*u.AttemptID] = &u.ID
		}
	}
	for i, a := range found.Attempts {
		out.Attempts[i] = toAPIAttempt(ctx, a, unlocked[a.ID])
	}
	for i, e := range found.Audit {
		if out.AuditLog[i], err = toAPIAuditEntry(ctx, e); err != nil {
			return nil, err
		}
	}
	return api.ExportMe200JSONResponse{Body: out, Headers: api.ExportMe200ResponseHeaders{
		CacheControl:       ptr(noStore),
		ContentDisposition: ptr(`attachment; filename="picaspot-` + now.Format(time.DateOnly) + `.json"`),
	}}, nil
}
