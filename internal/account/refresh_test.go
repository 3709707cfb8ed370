package account_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/token"
	"github.com/picaspot/picaspot/internal/version"
)

func tryRefresh(t *testing.T, s *apptest.Server, presented string) *api.RefreshSessionResponse {
	t.Helper()
	got, err := s.Anonymous().RefreshSessionWithResponse(context.Background(), nil, api.RefreshRequest{RefreshToken: &presented})
	require.NoError(t, err)
	return got
}

func refresh(t *testing.T, s *apptest.Server, presented string) api.TokenResponse {
	t.Helper()
	got := tryRefresh(t, s, presented)
	require.NotNil(t, got.JSON200, string(got.Body))
	require.NotNil(t, got.JSON200.RefreshToken)
	return *got.JSON200
}

func refreshRefused(t *testing.T, s *apptest.Server, presented string) {
	t.Helper()
	got := tryRefresh(t, s, presented)
	refused(t, http.StatusUnauthorized, "refresh_token_invalid", got.HTTPResponse, got.Body)
}

func remember(in *api.LoginRequest) { in.Remember = ptr(true) }

func TestRefresh(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()

	t.Run("gets new tokens of the same session", func(t *testing.T) {
		first := login(t, s, user, nil)
		sessions := count(t, s, "SELECT count(*) FROM sessions")
		presented := *first.RefreshToken
		for range 3 {
			next := tryRefresh(t, s, presented)
			require.NotNil(t, next.JSON200, string(next.Body))
			require.Equal(t, "no-store", next.HTTPResponse.Header.Get("Cache-Control"))
			require.Empty(t, next.HTTPResponse.Header.Values("Set-Cookie"))
			require.NotEqual(t, presented, *next.JSON200.RefreshToken)
			require.NotEqual(t, first.AccessToken, next.JSON200.AccessToken)
			require.InDelta(t, 900, next.JSON200.ExpiresIn, 20)
			require.True(t, works(t, s, next.JSON200.AccessToken))
			presented = *next.JSON200.RefreshToken
		}
		require.True(t, works(t, s, first.AccessToken), "the token from before lives as long as it says")
		require.Equal(t, sessions, count(t, s, "SELECT count(*) FROM sessions"))
	})

	t.Run("answers a token that comes twice with the same successor", func(t *testing.T) {
		first := login(t, s, user, nil)
		second := refresh(t, s, *first.RefreshToken)
		for range 2 {
			again := refresh(t, s, *first.RefreshToken)
			require.Equal(t, *second.RefreshToken, *again.RefreshToken)
			require.True(t, works(t, s, again.AccessToken))
		}
		third := refresh(t, s, *second.RefreshToken)
		require.Equal(t, *third.RefreshToken, *refresh(t, s, *second.RefreshToken).RefreshToken)
	})

	t.Run("keeps the session of who sends a token a hundred times at once", func(t *testing.T) {
		user := s.User()
		exec(t, s, "DELETE FROM sessions WHERE user_id = $1", user.ID)
		first := login(t, s, user, nil)
		client := s.Anonymous()
		answers := make([]api.TokenResponse, 100)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				got, err := client.RefreshSessionWithResponse(context.Background(), nil, api.RefreshRequest{RefreshToken: first.RefreshToken})
				switch {
				case err != nil:
					t.Error(err)
				case got.JSON200 == nil || got.JSON200.RefreshToken == nil:
					t.Errorf("%d %s", got.StatusCode(), got.Body)
				default:
					answers[i] = *got.JSON200
				}
			})
		}
		wg.Wait()
		require.False(t, t.Failed())
		for _, answer := range answers {
			require.Equal(t, *answers[0].RefreshToken, *answer.RefreshToken, "there is one current token")
		}
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NULL", user.ID))
		require.Zero(t, events(t, s, user, "refresh_token_reused"))
		require.True(t, works(t, s, answers[99].AccessToken))
		require.True(t, works(t, s, refresh(t, s, *answers[50].RefreshToken).AccessToken))
	})

	t.Run("moves the end of an idle session on, and no further than its last", func(t *testing.T) {
		tokens := login(t, s, user, nil)
		require.InDelta(t, 30*60, tokens.RefreshExpiresIn, 20)
		ofToken := "id = (SELECT id FROM sessions ORDER BY created_at DESC LIMIT 1)"
		exec(t, s, "UPDATE sessions SET idle_expires_at = now() + interval '1 minute' WHERE "+ofToken)
		tokens = refresh(t, s, *tokens.RefreshToken)
		require.InDelta(t, 30*60, tokens.RefreshExpiresIn, 20)
		exec(t, s, "UPDATE sessions SET expires_at = now() + interval '5 minutes' WHERE "+ofToken)
		tokens = refresh(t, s, *tokens.RefreshToken)
		require.InDelta(t, 5*60, tokens.RefreshExpiresIn, 20)
	})

	t.Run("lasts longer where that was asked for", func(t *testing.T) {
		tokens := login(t, s, user, remember)
		require.InDelta(t, 12*60*60, tokens.RefreshExpiresIn, 20)
		require.InDelta(t, 12*60*60, refresh(t, s, *tokens.RefreshToken).RefreshExpiresIn, 20)
		require.Equal(t, 1, count(t, s, `SELECT count(*) FROM sessions
			WHERE remember AND user_id = $1 AND expires_at - created_at BETWEEN interval '1439 minutes' AND interval '1441 minutes'`, user.ID))
	})

	t.Run("leaves the token as it is when the database refuses", func(t *testing.T) {
		tokens := login(t, s, user, nil)
		relent := s.Refuse("UPDATE", "sessions")
		got := tryRefresh(t, s, *tokens.RefreshToken)
		relent()
		refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		require.True(t, works(t, s, refresh(t, s, *tokens.RefreshToken).AccessToken))
	})
}

func TestRefreshTokenUsedAgainEndsTheSession(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	for name, reuse := range map[string]func(*testing.T, api.TokenResponse) (presented, current string){
		"one from long before": func(t *testing.T, first api.TokenResponse) (string, string) {
			t.Helper()
			third := refresh(t, s, *refresh(t, s, *first.RefreshToken).RefreshToken)
			return *first.RefreshToken, *third.RefreshToken
		},
		"the one before, too late": func(t *testing.T, first api.TokenResponse) (string, string) {
			t.Helper()
			second := refresh(t, s, *first.RefreshToken)
			exec(t, s, "UPDATE sessions SET last_used_at = now() - interval '11 seconds'")
			return *first.RefreshToken, *second.RefreshToken
		},
	} {
		t.Run(name, func(t *testing.T) {
			user := s.User()
			first := login(t, s, user, nil, set("User-Agent", "Kestrel/7"))
			presented, current := reuse(t, first)
			require.True(t, works(t, s, first.AccessToken))
			require.True(t, works(t, s, user.Token))

			got := tryRefresh(t, s, presented)
			refused(t, http.StatusUnauthorized, "refresh_token_invalid", got.HTTPResponse, got.Body)
			require.False(t, works(t, s, first.AccessToken), "an access token of the session is refused at once")
			refreshRefused(t, s, current)
			refreshRefused(t, s, presented)
			require.True(t, works(t, s, user.Token), "other sessions go on")

			require.Equal(t, 1, events(t, s, user, "refresh_token_reused"))
			require.Equal(t, 1, count(t, s, `SELECT count(*) FROM audit_logs a JOIN sessions s ON s.id = a.entity_id
				WHERE a.action = 'refresh_token_reused' AND s.user_id = $1 AND s.end_reason = 'refresh_token_reused' AND s.sealed_refresh_token IS NULL`, user.ID))
			require.Contains(t, notice(t, s, user.Email, "an old key of it was used again"), "/forgot-password")
			settled(t, s)
			require.Len(t, s.Mailbox.Mails(user.Email), 1)
		})
	}

	t.Run("or nothing happens", func(t *testing.T) {
		for operation, table := range map[string]string{"INSERT": "river_job", "UPDATE": "sessions"} {
			user := s.User()
			first := login(t, s, user, nil)
			third := refresh(t, s, *refresh(t, s, *first.RefreshToken).RefreshToken)
			relent := s.Refuse(operation, table)
			got := tryRefresh(t, s, *first.RefreshToken)
			relent()
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
			require.Zero(t, events(t, s, user, "refresh_token_reused"))
			require.True(t, works(t, s, refresh(t, s, *third.RefreshToken).AccessToken))
		}
	})
}

func TestRefreshTokenThatWasMadeUp(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	tokens := login(t, s, s.User(), nil)
	good := *tokens.RefreshToken
	changed := func(i int) string {
		letter := "A"
		if good[i] == 'A' {
			letter = "B"
		}
		return good[:i] + letter + good[i+1:]
	}
	elsewhere, err := token.NewRefresher([]byte(strings.Repeat("another ", 8)))
	require.NoError(t, err)
	var id uuid.UUID
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(), "SELECT id FROM sessions ORDER BY created_at DESC LIMIT 1").Scan(&id))
	foreign, _ := elsewhere.New(id)
	made := map[string]string{
		"another session":     changed(3),
		"another secret":      changed(40),
		"another seal":        changed(len(good) - 5),
		"cut":                 good[:len(good)-4],
		"longer":              good + "AAAA",
		"with a line break":   good + "\n",
		"padded":              good + "=",
		"of another server":   foreign,
		"an access token's":   tokens.AccessToken[:100],
		"a word":              "token",
		"not even characters": "\x00\x01",
	}
	before := s.Store.Pool.Stat().AcquireCount()
	for name, presented := range made {
		got := tryRefresh(t, s, presented)
		if name == "not even characters" {
			apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body)
			continue
		}
		refused(t, http.StatusUnauthorized, "refresh_token_invalid", got.HTTPResponse, got.Body)
	}
	require.Equal(t, before, s.Store.Pool.Stat().AcquireCount(), "the database was asked")
	for _, presented := range []string{"", strings.Repeat("A", 129)} {
		got := tryRefresh(t, s, presented)
		require.Equal(t, "/refresh_token", pointer(t, refused(t, http.StatusBadRequest, "invalid_request", got.HTTPResponse, got.Body)))
	}
	require.Zero(t, count(t, s, "SELECT count(*) FROM audit_logs WHERE action = 'refresh_token_reused'"))
	require.True(t, works(t, s, refresh(t, s, good).AccessToken))
	require.Greater(t, s.Store.Pool.Stat().AcquireCount(), before)
}

func TestRefreshAfterTheEnd(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	suspended := entuser.StatusSuspended
	ofUser := func(statement string) func(*testing.T, *apptest.Client) {
		return func(t *testing.T, user *apptest.Client) {
			t.Helper()
			exec(t, s, statement, user.ID)
		}
	}
	for name, end := range map[string]func(*testing.T, *apptest.Client){
		"of a session that was not used":      ofUser("UPDATE sessions SET idle_expires_at = now() WHERE user_id = $1"),
		"of a session that is too old":        ofUser("UPDATE sessions SET expires_at = now() WHERE user_id = $1"),
		"of a session that is removed":        ofUser("DELETE FROM sessions WHERE user_id = $1"),
		"of a session while its user may not": ofUser("UPDATE users SET status = 'suspended' WHERE id = $1"),
		"of a session that was ended": func(t *testing.T, user *apptest.Client) {
			t.Helper()
			got, err := user.LogoutAllWithResponse(ctx)
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		},
		"of an account that is suspended": func(t *testing.T, user *apptest.Client) {
			t.Helper()
			_, err := s.Accounts.Manage(ctx, user.ID, account.Change{Status: &suspended}, version.Precondition{})
			require.NoError(t, err)
		},
		"of an account that is deleted": func(t *testing.T, user *apptest.Client) {
			t.Helper()
			got, err := user.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		},
	} {
		t.Run(name, func(t *testing.T) {
			user := s.User()
			first := login(t, s, user, nil)
			second := refresh(t, s, *first.RefreshToken)
			end(t, user)
			refreshRefused(t, s, *second.RefreshToken)
			refreshRefused(t, s, *first.RefreshToken)
			require.Zero(t, events(t, s, user, "refresh_token_reused"), "nobody stole it")
		})
	}
	t.Run("and goes on for who may again", func(t *testing.T) {
		user := s.User()
		tokens := login(t, s, user, nil)
		exec(t, s, "UPDATE users SET status = 'suspended' WHERE id = $1", user.ID)
		refreshRefused(t, s, *tokens.RefreshToken)
		exec(t, s, "UPDATE users SET status = 'active' WHERE id = $1", user.ID)
		refresh(t, s, *tokens.RefreshToken)
	})
}

func TestOAuthRefresh(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	ask := func(values url.Values) (*http.Response, []byte) {
		return s.Call(nil, http.MethodPost, "/api/v1/auth/token", formType, strings.NewReader(values.Encode()))
	}
	grant := func(presented string) url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {presented}, "client_id": {"swagger"}, "scope": {"openid"}}
	}
	first := login(t, s, user, nil)
	got, err := s.Anonymous().CreateTokenWithFormdataBodyWithResponse(context.Background(), api.TokenRequest{
		GrantType: api.TokenRequestGrantTypeRefreshToken, RefreshToken: first.RefreshToken,
	})
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	require.Equal(t, "no-store", got.HTTPResponse.Header.Get("Cache-Control"))
	require.True(t, works(t, s, got.JSON200.AccessToken))
	response, body := ask(grant(*got.JSON200.RefreshToken))
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))

	for name, test := range map[string]struct {
		values url.Values
		status int
		code   string
	}{
		"a token that was used before":    {grant(*first.RefreshToken), http.StatusUnauthorized, "invalid_grant"},
		"a token that was made up":        {grant("token"), http.StatusUnauthorized, "invalid_grant"},
		"a wrong password":                {url.Values{"grant_type": {"password"}, "username": {user.Username}, "password": {wrongPassword}}, http.StatusUnauthorized, "invalid_grant"},
		"a grant that there is not":       {url.Values{"grant_type": {"client_credentials"}}, http.StatusBadRequest, "unsupported_grant_type"},
		"no grant":                        {url.Values{"refresh_token": {"token"}}, http.StatusBadRequest, "invalid_request"},
		"no refresh token":                {url.Values{"grant_type": {"refresh_token"}}, http.StatusBadRequest, "invalid_request"},
		"an empty refresh token":          {grant(""), http.StatusBadRequest, "invalid_request"},
		"no name and no password":         {url.Values{"grant_type": {"password"}}, http.StatusBadRequest, "invalid_request"},
		"two refresh tokens":              {url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"a", "b"}}, http.StatusBadRequest, "invalid_request"},
		"a parameter that nobody expects": {url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"a"}, "colour": {"red"}}, http.StatusBadRequest, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			response, body := ask(test.values)
			p := apptest.Problem(t, test.status, response, body)
			require.NotNil(t, p.Error, string(body))
			require.Equal(t, test.code, *p.Error)
			require.Equal(t, p.Detail, p.ErrorDescription)
			require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
		})
	}
	t.Run("and no other operation speaks OAuth", func(t *testing.T) {
		got := tryRefresh(t, s, "token")
		p := refused(t, http.StatusUnauthorized, "refresh_token_invalid", got.HTTPResponse, got.Body)
		require.Nil(t, p.Error, fmt.Sprint(p))
	})
}
