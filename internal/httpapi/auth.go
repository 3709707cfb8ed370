package httpapi

import (
	"context"
	"fmt"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/authz"
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
		Username: in.Username, Email: request.Body.Email,
		Message: fmt.Sprintf("We have sent a mail to %s. Follow its link to finish.", in.Email),
	}, nil
}

// VerifyEmail implements POST /api/v1/auth/verify-email.
func (s *Server) VerifyEmail(ctx context.Context, request api.VerifyEmailRequestObject) (api.VerifyEmailResponseObject, error) {
	if err := s.Accounts.VerifyEmail(ctx, request.Body.Token); err != nil {
		return nil, err
	}
	return api.VerifyEmail204Response{}, nil
}

// noStore keeps tokens out of every cache (RFC 6749, section 5.1).
const noStore = "no-store"

// Login implements POST /api/v1/auth/login.
func (s *Server) Login(ctx context.Context, request api.LoginRequestObject) (api.LoginResponseObject, error) {
	token, err := s.Accounts.Login(ctx, request.Body.Identifier, request.Body.Password)
	if err != nil {
		return nil, err
	}
	return api.Login200JSONResponse{
		Body: toAPIToken(token), Headers: api.Login200ResponseHeaders{CacheControl: ptr(noStore)},
	}, nil
}

// CreateToken implements POST /api/v1/auth/token.
func (s *Server) CreateToken(ctx context.Context, request api.CreateTokenRequestObject) (api.CreateTokenResponseObject, error) {
	token, err := s.Accounts.Login(ctx, request.Body.Username, request.Body.Password)
	if err != nil {
		return nil, err
	}
	return api.CreateToken200JSONResponse{
		Body: toAPIToken(token), Headers: api.CreateToken200ResponseHeaders{CacheControl: ptr(noStore)},
	}, nil
}

func toAPIToken(t account.AccessToken) api.TokenResponse {
	return api.TokenResponse{
		AccessToken: t.Token, TokenType: api.TokenResponseTokenTypeBearer, ExpiresIn: int(t.ExpiresIn.Seconds()),
	}
}

// GetMe implements GET /api/v1/me.
func (s *Server) GetMe(ctx context.Context, _ api.GetMeRequestObject) (api.GetMeResponseObject, error) {
	caller, _ := authz.CallerFrom(ctx)
	user, err := s.Accounts.Get(ctx, caller.UserID)
	if err != nil {
		return nil, err
	}
	return api.GetMe200JSONResponse(toAPIMe(ctx, user)), nil
}
