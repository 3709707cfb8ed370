package policy_test

import (
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/policy"
)

func snapshot(t *testing.T) *authz.Snapshot {
	t.Helper()
	s, err := authz.NewSnapshot(1, policy.Model, policy.CSV)
	require.NoError(t, err)
	return s
}

func TestPolicySaysWhatItsTableSays(t *testing.T) {
	t.Parallel()
	failures, err := authz.RunTable(snapshot(t), policy.Table)
	require.NoError(t, err)
	require.Empty(t, failures)
}

// A line that is added to the policy needs its place in the table.
func TestTableSpeaksOfEveryRoleAndPermission(t *testing.T) {
	t.Parallel()
	var cases []struct {
		Role             string
		Any, Own, Denied []authz.Permission
	}
	require.NoError(t, yaml.Unmarshal(policy.Table, &cases))
	said := map[string]map[authz.Permission]bool{}
	for _, c := range cases {
		if said[c.Role] == nil {
			said[c.Role] = map[authz.Permission]bool{}
		}
		for _, group := range [][]authz.Permission{c.Any, c.Own, c.Denied} {
			for _, p := range group {
				require.False(t, said[c.Role][p], "%s %s stands in the table twice", c.Role, p)
				said[c.Role][p] = true
			}
		}
	}
	s := snapshot(t)
	for _, role := range s.Roles() {
		for _, p := range s.Permissions() {
			require.True(t, said[role][p], "the table does not say whether %s has %s", role, p)
		}
	}
}

// The two files are casbin's own: any casbin tool has to read from them what
// the server reads.
func TestStockCasbinReadsTheSame(t *testing.T) {
	t.Parallel()
	stock, err := casbin.NewEnforcer("model.conf", "policy.csv")
	require.NoError(t, err)
	s := snapshot(t)
	for _, role := range s.Roles() {
		for _, p := range s.Permissions() {
			for _, scope := range []authz.Decision{authz.Own, authz.Any} {
				ok, err := stock.Enforce(role, p.Resource(), p.Action(), scope.String())
				require.NoError(t, err)
				require.Equal(t, s.Decide(role, p) >= scope, ok, "%s %s %s", role, p, scope)
			}
		}
	}
}

func TestNewAccountsHaveARoleOfThePolicy(t *testing.T) {
	t.Parallel()
	require.Contains(t, snapshot(t).Roles(), authz.DefaultRole)
}
