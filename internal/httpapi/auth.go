package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/fault"
)

// RegisterUser implements POST /api/v1/auth/register.
func (s *Server) RegisterUser(ctx context.Context, request api.RegisterUserRequestObject) (api.RegisterUserResponseObject, error) {
	in := account.Registration{
		Username: request.Body.Username, Email: string(request.Body.Email), Password: request.Body.Password,
	}
	if err := s.Accounts.Register(ctx, in); err != nil {
		return nil, err
	}
	return api.RegisterUser201JSONResponse{
		Username: in.Username, Email: request.Body.Email, Message: mailSent(in.Email),
	}, nil
}

func mailSent(to string) string {
	return fmt.Sprintf("We have sent a mail to %s. Follow its link to finish.", to)
}

// VerifyEmail implements POST /api/v1/auth/verify-email.
func (s *Server) VerifyEmail(ctx context.Context, request api.VerifyEmailRequestObject) (api.VerifyEmailResponseObject, error) {
	if err := s.Accounts.VerifyEmail(ctx, request.Body.Token); err != nil {
		return nil, err
	}
	return api.VerifyEmail204Response{}, nil
}

// ResendVerification implements POST /api/v1/auth/resend-verification.
func (s *Server) ResendVerification(ctx context.Context, request api.ResendVerificationRequestObject) (api.ResendVerificationResponseObject, error) {
	if err := s.Accounts.RequestVerification(ctx, string(request.Body.Email)); err != nil {
		return nil, err
	}
	return api.ResendVerification202JSONResponse{
		Message: "If the address belongs to an account that is waiting for it, a mail is on its way.",
	}, nil
}

// noStore keeps tokens out of every cache (RFC 6749, section 5.1).
const noStore = "no-store"

// Login implements POST /api/v1/auth/login.
func (s *Server) Login(ctx context.Context, request api.LoginRequestObject) (api.LoginResponseObject, error) {
	in := request.Body
	tokens, err := s.Accounts.Login(ctx, account.Credentials{
		Identifier: in.Identifier, Password: in.Password, OTP: deref(in.Otp, ""), Remember: deref(in.Remember, false),
	})
	if err != nil {
		return nil, err
	}
	response := api.Login200JSONResponse{Body: toAPITokens(tokens), Headers: api.Login200ResponseHeaders{CacheControl: ptr(noStore)}}
	if deref(in.Cookie, false) {
		response.Headers.SetCookie, response.Body.RefreshToken = ptr(refreshCookie(tokens)), nil
	}
	return response, nil
}

// CreateToken implements POST /api/v1/auth/token.
func (s *Server) CreateToken(ctx context.Context, request api.CreateTokenRequestObject) (api.CreateTokenResponseObject, error) {
	tokens, err := s.grant(ctx, request.Body)
	if err != nil {
		return nil, err
	}
	return api.CreateToken200JSONResponse{
		Body: toAPITokens(tokens), Headers: api.CreateToken200ResponseHeaders{CacheControl: ptr(noStore)},
	}, nil
}

func (s *Server) grant(ctx context.Context, in *api.TokenRequest) (account.Tokens, error) {
	var missing []fault.Field
	need := func(name string, value *string) string {
		if value == nil {
			missing = append(missing, fault.Field{
				Pointer: "/" + name, Code: "required", Message: fmt.Sprintf("The grant %s needs it.", in.GrantType),
			})
		}
		return deref(value, "")
	}
	if in.GrantType == api.TokenRequestGrantTypeRefreshToken {
		presented := need("refresh_token", in.RefreshToken)
		if missing != nil {
			return account.Tokens{}, invalidRequest(missing)
		}
		return s.Accounts.Refresh(ctx, presented)
	}
	credentials := account.Credentials{
		Identifier: need("username", in.Username), Password: need("password", in.Password), OTP: deref(in.Otp, ""),
	}
	if missing != nil {
		return account.Tokens{}, invalidRequest(missing)
	}
	return s.Accounts.Login(ctx, credentials)
}

// RefreshSession implements POST /api/v1/auth/refresh. The body goes before the
// cookie, and the answer goes the way that the token came.
func (s *Server) RefreshSession(ctx context.Context, request api.RefreshSessionRequestObject) (api.RefreshSessionResponseObject, error) {
	presented, inCookie := request.Body.RefreshToken, false
	if presented == nil {
		presented, inCookie = request.Params.RefreshToken, true
	}
	if presented == nil {
		return nil, invalidRequest([]fault.Field{{
			Pointer: "/refresh_token", Code: "required", Message: "It is neither in the body nor in the cookie.",
		}})
	}
	tokens, err := s.Accounts.Refresh(ctx, *presented)
	if err != nil {
		return nil, err
	}
	response := api.RefreshSession200JSONResponse{
		Body: toAPITokens(tokens), Headers: api.RefreshSession200ResponseHeaders{CacheControl: ptr(noStore)},
	}
	if inCookie {
		response.Headers.SetCookie, response.Body.RefreshToken = ptr(refreshCookie(tokens)), nil
	}
	return response, nil
}

// Logout implements POST /api/v1/auth/logout.
func (s *Server) Logout(ctx context.Context, _ api.LogoutRequestObject) (api.LogoutResponseObject, error) {
	if err := s.Accounts.Logout(ctx); err != nil {
		return nil, err
	}
	return api.Logout204Response{Headers: api.Logout204ResponseHeaders{SetCookie: ptr(noRefreshCookie())}}, nil
}

// LogoutAll implements POST /api/v1/auth/logout-all.
func (s *Server) LogoutAll(ctx context.Context, _ api.LogoutAllRequestObject) (api.LogoutAllResponseObject, error) {
	if err := s.Accounts.LogoutAll(ctx); err != nil {
		return nil, err
	}
	return api.LogoutAll204Response{Headers: api.LogoutAll204ResponseHeaders{SetCookie: ptr(noRefreshCookie())}}, nil
}

// RequestPasswordReset implements POST /api/v1/auth/password-reset.
func (s *Server) RequestPasswordReset(ctx context.Context, request api.RequestPasswordResetRequestObject) (api.RequestPasswordResetResponseObject, error) {
	if err := s.Accounts.RequestPasswordReset(ctx, string(request.Body.Email)); err != nil {
		return nil, err
	}
	return api.RequestPasswordReset202JSONResponse{
		Message: "If the address belongs to an account, a mail is on its way.",
	}, nil
}

// ResetPassword implements POST /api/v1/auth/password-reset/confirm.
func (s *Server) ResetPassword(ctx context.Context, request api.ResetPasswordRequestObject) (api.ResetPasswordResponseObject, error) {
	if err := s.Accounts.ResetPassword(ctx, request.Body.Token, request.Body.Password); err != nil {
		return nil, err
	}
	return api.ResetPassword204Response{}, nil
}

func toAPITokens(t account.Tokens) api.TokenResponse {
	return api.TokenResponse{
		AccessToken: t.AccessToken, TokenType: api.TokenResponseTokenTypeBearer, ExpiresIn: int(t.ExpiresIn.Seconds()),
		RefreshToken: &t.RefreshToken, RefreshExpiresIn: int(t.RefreshExpiresIn.Seconds()),
	}
}

// refreshCookie carries the refresh token to where it is used and nowhere else.
// The prefix of its name keeps pages that were not fetched over TLS from setting
// it (RFC 6265bis, section 4.1.3.1). Unless the session is to last, the browser
// drops it when it closes.
func refreshCookie(t account.Tokens) string {
	maxAge := 0
	if t.Remember {
		maxAge = int(t.RefreshExpiresIn.Seconds())
	}
	return cookie(t.RefreshToken, maxAge)
}

func noRefreshCookie() string { return cookie("", -1) }

// cookie writes the cookie; maxAge is in seconds, 0 for as long as the browser
// runs, and below for its removal.
func cookie(value string, maxAge int) string {
	c := http.Cookie{
		Name: "__Secure-picaspot_refresh", Value: value, MaxAge: maxAge, Path: "/api/v1/auth",
		HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
	}
	return c.String()
}
