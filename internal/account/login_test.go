package account_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/oapi-codegen/runtime/types"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
)

// Where the owner of an account is, and somebody else.
const (
	home     = "203.0.113.7"
	stranger = "198.51.100.66"
)

// person makes an account that nobody has logged in to yet.
func person(t *testing.T, s *apptest.Server, name string) *apptest.Client {
	t.Helper()
	in := account.Registration{Username: name, Email: name + "@example.org", Password: apptest.Password}
	made, err := s.Accounts.Create(context.Background(), in, authz.DefaultRole)
	require.NoError(t, err)
	return &apptest.Client{ID: made.ID, Username: in.Username, Email: in.Email}
}

// attempt logs in from an address, and returns the status.
func attempt(t *testing.T, s *apptest.Server, identifier, password, address string) int {
	t.Helper()
	got := tryLogin(t, s, identifier, password, nil, from(address))
	switch got.StatusCode() {
	case http.StatusUnauthorized:
		refused(t, http.StatusUnauthorized, "bad_credentials", got.HTTPResponse, got.Body)
	case http.StatusTooManyRequests:
		p := refused(t, http.StatusTooManyRequests, "too_many_attempts", got.HTTPResponse, got.Body)
		require.NotNil(t, p.Detail)
		after, err := strconv.Atoi(got.HTTPResponse.Header.Get("Retry-After"))
		require.NoError(t, err)
		require.Positive(t, after)
		require.LessOrEqual(t, after, 20*60, "one of three in an hour comes back after twenty minutes")
	}
	return got.StatusCode()
}

func TestLoginSlowsDownForStrangers(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, apptest.WithLimits("login:account=3/1h"), behindProxy)
	// exhaust uses up what strangers have, from ever new addresses.
	exhaust := func(t *testing.T, identifier string, n int) {
		t.Helper()
		for i := range n {
			require.Equal(t, http.StatusUnauthorized, attempt(t, s, identifier, wrongPassword, fmt.Sprintf("198.51.100.%d", i)))
		}
		require.Equal(t, http.StatusTooManyRequests, attempt(t, s, identifier, wrongPassword, stranger))
	}

	t.Run("whether or not the account is there", func(t *testing.T) {
		known := person(t, s, "ada")
		exhaust(t, known.Username, 3)
		exhaust(t, "nobody", 3)
		require.Equal(t, http.StatusTooManyRequests, attempt(t, s, known.Username, apptest.Password, stranger), "the password makes no difference")
		for _, spelling := range []string{"ADA", "Ada"} {
			require.Equal(t, http.StatusTooManyRequests, attempt(t, s, spelling, apptest.Password, stranger))
		}
		require.Equal(t, http.StatusTooManyRequests, attempt(t, s, "NOBODY", apptest.Password, stranger))
		one := tryLogin(t, s, known.Username, wrongPassword, nil, from(stranger))
		other := tryLogin(t, s, "nobody", wrongPassword, nil, from(stranger))
		require.Equal(t, *refused(t, 429, "too_many_attempts", one.HTTPResponse, one.Body).Detail, *refused(t, 429, "too_many_attempts", other.HTTPResponse, other.Body).Detail)
		require.Zero(t, count(t, s, "SELECT count(*) FROM sessions WHERE user_id = $1", known.ID))
	})

	t.Run("not for the owner at home", func(t *testing.T) {
		user := person(t, s, "grace")
		require.Equal(t, http.StatusOK, attempt(t, s, user.Username, apptest.Password, home))
		exhaust(t, user.Username, 2)
		require.Equal(t, http.StatusOK, attempt(t, s, user.Username, apptest.Password, home))
		require.Equal(t, http.StatusTooManyRequests, attempt(t, s, user.Username, apptest.Password, stranger))
		for range 2 {
			require.Equal(t, http.StatusUnauthorized, attempt(t, s, user.Username, wrongPassword, home))
		}
		require.Equal(t, http.StatusTooManyRequests, attempt(t, s, user.Username, apptest.Password, home), "who guesses at home has a limit too")
	})

	t.Run("not where a session went on later", func(t *testing.T) {
		user := person(t, s, "hedy")
		tokens := login(t, s, user, nil, from(stranger))
		got, err := s.Anonymous().RefreshSessionWithResponse(context.Background(), nil, api.RefreshRequest{RefreshToken: tokens.RefreshToken}, from(home))
		require.NoError(t, err)
		require.NotNil(t, got.JSON200)
		exec(t, s, "UPDATE sessions SET ended_at = now() WHERE user_id = $1", user.ID)
		exhaust(t, user.Username, 2)
		require.Equal(t, http.StatusOK, attempt(t, s, user.Username, apptest.Password, home))
	})

	t.Run("but for who was there long ago", func(t *testing.T) {
		user := person(t, s, "mary")
		require.Equal(t, http.StatusOK, attempt(t, s, user.Username, apptest.Password, home))
		exec(t, s, "UPDATE sessions SET last_used_at = now() - interval '91 days' WHERE user_id = $1", user.ID)
		exhaust(t, user.Username, 2)
		require.Equal(t, http.StatusTooManyRequests, attempt(t, s, user.Username, apptest.Password, home))
	})

	t.Run("one account at a time", func(t *testing.T) {
		exhaust(t, person(t, s, "joan").Username, 3)
		require.Equal(t, http.StatusOK, attempt(t, s, person(t, s, "edith").Username, apptest.Password, stranger))
	})

	t.Run("and a home is of one account", func(t *testing.T) {
		user, neighbour := person(t, s, "jean"), person(t, s, "kay")
		require.Equal(t, http.StatusOK, attempt(t, s, neighbour.Username, apptest.Password, home))
		exhaust(t, user.Username, 3)
		require.Equal(t, http.StatusTooManyRequests, attempt(t, s, user.Username, apptest.Password, home))
	})

	t.Run("through OAuth too", func(t *testing.T) {
		user := person(t, s, "ruth")
		exhaust(t, user.Username, 3)
		response, body := s.Call(nil, http.MethodPost, "/api/v1/auth/token", formType, strings.NewReader(url.Values{
			"grant_type": {"password"}, "username": {user.Username}, "password": {apptest.Password},
		}.Encode()))
		p := refused(t, http.StatusTooManyRequests, "too_many_attempts", response, body)
		require.Equal(t, "temporarily_unavailable", *p.Error)
		require.NotEmpty(t, response.Header.Get("Retry-After"))
	})
}

func TestLoginGoesOnForWhoReadsTheMails(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.WithLimits("login:account=2/1h"), behindProxy)
	ctx := context.Background()
	user := person(t, s, "ada")
	for range 2 {
		require.Equal(t, http.StatusUnauthorized, attempt(t, s, user.Username, wrongPassword, stranger))
	}
	require.Equal(t, http.StatusTooManyRequests, tryLogin(t, s, user.Username, apptest.Password, nil, from(home)).StatusCode())
	asked, err := s.Anonymous().RequestPasswordResetWithResponse(ctx, api.EmailRequest{Email: types.Email(user.Email)}, from(stranger))
	require.NoError(t, err)
	require.NotNil(t, asked.JSON202)
	link := linkTo(t, s, "/reset-password", user.Email)
	require.Equal(t, http.StatusTooManyRequests, tryLogin(t, s, user.Username, apptest.Password, nil, from(stranger)).StatusCode(), "to ask for a mail is not to read it")
	got, err := s.Anonymous().ResetPasswordWithResponse(ctx, api.PasswordResetRequest{Token: link, Password: nextPassword}, from(home))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
	require.Equal(t, http.StatusOK, tryLogin(t, s, user.Username, nextPassword, nil, from(home)).StatusCode())
	require.Equal(t, http.StatusTooManyRequests, tryLogin(t, s, user.Username, nextPassword, nil, from(stranger)).StatusCode())
}

func TestLoginsFromOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, apptest.WithLimits("login:address=3/1h"), behindProxy)
	for i := range 3 {
		require.Equal(t, http.StatusUnauthorized, attempt(t, s, fmt.Sprintf("user-%d", i), wrongPassword, stranger))
	}
	got := tryLogin(t, s, "user-4", wrongPassword, nil, from(stranger))
	refused(t, http.StatusTooManyRequests, "rate_limited", got.HTTPResponse, got.Body)
	require.NotEmpty(t, got.HTTPResponse.Header.Get("Retry-After"))
	require.Equal(t, http.StatusUnauthorized, attempt(t, s, "user-4", wrongPassword, home))
}

func TestLoginRefuses(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	for name, test := range map[string]struct{ body, at string }{
		"a field that nobody knows": {`{"identifier":"ada","password":"x","admin":true}`, "/admin"},
		"no password":               {`{"identifier":"ada"}`, "/password"},
		"no name":                   {`{"password":"x"}`, "/identifier"},
		"a short code":              {`{"identifier":"ada","password":"x","otp":"12345"}`, "/otp"},
		"a password without end":    {`{"identifier":"ada","password":"` + strings.Repeat("x", 129) + `"}`, "/password"},
		"a name with a NUL":         {`{"identifier":"a\u0000da","password":"x"}`, "/identifier"},
	} {
		t.Run(name, func(t *testing.T) {
			response, body := s.Call(nil, http.MethodPost, "/api/v1/auth/login", "application/json", strings.NewReader(test.body))
			require.Equal(t, test.at, pointer(t, refused(t, http.StatusBadRequest, "invalid_request", response, body)))
		})
	}
}
