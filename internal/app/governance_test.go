package app_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
)

// governed is an installation with one admin, and a deputy whose role inherits from
// the admin's.
type governed struct {
	*apptest.Server
	t             *testing.T
	admin, deputy *apptest.Client
}

// decision is a request about roles or accounts. It returns its status, and the type of
// the problem, if it is one.
type decision func(g *governed, on *apptest.Process) (int, string)

func answered(t *testing.T, response *http.Response, body []byte, err error) (int, string) {
	t.Helper()
	require.NoError(t, err)
	if response.StatusCode < http.StatusBadRequest {
		return response.StatusCode, ""
	}
	return response.StatusCode, strings.TrimPrefix(apptest.Problem(t, response.StatusCode, response, body).Type, "/problems/")
}

// The decisions of this test. Each is by itself allowed.
var (
	// strip takes from the deputy's role what it inherits.
	strip decision = func(g *governed, on *apptest.Process) (int, string) {
		got, err := on.Client(g.admin.Token).UpdateRoleWithApplicationMergePatchPlusJSONBodyWithResponse(
			context.Background(), "deputy", nil, api.RoleUpdate{Inherits: &[]string{"user"}})
		require.NoError(g.t, err)
		return answered(g.t, got.HTTPResponse, got.Body, err)
	}
	// demote takes the admin's role, by the deputy.
	demote decision = func(g *governed, on *apptest.Process) (int, string) {
		got, err := on.Client(g.deputy.Token).UpdateUserWithApplicationMergePatchPlusJSONBodyWithResponse(
			context.Background(), g.admin.ID, nil, api.AdminUserUpdate{Role: new("user")})
		require.NoError(g.t, err)
		return answered(g.t, got.HTTPResponse, got.Body, err)
	}
	// suspend suspends the admin, by the deputy.
	suspend decision = func(g *governed, on *apptest.Process) (int, string) {
		got, err := on.Client(g.deputy.Token).UpdateUserWithApplicationMergePatchPlusJSONBodyWithResponse(
			context.Background(), g.admin.ID, nil, api.AdminUserUpdate{Status: new(api.UserStatusSuspended)})
		require.NoError(g.t, err)
		return answered(g.t, got.HTTPResponse, got.Body, err)
	}
	// leave deletes the admin's own account.
	leave decision = func(g *governed, on *apptest.Process) (int, string) {
		got, err := on.Client(g.admin.Token).DeleteMeWithResponse(context.Background(), api.PasswordConfirmation{Password: apptest.Password})
		require.NoError(g.t, err)
		return answered(g.t, got.HTTPResponse, got.Body, err)
	}
	// drop deletes the role spare, which no account has.
	drop decision = func(g *governed, on *apptest.Process) (int, string) {
		got, err := on.Client(g.admin.Token).DeleteRoleWithResponse(context.Background(), "spare", nil)
		require.NoError(g.t, err)
		return answered(g.t, got.HTTPResponse, got.Body, err)
	}
	// give gives the role spare to the deputy.
	give decision = func(g *governed, on *apptest.Process) (int, string) {
		got, err := on.Client(g.admin.Token).UpdateUserWithApplicationMergePatchPlusJSONBodyWithResponse(
			context.Background(), g.deputy.ID, nil, api.AdminUserUpdate{Role: new("spare")})
		require.NoError(g.t, err)
		return answered(g.t, got.HTTPResponse, got.Body, err)
	}
	// edit changes the policy, by the deputy.
	edit decision = func(g *governed, on *apptest.Process) (int, string) {
		got, err := on.Client(g.deputy.Token).CreateRoleWithResponse(context.Background(), nil, api.RoleCreate{Name: "back", Inherits: &[]string{"admin"}})
		require.NoError(g.t, err)
		return answered(g.t, got.HTTPResponse, got.Body, err)
	}
)

// Of two decisions that each count on what the other one takes away, the second is
// refused: it reads the policy and the accounts that the first one left. They meet on
// two replicas and within one, whose copies of the policy are older than the lock.
func TestDecisionsAboutRolesSeeEachOther(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	one, two := apptest.Start(t, s.Config, "serve"), apptest.Start(t, s.Config, "serve")
	for name, test := range map[string]struct {
		first, second decision
		status        int
		problem       string
	}{
		"a role loses what it inherits, its holder demotes the other manager":  {strip, demote, http.StatusForbidden, "forbidden"},
		"a role loses what it inherits, its holder suspends the other manager": {strip, suspend, http.StatusForbidden, "forbidden"},
		"a role loses what it inherits, the other manager leaves":              {strip, leave, http.StatusConflict, "last_policy_manager"},
		"a role loses what it inherits, its holder edits the policy":           {strip, edit, http.StatusForbidden, "forbidden"},
		"a manager is demoted, and takes from the other's role":                {demote, strip, http.StatusForbidden, "forbidden"},
		"a manager leaves, and deletes a role":                                 {leave, drop, http.StatusForbidden, "forbidden"},
		"a role is deleted and given":                                          {drop, give, http.StatusUnprocessableEntity, "role_unknown"},
		"a role is given and deleted":                                          {give, drop, http.StatusConflict, "role_in_use"},
	} {
		for where, replicas := range map[string][2]*apptest.Process{"two replicas": {one, two}, "one process": {two, two}} {
			t.Run(name+", on "+where, func(t *testing.T) {
				g := govern(t, s, one, two)
				first, second := g.oneAfterTheOther(test.first, test.second, replicas)
				require.Less(t, first.status, http.StatusBadRequest, first.problem)
				require.Equal(t, outcome{test.status, test.problem}, second)
				g.holds()
			})
		}
	}

	t.Run("the operator's replica has not heard of the edit", func(t *testing.T) {
		// Nothing tells this process of edits: it does not run.
		g, ctx := govern(t, s, one, two), context.Background()
		suspended := entuser.StatusSuspended
		status, _ := strip(g, one)
		require.Equal(t, http.StatusOK, status)
		_, err := s.Accounts.Manage(ctx, g.admin.ID, account.Change{Status: &suspended}, version.Precondition{})
		require.ErrorContains(t, err, "last_policy_manager")
		_, err = s.Accounts.Manage(ctx, g.admin.ID, account.Change{Role: new("deputy")}, version.Precondition{})
		require.ErrorContains(t, err, "last_policy_manager")
		status, _ = drop(g, one)
		require.Equal(t, http.StatusNoContent, status)
		_, err = s.Accounts.Manage(ctx, g.deputy.ID, account.Change{Role: new("spare")}, version.Precondition{})
		require.ErrorContains(t, err, "role_unknown")
		_, err = s.Accounts.Create(ctx, account.Registration{Username: "sparrow", Email: "sparrow@example.org", Password: apptest.Password}, "spare")
		require.ErrorContains(t, err, "role_unknown")
		g.holds()
	})
}

// govern makes the accounts and roles of a case, with no other manager besides, and
// waits until every replica goes by them.
func govern(t *testing.T, s *apptest.Server, replicas ...*apptest.Process) *governed {
	t.Helper()
	ctx := context.Background()
	_, err := s.Store.Pool.Exec(ctx, "UPDATE users SET role = 'user'")
	require.NoError(t, err)
	text, err := s.Policy.Edit(ctx, version.Precondition{}, "", func(text string) (string, error) {
		lines := strings.Split(text, "\n")
		kept := lines[:0]
		for _, line := range lines {
			if !strings.Contains(line, "deputy") && !strings.Contains(line, "spare") && !strings.Contains(line, "back") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "\n") + "g, deputy, admin\ng, spare, user\n", nil
	})
	require.NoError(t, err)
	for _, replica := range replicas {
		g := &governed{Server: s, t: t, admin: s.As("admin")}
		require.Eventually(t, func() bool {
			got, err := replica.Client(g.admin.Token).GetPolicyWithResponse(ctx, nil)
			return err == nil && string(got.Body) == text.Text
		}, time.Minute, 5*time.Millisecond)
		_, err := s.Store.Pool.Exec(ctx, "UPDATE users SET role = 'user' WHERE id = $1", g.admin.ID)
		require.NoError(t, err)
	}
	return &governed{Server: s, t: t, admin: s.As("admin"), deputy: s.As("deputy")}
}

type outcome struct {
	status  int
	problem string
}

// oneAfterTheOther has both decisions under way before the first one is taken: they
// wait for the lock of the policy, which this test holds, and get it in order.
func (g *governed) oneAfterTheOther(first, second decision, on [2]*apptest.Process) (outcome, outcome) {
	g.t.Helper()
	ctx := context.Background()
	locked, release, released := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		released <- g.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			err := tx.LockPolicy(ctx)
			close(locked)
			<-release
			return err
		})
	}()
	<-locked
	outcomes := [2]chan outcome{make(chan outcome, 1), make(chan outcome, 1)}
	for i, decide := range []decision{first, second} {
		go func() {
			status, problem := decide(g, on[i])
			outcomes[i] <- outcome{status, problem}
		}()
		g.waiting(i+1, outcomes[i])
	}
	close(release)
	require.NoError(g.t, <-released)
	return <-outcomes[0], <-outcomes[1]
}

// waiting returns once so many decisions wait for the lock.
func (g *governed) waiting(want int, early chan outcome) {
	g.t.Helper()
	require.Eventually(g.t, func() bool {
		select {
		case o := <-early:
			g.t.Fatalf("decided without the lock: %v", o)
		default:
		}
		n := 0
		err := g.Store.Pool.QueryRow(context.Background(), `SELECT count(*) FROM pg_locks
			WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&n)
		return err == nil && n == want
	}, 10*time.Second, 2*time.Millisecond)
}

// holds checks what no two decisions may break: an account is left that may change the
// policy, and every account has a role that is there.
func (g *governed) holds() {
	g.t.Helper()
	ctx := context.Background()
	require.NoError(g.t, g.Policy.Reload(ctx))
	var managers int
	require.NoError(g.t, g.Store.Pool.QueryRow(ctx, "SELECT count(*) FROM users WHERE status = 'active' AND deleted_at IS NULL AND role = ANY($1)",
		g.Policy.Live().Holders("policy:manage")).Scan(&managers))
	require.NotZero(g.t, managers)
	var lost []string
	require.NoError(g.t, g.Store.Pool.QueryRow(ctx, "SELECT coalesce(array_agg(role), '{}') FROM users WHERE deleted_at IS NULL AND role <> ALL($1)",
		g.Policy.Live().Roles()).Scan(&lost))
	require.Empty(g.t, lost)
}
