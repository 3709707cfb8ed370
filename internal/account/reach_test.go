package account_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/version"
)

// withLines adds lines to the live policy.
func withLines(t *testing.T, s *apptest.Server, lines string) {
	t.Helper()
	_, err := s.Policy.Edit(context.Background(), version.Precondition{}, "", func(text string) (string, error) {
		return text + lines, nil
	})
	require.NoError(t, err)
}

// Who manages accounts gives and takes no role that allows more than their own.
func TestRolesBeyondTheCallers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	withLines(t, s, `
# Manages accounts, and not the policy.
g, warden, moderator
p, warden, user, manage, any, allow
# As far as the warden, by other lines.
g, keeper, warden
# Further in one permission.
g, auditor, user
p, auditor, audit, read, any, allow
# The same permission, for all objects in the place of one's own.
g, gardener, user
p, gardener, landmark, delete, any, allow
# May change the policy, and nothing else.
p, lawyer, policy, manage, any, allow
p, lawyer, user, manage, any, allow
# Less than the warden by a line that denies.
g, novice, admin
p, novice, policy, manage, any, deny
p, novice, audit, read, any, deny
p, novice, trash, manage, any, deny
p, novice, job, manage, any, deny
p, novice, webhook, manage, any, deny
p, novice, unlock, read, any, deny
p, novice, unlock, update, any, deny
p, novice, area, delete, any, deny
p, novice, landmark, delete, any, deny
`)
	warden, lawyer := s.As("warden"), s.As("lawyer")
	s.As("admin")
	suspended, active := api.UserStatusSuspended, api.UserStatusActive

	for name, test := range map[string]struct {
		// has is the role of the account; suspended whether it is.
		has       string
		suspended bool
		in        api.AdminUserUpdate
		// exceeds is the permission that the refusal names; pointer the field.
		exceeds, pointer string
	}{
		"gives the own role":                  {has: "user", in: api.AdminUserUpdate{Role: new("warden")}},
		"gives a role that allows the same":   {has: "user", in: api.AdminUserUpdate{Role: new("keeper")}},
		"gives a role that denies the rest":   {has: "user", in: api.AdminUserUpdate{Role: new("novice")}},
		"takes a lesser role":                 {has: "moderator", in: api.AdminUserUpdate{Role: new("user")}},
		"suspends a holder of the own role":   {has: "warden", in: api.AdminUserUpdate{Status: &suspended}},
		"activates a holder of a lesser role": {has: "user", suspended: true, in: api.AdminUserUpdate{Status: &active}},
		"leaves an admin as they are":         {has: "admin", in: api.AdminUserUpdate{Role: new("admin"), Status: &active}},
		"gives admin":                         {has: "user", in: api.AdminUserUpdate{Role: new("admin")}, exceeds: "policy:manage", pointer: "/role"},
		"gives admin to the suspended":        {has: "user", suspended: true, in: api.AdminUserUpdate{Role: new("admin")}, exceeds: "policy:manage", pointer: "/role"},
		"gives one more permission":           {has: "user", in: api.AdminUserUpdate{Role: new("auditor")}, exceeds: "audit:read", pointer: "/role"},
		"gives a permission for all objects":  {has: "user", in: api.AdminUserUpdate{Role: new("gardener")}, exceeds: "landmark:delete", pointer: "/role"},
		"demotes an admin":                    {has: "admin", in: api.AdminUserUpdate{Role: new("user")}, exceeds: "policy:manage"},
		"makes an admin a warden":             {has: "admin", in: api.AdminUserUpdate{Role: new("warden")}, exceeds: "policy:manage"},
		"suspends an admin":                   {has: "admin", in: api.AdminUserUpdate{Status: &suspended}, exceeds: "policy:manage"},
		"activates an admin":                  {has: "admin", suspended: true, in: api.AdminUserUpdate{Status: &active}, exceeds: "policy:manage"},
		"suspends who has one more":           {has: "auditor", in: api.AdminUserUpdate{Status: &suspended}, exceeds: "audit:read"},
		"exchanges one that is beyond":        {has: "auditor", in: api.AdminUserUpdate{Role: new("gardener")}, exceeds: "audit:read"},
	} {
		t.Run(name, func(t *testing.T) {
			account := s.As(test.has)
			if test.suspended {
				exec(t, s, "UPDATE users SET status = 'suspended' WHERE id = $1", account.ID)
			}
			before := stateOf(t, s, account.ID)
			got := tryManage(t, warden, account.ID, test.in)
			if test.exceeds == "" {
				require.NotNil(t, got.JSON200, string(got.Body))
				return
			}
			p := refused(t, http.StatusForbidden, "role_exceeds_own", got.HTTPResponse, got.Body)
			require.NotNil(t, p.Errors)
			require.Len(t, *p.Errors, 1)
			require.Contains(t, (*p.Errors)[0].Message, test.exceeds)
			require.Equal(t, test.pointer, deref((*p.Errors)[0].Pointer))
			require.Equal(t, before, stateOf(t, s, account.ID))
			// Who may change the policy could give themselves any permission anyway.
			got = tryManage(t, lawyer, account.ID, test.in)
			require.NotNil(t, got.JSON200, string(got.Body))
		})
	}

	t.Run("is not asked of operators", func(t *testing.T) {
		user, status := s.User(), entuser.StatusSuspended
		_, err := s.Accounts.Manage(ctx, user.ID, account.Change{Role: new("admin")}, version.Precondition{})
		require.NoError(t, err)
		_, err = s.Accounts.Manage(ctx, user.ID, account.Change{Status: &status}, version.Precondition{})
		require.NoError(t, err)
	})
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// stateOf is the role and the status of an account.
func stateOf(t *testing.T, s *apptest.Server, id uuid.UUID) (state [2]string) {
	t.Helper()
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(), "SELECT role, status FROM users WHERE id = $1", id).Scan(&state[0], &state[1]))
	return state
}
