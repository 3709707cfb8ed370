package account_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// setCookie is the refresh cookie of an answer, as a browser is to keep it.
func setCookie(t *testing.T, response *http.Response) *http.Cookie {
	t.Helper()
	cookies := response.Cookies()
	require.Len(t, cookies, 1)
	c := cookies[0]
	require.Equal(t, "__Secure-picaspot_refresh", c.Name)
	require.Equal(t, "/api/v1/auth", c.Path)
	require.Empty(t, c.Domain)
	require.True(t, c.HttpOnly)
	require.True(t, c.Secure)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	return c
}

func inCookie(in *api.LoginRequest) { in.Cookie = ptr(true) }

func TestRefreshTokenInCookie(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	user := s.User()
	start := func(t *testing.T) (api.TokenResponse, *http.Cookie) {
		t.Helper()
		got := tryLogin(t, s, user.Username, apptest.Password, inCookie)
		require.NotNil(t, got.JSON200, string(got.Body))
		return *got.JSON200, setCookie(t, got.HTTPResponse)
	}
	// send refreshes with a cookie and, unless it is nil, with a token in the body.
	send := func(t *testing.T, cookie string, inBody *string, editors ...api.RequestEditorFn) *api.RefreshSessionResponse {
		t.Helper()
		var params *api.RefreshSessionParams
		if cookie != "" {
			params = &api.RefreshSessionParams{RefreshToken: &cookie}
		}
		got, err := s.Anonymous().RefreshSessionWithResponse(ctx, params, api.RefreshRequest{RefreshToken: inBody}, editors...)
		require.NoError(t, err)
		return got
	}

	t.Run("is out of reach of scripts", func(t *testing.T) {
		tokens, cookie := start(t)
		require.Nil(t, tokens.RefreshToken)
		require.NotEmpty(t, cookie.Value)
		require.Zero(t, cookie.MaxAge, "the browser drops it when it closes")
		require.True(t, cookie.Expires.IsZero())
	})

	t.Run("stays in the browser when the session is to last", func(t *testing.T) {
		got := tryLogin(t, s, user.Username, apptest.Password, func(in *api.LoginRequest) { in.Cookie, in.Remember = ptr(true), ptr(true) })
		cookie := setCookie(t, got.HTTPResponse)
		require.InDelta(t, (12 * time.Hour).Seconds(), cookie.MaxAge, 20)
		next := send(t, cookie.Value, nil)
		require.InDelta(t, (12 * time.Hour).Seconds(), setCookie(t, next.HTTPResponse).MaxAge, 20)
	})

	t.Run("is not there unless it was asked for", func(t *testing.T) {
		got := tryLogin(t, s, user.Username, apptest.Password, nil)
		require.NotNil(t, got.JSON200.RefreshToken)
		require.Empty(t, got.HTTPResponse.Cookies())
	})

	t.Run("is rotated", func(t *testing.T) {
		_, first := start(t)
		got := send(t, first.Value, nil)
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Nil(t, got.JSON200.RefreshToken)
		second := setCookie(t, got.HTTPResponse)
		require.NotEqual(t, first.Value, second.Value)
		require.Zero(t, second.MaxAge)
		require.True(t, works(t, s, got.JSON200.AccessToken))
		again := send(t, first.Value, nil)
		require.Equal(t, second.Value, setCookie(t, again.HTTPResponse).Value, "two tabs at once")
		require.NotNil(t, send(t, second.Value, nil).JSON200)
	})

	t.Run("goes after the body", func(t *testing.T) {
		_, cookie := start(t)
		other := login(t, s, user, nil)
		got := send(t, cookie.Value, other.RefreshToken)
		require.NotNil(t, got.JSON200, string(got.Body))
		require.NotNil(t, got.JSON200.RefreshToken, "the answer goes the way that the token came")
		require.Empty(t, got.HTTPResponse.Cookies())
		made := send(t, cookie.Value, ptr("token"))
		refused(t, http.StatusUnauthorized, "refresh_token_invalid", made.HTTPResponse, made.Body)
		require.NotNil(t, send(t, cookie.Value, nil).JSON200, "the cookie's session went on all the while")
	})

	t.Run("or in the body, but not nowhere", func(t *testing.T) {
		got := send(t, "", nil)
		require.Equal(t, "/refresh_token", pointer(t, refused(t, http.StatusBadRequest, "invalid_request", got.HTTPResponse, got.Body)))
	})

	t.Run("is not taken from a page of another site", func(t *testing.T) {
		_, cookie := start(t)
		for name, editors := range map[string][]api.RequestEditorFn{
			"as a browser tells":             {set("Sec-Fetch-Site", "cross-site")},
			"from a neighbouring host":       {set("Sec-Fetch-Site", "same-site"), set("Origin", "https://evil.example.org")},
			"as an older browser tells":      {set("Origin", "https://evil.example")},
			"from a frame without an origin": {set("Origin", "null")},
		} {
			got := send(t, cookie.Value, nil, editors...)
			p := refused(t, http.StatusForbidden, "cross_origin", got.HTTPResponse, got.Body)
			require.Empty(t, got.HTTPResponse.Cookies(), "%s: %v", name, p)
		}
		for _, editors := range [][]api.RequestEditorFn{
			{set("Sec-Fetch-Site", "same-origin"), set("Origin", s.URL)},
			{set("Origin", s.URL)},
			{set("Sec-Fetch-Site", "none")},
		} {
			got := send(t, cookie.Value, nil, editors...)
			require.NotNil(t, got.JSON200, string(got.Body))
			cookie = setCookie(t, got.HTTPResponse)
		}
	})

	t.Run("is dropped at the end", func(t *testing.T) {
		for name, end := range map[string]func(*apptest.Client) (*http.Response, []byte){
			"by a logout": func(c *apptest.Client) (*http.Response, []byte) {
				got, err := c.LogoutWithResponse(ctx)
				require.NoError(t, err)
				return got.HTTPResponse, got.Body
			},
			"by a logout everywhere": func(c *apptest.Client) (*http.Response, []byte) {
				got, err := c.LogoutAllWithResponse(ctx)
				require.NoError(t, err)
				return got.HTTPResponse, got.Body
			},
			"with the account": func(c *apptest.Client) (*http.Response, []byte) {
				got, err := c.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
				require.NoError(t, err)
				return got.HTTPResponse, got.Body
			},
		} {
			user := s.User()
			started := tryLogin(t, s, user.Username, apptest.Password, inCookie)
			response, body := end(withToken(t, s, user, started.JSON200.AccessToken))
			require.Equal(t, http.StatusNoContent, response.StatusCode, "%s: %s", name, body)
			dropped := setCookie(t, response)
			require.Empty(t, dropped.Value)
			require.Negative(t, dropped.MaxAge)
			got := send(t, setCookie(t, started.HTTPResponse).Value, nil)
			refused(t, http.StatusUnauthorized, "refresh_token_invalid", got.HTTPResponse, got.Body)
		}
	})
}
