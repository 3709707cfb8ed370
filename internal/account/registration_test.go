package account_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
)

// TestRegistrationOfWhatIsTakenLeavesNothing: what keeps the time the same whether
// or not a name is taken is not to be found afterwards.
func TestRegistrationOfWhatIsTakenLeavesNothing(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	rows := func() []int {
		var counts []int
		for _, table := range []string{"users", "audit_logs", "sessions", "mail_tokens"} {
			counts = append(counts, count(t, s, "SELECT count(*) FROM "+table))
		}
		return counts
	}
	before := rows()
	register(t, s, "newcomer", user.Email)
	register(t, s, user.Username, "newcomer@example.org")
	register(t, s, user.Username, user.Email)
	require.Equal(t, before, rows())
	require.Equal(t, 3, count(t, s, "SELECT count(*) FROM river_job WHERE kind = 'mail'"))
	require.Zero(t, count(t, s, "SELECT count(*) FROM river_job WHERE args ? 'user_id'"), "nobody gets a link")
	require.Equal(t, 2, count(t, s, "SELECT count(*) FROM river_job WHERE args->>'template' = 'account_exists' AND args->>'username' = '' AND args->>'to' = $1", user.Email))
	require.Equal(t, 1, count(t, s, "SELECT count(*) FROM river_job WHERE args->>'template' = 'username_taken' AND args->>'to' = 'newcomer@example.org'"))

	t.Run("also when it fails", func(t *testing.T) {
		relent := s.Refuse("INSERT", "users")
		for _, in := range []account.Registration{
			{Username: "newcomer", Email: user.Email, Password: apptest.Password},
			{Username: "newcomer", Email: "newcomer@example.org", Password: apptest.Password},
		} {
			require.Error(t, s.Accounts.Register(context.Background(), in))
		}
		relent()
		require.Equal(t, before, rows())
		require.Equal(t, 3, count(t, s, "SELECT count(*) FROM river_job WHERE kind = 'mail'"))
	})

	t.Run("and the account as it was", func(t *testing.T) {
		require.True(t, works(t, s, user.Token))
		require.True(t, opens(t, s, user.Username, apptest.Password))
	})
}

func TestCreate(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	for name, test := range map[string]struct {
		in       account.Registration
		role     string
		kind     fault.Kind
		code, at string
	}{
		"of a role that the policy does not know": {account.Registration{Username: "ada", Email: "ada@example.org"}, "captain", fault.Unprocessable, "role_unknown", "/role"},
		"of no role":                  {account.Registration{Username: "ada", Email: "ada@example.org"}, "", fault.Unprocessable, "role_unknown", "/role"},
		"of a name that is taken":     {account.Registration{Username: "USER-a", Email: "ada@example.org"}, authz.DefaultRole, fault.Conflict, "username_taken", "/username"},
		"of an address that is taken": {account.Registration{Username: "ada", Email: " USER-a@example.org "}, authz.DefaultRole, fault.Conflict, "email_taken", ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.in.Password = apptest.Password
			_, err := s.Accounts.Create(context.Background(), test.in, test.role)
			var e *fault.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.kind, e.Kind)
			require.Equal(t, test.code, e.Code)
			if test.at != "" {
				require.Equal(t, test.at, e.Fields[0].Pointer)
			}
		})
	}
	require.Equal(t, 1, count(t, s, "SELECT count(*) FROM users"))
	require.Equal(t, "user-a", user.Username)

	t.Run("can log in at once", func(t *testing.T) {
		made := person(t, s, "ada")
		require.True(t, opens(t, s, made.Username, apptest.Password))
		got := tryLogin(t, s, "ADA@example.org", apptest.Password, nil)
		require.Equal(t, http.StatusOK, got.StatusCode())
	})
}
