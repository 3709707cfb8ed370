package account_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
)

func count(t *testing.T, s *apptest.Server, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(), query, args...).Scan(&n))
	return n
}

// TestNothingHalfIsLeft breaks the database at each step: what was asked for
// happens whole or not at all, and the answer says nothing.
func TestNothingHalfIsLeft(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const (
		sessions = "SELECT count(*) FROM sessions"
		events   = "SELECT count(*) FROM audit_logs"
		users    = "SELECT count(*) FROM users"
		jobs     = "SELECT count(*) FROM river_job"
	)
	login := func(password string) func(*testing.T, *apptest.Server, *apptest.Client) (*http.Response, []byte) {
		return func(t *testing.T, s *apptest.Server, user *apptest.Client) (*http.Response, []byte) {
			t.Helper()
			got, err := s.Anonymous().LoginWithResponse(ctx, api.LoginRequest{Identifier: user.Username, Password: password})
			require.NoError(t, err)
			return got.HTTPResponse, got.Body
		}
	}
	registration := func(t *testing.T, s *apptest.Server, _ *apptest.Client) (*http.Response, []byte) {
		t.Helper()
		return s.Call(nil, http.MethodPost, "/api/v1/auth/register", "application/json",
			strings.NewReader(`{"username":"ada","email":"ada@example.org","password":"`+apptest.Password+`"}`))
	}
	for name, test := range map[string]struct {
		operation, table string
		call             func(*testing.T, *apptest.Server, *apptest.Client) (*http.Response, []byte)
		same             []string
	}{
		"a login without a session":       {"INSERT", "sessions", login(apptest.Password), []string{sessions, events}},
		"a login that is not on record":   {"INSERT", "audit_logs", login(apptest.Password), []string{sessions, events}},
		"a failure that is not on record": {"INSERT", "audit_logs", login("wrong wrong wrong"), []string{sessions, events}},
		"an account that is not kept":     {"INSERT", "users", registration, []string{users, jobs, events}},
		"an account that gets no mail":    {"INSERT", "river_job", registration, []string{users, jobs, events}},
		"an account that is not recorded": {"INSERT", "audit_logs", registration, []string{users, jobs, events}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apptest.NewWithoutWorkers(t)
			user := s.User()
			var before []int
			for _, query := range test.same {
				before = append(before, count(t, s, query))
			}
			relent := s.Refuse(test.operation, test.table)
			response, body := test.call(t, s, user)
			p := apptest.Problem(t, http.StatusInternalServerError, response, body)
			require.NotContains(t, string(body), "refused")
			require.Equal(t, "/problems/internal", p.Type)
			for i, query := range test.same {
				require.Equal(t, before[i], count(t, s, query), query)
			}
			relent()
			response, body = test.call(t, s, user)
			require.NotEqual(t, http.StatusInternalServerError, response.StatusCode, string(body))
		})
	}

	t.Run("an address that is not proven keeps its link", func(t *testing.T) {
		t.Parallel()
		s := apptest.New(t)
		register(t, s, "ada", "ada@example.org")
		token := mailToken(t, s, "ada@example.org")
		verify := func() int {
			got, err := s.Anonymous().VerifyEmailWithResponse(ctx, api.VerifyEmailRequest{Token: token})
			require.NoError(t, err)
			return got.StatusCode()
		}
		for _, table := range []string{"mail_tokens", "users", "audit_logs"} {
			operation := "UPDATE"
			if table == "audit_logs" {
				operation = "INSERT"
			}
			relent := s.Refuse(operation, table)
			require.Equal(t, http.StatusInternalServerError, verify(), table)
			relent()
			require.Equal(t, 1, count(t, s, "SELECT count(*) FROM mail_tokens WHERE used_at IS NULL"), table)
		}
		require.Equal(t, http.StatusNoContent, verify())
	})

	t.Run("a mail is sent once its token can be kept", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		register(t, s, "ada", "ada@example.org")
		user, err := s.Accounts.FindByEmail(ctx, "ada@example.org")
		require.NoError(t, err)
		args := account.MailArgs{Template: "verify_email", To: user.Email, Username: user.Username, UserID: &user.ID}
		relent := s.Refuse("INSERT", "mail_tokens")
		require.Error(t, s.Accounts.SendMail(ctx, args))
		require.Empty(t, s.Mailbox.Mails(user.Email))
		relent()
		args.Template = "no such template"
		require.Error(t, s.Accounts.SendMail(ctx, args))
	})

	t.Run("a name is given to one account, whoever asks at once", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		statuses := make([]int, 6)
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() {
				name := []string{"ada", "ADA", "Ada"}[i%3]
				response, _ := s.Call(nil, http.MethodPost, "/api/v1/auth/register", "application/json",
					strings.NewReader(`{"username":"`+name+`","email":"`+strings.Repeat("x", i/3+1)+`@example.org","password":"`+apptest.Password+`"}`))
				statuses[i] = response.StatusCode
			})
		}
		wg.Wait()
		require.Equal(t, []int{201, 201, 201, 201, 201, 201}, statuses)
		require.Equal(t, 1, count(t, s, users))
		require.Equal(t, 6, count(t, s, "SELECT count(*) FROM river_job WHERE kind = 'mail'"))
	})
}
