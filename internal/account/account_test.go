package account_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/runtime/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"github.com/picaspot/picaspot/api"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mailbox"
	"github.com/picaspot/picaspot/internal/version"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var tokenInLink = regexp.MustCompile(`verify-email\?token=([A-Za-z0-9_-]+)`)

// mails waits for as many mails to an address, newest first.
func mails(t *testing.T, s *apptest.Server, to string, n int) []mailbox.Mail {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.Mailbox.Mails(to)) >= n }, 30*time.Second, 10*time.Millisecond, "no mail to %s", to)
	return s.Mailbox.Mails(to)
}

func mailToken(t *testing.T, s *apptest.Server, to string) string {
	t.Helper()
	found := tokenInLink.FindStringSubmatch(mails(t, s, to, 1)[0].Text)
	require.Len(t, found, 2)
	token, err := url.QueryUnescape(found[1])
	require.NoError(t, err)
	return token
}

func register(t *testing.T, s *apptest.Server, username, email string) {
	t.Helper()
	got, err := s.Anonymous().RegisterUserWithResponse(context.Background(), api.RegisterRequest{
		Username: username, Email: types.Email(email), Password: apptest.Password,
	})
	require.NoError(t, err)
	require.NotNil(t, got.JSON201, string(got.Body))
	require.Equal(t, username, got.JSON201.Username)
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	ctx := context.Background()
	login := func(identifier string) *api.LoginResponse {
		got, err := s.Anonymous().LoginWithResponse(ctx, api.LoginRequest{Identifier: identifier, Password: apptest.Password})
		require.NoError(t, err)
		return got
	}

	register(t, s, "ada", "ada@example.org")
	token := mailToken(t, s, "ada@example.org")
	unverified := login("ada")
	apptest.Problem(t, http.StatusUnauthorized, unverified.HTTPResponse, unverified.Body)

	verified, err := s.Anonymous().VerifyEmailWithResponse(ctx, api.VerifyEmailRequest{Token: token})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, verified.StatusCode())
	for _, identifier := range []string{"ada", "ADA", "ada@example.org", "Ada@Example.org"} {
		got := login(identifier)
		require.NotNil(t, got.JSON200, string(got.Body))
		require.InDelta(t, 900, got.JSON200.ExpiresIn, 1)
		require.Equal(t, "no-store", got.HTTPResponse.Header.Get("Cache-Control"))
	}

	t.Run("a link works once", func(t *testing.T) {
		again, err := s.Anonymous().VerifyEmailWithResponse(ctx, api.VerifyEmailRequest{Token: token})
		require.NoError(t, err)
		require.Equal(t, "/problems/mail_token_invalid", apptest.Problem(t, http.StatusUnprocessableEntity, again.HTTPResponse, again.Body).Type)
		unknown, err := s.Anonymous().VerifyEmailWithResponse(ctx, api.VerifyEmailRequest{Token: "unknown"})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusUnprocessableEntity, unknown.HTTPResponse, unknown.Body)
	})

	t.Run("a taken address gets the same answer, and its owner a mail", func(t *testing.T) {
		register(t, s, "other", "ADA@example.org")
		require.Len(t, mails(t, s, "ada@example.org", 2), 2)
		require.Contains(t, mails(t, s, "ada@example.org", 2)[0].Text, "already")
		found := s.Store.Ent.User.Query().CountX(ctx)
		require.Equal(t, 1, found)
	})

	t.Run("a taken name gets the same answer, and the address a mail", func(t *testing.T) {
		register(t, s, "Ada", "lovelace@example.org")
		require.NotContains(t, mails(t, s, "lovelace@example.org", 1)[0].Text, "token=")
		require.Equal(t, 1, s.Store.Ent.User.Query().CountX(ctx))
	})

	t.Run("a link that is too old does not work", func(t *testing.T) {
		register(t, s, "late", "late@example.org")
		token := mailToken(t, s, "late@example.org")
		_, err := s.Store.Pool.Exec(ctx, "UPDATE mail_tokens SET expires_at = now() - interval '1 second' WHERE used_at IS NULL")
		require.NoError(t, err)
		got, err := s.Anonymous().VerifyEmailWithResponse(ctx, api.VerifyEmailRequest{Token: token})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusUnprocessableEntity, got.HTTPResponse, got.Body)
	})

	t.Run("the page of the link asks for a click", func(t *testing.T) {
		register(t, s, "click", "click@example.org")
		token := mailToken(t, s, "click@example.org")
		response, page := s.Call(nil, http.MethodGet, "/verify-email?token="+url.QueryEscape(token), "", nil)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Contains(t, string(page), token)
		post := func() (*http.Response, []byte) {
			return s.Call(nil, http.MethodPost, "/verify-email", "application/x-www-form-urlencoded", strings.NewReader(url.Values{"token": {token}}.Encode()))
		}
		response, page = post()
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Contains(t, string(page), "verified")
		require.NotNil(t, login("click").JSON200)
		response, page = post()
		require.Equal(t, http.StatusUnprocessableEntity, response.StatusCode)
		require.Contains(t, string(page), "did not work")
		require.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'none'")
	})
}

func TestRegistrationRefuses(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	for name, test := range map[string]struct {
		body    string
		status  int
		pointer string
	}{
		"a common password":         {`{"username":"ada","email":"ada@example.org","password":"password1"}`, http.StatusUnprocessableEntity, "/password"},
		"one's own name":            {`{"username":"adalovelace","email":"ada@example.org","password":"adalovelace"}`, http.StatusUnprocessableEntity, "/password"},
		"a short password":          {`{"username":"ada","email":"ada@example.org","password":"x7#kq"}`, http.StatusBadRequest, "/password"},
		"a name with spaces":        {`{"username":"a da","email":"ada@example.org","password":"seven maples by the quay"}`, http.StatusBadRequest, "/username"},
		"what is no address":        {`{"username":"ada","email":"ada","password":"seven maples by the quay"}`, http.StatusBadRequest, "/email"},
		"a field that is not known": {`{"username":"ada","email":"ada@example.org","password":"seven maples by the quay","role":"admin"}`, http.StatusBadRequest, "/role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, body := s.Call(nil, http.MethodPost, "/api/v1/auth/register", "application/json", strings.NewReader(test.body))
			p := apptest.Problem(t, test.status, response, body)
			require.NotNil(t, p.Errors, string(body))
			require.Equal(t, test.pointer, *(*p.Errors)[0].Pointer)
		})
	}
}

func TestLoginTellsNothing(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	known, suspended := s.User(), s.User()
	_, err := s.Store.Pool.Exec(ctx, "UPDATE users SET status = 'suspended' WHERE id = $1", suspended.ID)
	require.NoError(t, err)
	var details []string
	for _, login := range []api.LoginRequest{
		{Identifier: known.Username, Password: "wrong wrong wrong"},
		{Identifier: "nobody", Password: apptest.Password},
		{Identifier: "nobody@example.org", Password: apptest.Password},
		{Identifier: suspended.Username, Password: apptest.Password},
	} {
		got, err := s.Anonymous().LoginWithResponse(ctx, login)
		require.NoError(t, err)
		p := apptest.Problem(t, http.StatusUnauthorized, got.HTTPResponse, got.Body)
		require.Equal(t, "/problems/bad_credentials", p.Type)
		details = append(details, *p.Detail)
	}
	for _, detail := range details {
		require.Equal(t, details[0], detail)
	}
	var failed, succeeded int
	require.NoError(t, s.Store.Pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE action = 'login_failed'),
		count(*) FILTER (WHERE action = 'login') FROM audit_logs`).Scan(&failed, &succeeded))
	require.Equal(t, []int{4, 2}, []int{failed, succeeded})
}

func TestOAuthTokenEndpoint(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	const form = "application/x-www-form-urlencoded"
	call := func(contentType string, values url.Values) (*http.Response, []byte) {
		return s.Call(nil, http.MethodPost, "/api/v1/auth/token", contentType, strings.NewReader(values.Encode()))
	}
	good := url.Values{"grant_type": {"password"}, "username": {user.Email}, "password": {apptest.Password}, "scope": {""}}
	response, body := call(form, good)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	require.Contains(t, string(body), `"token_type":"Bearer"`)

	response, body = call(form, url.Values{"grant_type": {"password"}, "username": {user.Email}, "password": {"wrong wrong"}})
	apptest.Problem(t, http.StatusUnauthorized, response, body)
	response, body = call(form, url.Values{"grant_type": {"client_credentials"}, "username": {"x"}, "password": {"y"}})
	apptest.Problem(t, http.StatusBadRequest, response, body)
	response, body = call(form, url.Values{"grant_type": {"password"}, "username": {"a", "b"}, "colour": {"red"}})
	apptest.Problem(t, http.StatusBadRequest, response, body)
	response, body = call("application/json", good)
	apptest.Problem(t, http.StatusUnsupportedMediaType, response, body)
}

func TestAccessEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	status := func(c *apptest.Client) int {
		me, err := c.GetMeWithResponse(ctx, nil)
		require.NoError(t, err)
		return me.StatusCode()
	}
	suspended := entuser.StatusSuspended
	for name, end := range map[string]func(*apptest.Client){
		"of an ended session": func(c *apptest.Client) {
			got, err := c.LogoutWithResponse(ctx)
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		},
		"of an expired session": func(c *apptest.Client) {
			// Nobody can hurry time; no request has seen the session before.
			_, err := s.Store.Pool.Exec(ctx, "UPDATE sessions SET expires_at = now() WHERE user_id = $1", c.ID)
			require.NoError(t, err)
		},
		"of a suspended account": func(c *apptest.Client) {
			_, err := s.Accounts.Manage(ctx, c.ID, account.Change{Status: &suspended}, version.Precondition{})
			require.NoError(t, err)
		},
		"of a deleted account": func(c *apptest.Client) {
			got, err := c.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		},
	} {
		t.Run(name, func(t *testing.T) {
			user := s.User()
			if name != "of an expired session" {
				require.Equal(t, http.StatusOK, status(user))
			}
			end(user)
			require.Equal(t, http.StatusUnauthorized, status(user))
		})
	}
	t.Run("and a new role begins at once", func(t *testing.T) {
		user := s.User()
		area := s.Area(s.User(), "Harbour")
		refused, err := user.VerifyAreaWithResponse(ctx, area.ID)
		require.NoError(t, err)
		p := apptest.Problem(t, http.StatusForbidden, refused.HTTPResponse, refused.Body)
		require.Equal(t, "Your role does not allow area:verify.", *p.Detail)
		role := authz.ModeratorRole
		_, err = s.Accounts.Manage(ctx, user.ID, account.Change{Role: &role}, version.Precondition{})
		require.NoError(t, err)
		allowed, err := user.VerifyAreaWithResponse(ctx, area.ID)
		require.NoError(t, err)
		require.NotNil(t, allowed.JSON200, string(allowed.Body))
	})
	t.Run("and what is no token never begins", func(t *testing.T) {
		for _, token := range []string{"", "x", "e30.e30.", strings.Repeat("a", 10_000)} {
			response, body := s.Call(&apptest.Client{Token: token}, http.MethodGet, "/api/v1/me", "", nil)
			apptest.Problem(t, http.StatusUnauthorized, response, body)
			require.Contains(t, response.Header.Get("WWW-Authenticate"), "Bearer")
		}
	})
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	user := s.User()
	byEmail, err := s.Accounts.FindByEmail(ctx, strings.ToUpper(user.Email))
	require.NoError(t, err)
	require.Equal(t, user.ID, byEmail.ID)
	_, err = s.Accounts.FindByEmail(ctx, "nobody@example.org")
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	_, err = s.Accounts.Get(ctx, uuid.New())
	require.Equal(t, fault.NotFound, fault.KindOf(err))
}

func TestOutdatedHashIsRenewedAtLogin(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	user := s.User()
	salt := []byte("sixteen byte salt")
	weak := fmt.Sprintf("$argon2id$v=19$m=8192,t=1,p=1$%s$%s", base64.RawStdEncoding.EncodeToString(salt),
		base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte(apptest.Password), salt, 1, 8192, 1, 32)))
	_, err := s.Store.Pool.Exec(ctx, "UPDATE users SET password_hash = $2 WHERE id = $1", user.ID, weak)
	require.NoError(t, err)
	s.LogIn(user.ID, user.Username, user.Email)
	renewed, err := s.Accounts.Get(ctx, user.ID)
	require.NoError(t, err)
	require.Contains(t, renewed.PasswordHash, "m=7168,t=5,p=1")
	s.LogIn(user.ID, user.Username, user.Email)
}
