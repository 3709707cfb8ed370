package httpapi

import (
	"context"

	"github.com/mileusna/useragent"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// ListSessions implements GET /api/v1/me/sessions.
func (s *Server) ListSessions(ctx context.Context, request api.ListSessionsRequestObject) (api.ListSessionsResponseObject, error) {
	p := request.Params
	list, err := s.Accounts.Sessions(ctx, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListSessions200JSONResponse{
		Items: convert(ctx, list.Items(), toAPISession), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// EndSession implements DELETE /api/v1/me/sessions/{session_id}.
func (s *Server) EndSession(ctx context.Context, request api.EndSessionRequestObject) (api.EndSessionResponseObject, error) {
	if err := s.Accounts.EndSession(ctx, request.SessionID); err != nil {
		return nil, err
	}
	return api.EndSession204Response{}, nil
}

// StartTotp implements POST /api/v1/me/mfa/totp.
func (s *Server) StartTotp(ctx context.Context, request api.StartTotpRequestObject) (api.StartTotpResponseObject, error) {
	started, err := s.Accounts.StartTOTP(ctx, request.Body.Password)
	if err != nil {
		return nil, err
	}
	return api.StartTotp201JSONResponse{
		Body:    api.TotpEnrolment{Secret: started.Secret, URI: started.URI},
		Headers: api.StartTotp201ResponseHeaders{CacheControl: ptr(noStore)},
	}, nil
}

// ConfirmTotp implements POST /api/v1/me/mfa/totp/confirm.
func (s *Server) ConfirmTotp(ctx context.Context, request api.ConfirmTotpRequestObject) (api.ConfirmTotpResponseObject, error) {
	codes, err := s.Accounts.ConfirmTOTP(ctx, request.Body.Otp)
	if err != nil {
		return nil, err
	}
	return api.ConfirmTotp200JSONResponse{
		Body: api.RecoveryCodes{RecoveryCodes: codes}, Headers: api.ConfirmTotp200ResponseHeaders{CacheControl: ptr(noStore)},
	}, nil
}

// RemoveTotp implements DELETE /api/v1/me/mfa/totp.
func (s *Server) RemoveTotp(ctx context.Context, request api.RemoveTotpRequestObject) (api.RemoveTotpResponseObject, error) {
	if err := s.Accounts.RemoveTOTP(ctx, request.Body.Password, deref(request.Body.Otp, "")); err != nil {
		return nil, err
	}
	return api.RemoveTotp204Response{}, nil
}

// ReplaceRecoveryCodes implements POST /api/v1/me/mfa/recovery-codes.
func (s *Server) ReplaceRecoveryCodes(ctx context.Context, request api.ReplaceRecoveryCodesRequestObject) (api.ReplaceRecoveryCodesResponseObject, error) {
	codes, err := s.Accounts.ReplaceRecoveryCodes(ctx, request.Body.Password, deref(request.Body.Otp, ""))
	if err != nil {
		return nil, err
	}
	return api.ReplaceRecoveryCodes200JSONResponse{
		Body: api.RecoveryCodes{RecoveryCodes: codes}, Headers: api.ReplaceRecoveryCodes200ResponseHeaders{CacheControl: ptr(noStore)},
	}, nil
}

func toAPISession(ctx context.Context, found *ent.Session) api.Session {
	caller, _ := authz.CallerFrom(ctx)
	return api.Session{
		ID: found.ID, Device: device(found.UserAgent), UserAgent: found.UserAgent, IPAddress: found.IPAddress,
		IsCurrent: found.ID == caller.SessionID, Remember: found.Remember, SecondFactor: found.SecondFactor,
		CreatedAt: reqctx.In(ctx, found.CreatedAt), LastUsedAt: reqctx.In(ctx, found.LastUsedAt),
		ExpiresAt: reqctx.In(ctx, found.IdleExpiresAt),
	}
}

// device names browser and system as people know them.
func device(text string) string {
	parsed := useragent.Parse(text)
	switch {
	case parsed.Name == "":
		return "Unknown device"
	case parsed.OS == "":
		return parsed.Name
	default:
		return parsed.Name + " on " + parsed.OS
	}
}
