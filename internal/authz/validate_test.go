package authz_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/policy"
)

func TestDefaultPolicyIsValid(t *testing.T) {
	t.Parallel()
	require.NoError(t, authz.Validate(policy.CSV, compile(t, policy.CSV).Permissions()))
}

// whole is what every policy needs; it is one line, so that cases start at 2.
const whole = "p, " + authz.DefaultRole + ", policy, manage, any\n"

func TestValidateNamesEveryFault(t *testing.T) {
	t.Parallel()
	chain := func(length int) string {
		var b strings.Builder
		for i := range length {
			fmt.Fprintf(&b, "g, c%d, c%d\n", i, i+1)
		}
		return fmt.Sprintf("%sp, c%d, area, read, any\n%s", whole, length, b.String())
	}
	for name, tc := range map[string]struct {
		csv  string
		want []string
	}{
		"good":                       {whole + "p, a, area, update, own\ng, a, " + authz.DefaultRole, nil},
		"nothing at all":             {"# only a comment", []string{"no_default_role", "locked_out"}},
		"broken quotes":              {whole + `p, "a, area, read, any`, []string{"/lines/2 syntax"}},
		"neither p nor g":            {whole + "q, a, b", []string{"/lines/2 unknown_kind"}},
		"upper-case kind":            {whole + "P, a, area, read, any", []string{"/lines/2 unknown_kind"}},
		"too few columns":            {whole + "p, a, area, read", []string{"/lines/2 columns"}},
		"too many columns":           {whole + "p, a, area, read, any, allow, x", []string{"/lines/2 columns"}},
		"g with one role":            {whole + "g, a", []string{"/lines/2 columns"}},
		"role name":                  {whole + "p, Ä, area, read, any\np, , area, read, any", []string{"/lines/2 bad_role", "/lines/3 bad_role"}},
		"role names of g":            {whole + "g, A, B", []string{"/lines/2 bad_role", "/lines/2 bad_role", "/lines/2 unknown_role"}},
		"permission":                 {whole + "p, a, Area, *, any", []string{"/lines/2 bad_permission"}},
		"unknown permission":         {whole + "p, a, area, fly, any", []string{"/lines/2 unknown_permission"}},
		"scope":                      {whole + "p, a, area, update, mine", []string{"/lines/2 bad_scope"}},
		"comment behind a line":      {whole + "p, a, area, update, any # all", []string{"/lines/2 bad_scope"}},
		"effect":                     {whole + "p, a, area, update, any, yes", []string{"/lines/2 bad_effect"}},
		"own where nobody checks":    {whole + "p, a, policy, manage, own", []string{"/lines/2 not_ownable"}},
		"duplicate":                  {whole + "p, a, area, read, any\n\np, a, area, read, any, allow", []string{"/lines/4 duplicate"}},
		"duplicate g":                {whole + "p, a, area, read, any\ng, b, a\ng, b, a", []string{"/lines/4 duplicate"}},
		"unknown role":               {whole + "g, a, b", []string{"/lines/2 unknown_role"}},
		"a fault makes none unknown": {whole + "p, b, area, read, all\ng, a, b", []string{"/lines/2 bad_scope"}},
		"inherits from itself":       {whole + "g, a, a", []string{"/lines/2 cycle"}},
		"circle":                     {whole + "g, a, b\ng, b, c\ng, c, a", []string{"/lines/4 cycle"}},
		"two circles":                {whole + "g, a, b\ng, b, a\ng, c, d\ng, d, c", []string{"/lines/3 cycle", "/lines/5 cycle"}},
		"a diamond is no circle":     {whole + "g, a, b\ng, a, c\ng, b, d\ng, c, d\np, d, area, read, any", nil},
		"ten levels":                 {chain(10), nil},
		"eleven levels":              {chain(11), []string{"/lines/3 too_deep"}},
		"no default role":            {"p, a, policy, manage, any", []string{"no_default_role"}},
		"nobody may change it":       {"p, " + authz.DefaultRole + ", area, read, any", []string{"locked_out"}},
		"the last one is denied":     {whole + "p, " + authz.DefaultRole + ", policy, manage, any, deny", []string{"locked_out"}},
		"an inherited one is denied": {whole + "g, " + authz.DefaultRole + ", b\np, b, policy, manage, any, deny", []string{"locked_out"}},
		"an heir of it is denied":    {whole + "g, a, " + authz.DefaultRole + "\np, a, policy, manage, any, deny", nil},
		"managed by inheritance":     {"p, b, policy, manage, any\ng, " + authz.DefaultRole + ", b", nil},
		"too many lines":             {strings.Repeat("#\n", 5_000), []string{"too_long"}},
		"too many bytes":             {"#" + strings.Repeat("x", 1<<20), []string{"too_long"}},
		"several at once": {
			whole + "g, a, zz\np, a, area, fly, some, maybe\nnonsense\ng, b, b",
			[]string{"/lines/2 unknown_role", "/lines/3 bad_scope", "/lines/3 bad_effect", "/lines/3 unknown_permission", "/lines/4 unknown_kind", "/lines/5 cycle"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := authz.Validate(tc.csv, []authz.Permission{"area:read", "area:update", "policy:manage"})
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, fault.New(fault.Invalid, "invalid_policy", ""))
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			var got []string
			for _, field := range f.Fields {
				got = append(got, strings.TrimSpace(field.Pointer+" "+field.Code))
				require.NotEmpty(t, field.Message)
				require.Empty(t, field.Parameter)
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestValidateSaysWhatTheFaultIs(t *testing.T) {
	t.Parallel()
	err := authz.Validate(whole+"g, a, b\ng, b, a", []authz.Permission{"policy:manage"})
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "The policy has a fault.", f.Message)
	require.Equal(t, "Line 3: closes a circle: a inherits from b inherits from a.", f.Fields[0].Message)
}

// A text that is valid compiles; whatever compiles can be asked.
func FuzzValidate(f *testing.F) {
	f.Add(policy.CSV)
	f.Add(whole + "g, a, b\ng, b, a\np,,,,\n\"")
	f.Add("\ufeffp, a, area, read, any, deny\r\ng, b, a")
	known := compile(f, policy.CSV).Permissions()
	f.Fuzz(func(t *testing.T, text string) {
		err := authz.Validate(text, known)
		s, compileErr := authz.NewSnapshot(1, policy.Model, text)
		if err == nil {
			require.NoError(t, compileErr)
			require.NotEmpty(t, s.Holders("policy:manage"))
		} else if compileErr == nil && strings.Contains(fmt.Sprint(err.(*fault.Error).Fields), "locked_out") {
			require.Empty(t, s.Holders("policy:manage"))
		}
		if err != nil {
			require.Equal(t, fault.Invalid, fault.KindOf(err))
		}
		if compileErr == nil {
			for _, role := range s.Roles() {
				s.Decide(role, "area:update")
			}
		}
	})
}

func TestParsePermission(t *testing.T) {
	t.Parallel()
	p, err := authz.ParsePermission("landmark:import")
	require.NoError(t, err)
	require.Equal(t, "landmark", p.Resource())
	require.Equal(t, "import", p.Action())
	require.True(t, authz.Permission("area:update").Ownable())
	require.False(t, p.Ownable())
	for _, s := range []string{"", "area", "area:", ":read", "area:read:own", "Area:read", "area:re ad", "ärea:read", "area:*", "9:read", "area:read\n", strings.Repeat("a", 65) + ":read"} {
		_, err := authz.ParsePermission(s)
		require.Error(t, err, "%q", s)
	}
}

func TestRunTable(t *testing.T) {
	t.Parallel()
	s := compile(t, "p, a, area, read, any\np, a, area, update, own")
	failures, err := authz.RunTable(s, []byte(`
- name: right
  role: a
  any: [area:read]
  own: [area:update]
  denied: [area:delete]
- name: wrong
  role: a
  any:
    - area:update
    - area:read
  own: [area:delete]
  denied: [area:read]
`))
	require.NoError(t, err)
	require.Equal(t, []authz.Failure{
		{Line: 10, Case: "wrong", Role: "a", Permission: "area:update", Want: authz.Any, Got: authz.Own},
		{Line: 12, Case: "wrong", Role: "a", Permission: "area:delete", Want: authz.Own, Got: authz.Denied},
		{Line: 13, Case: "wrong", Role: "a", Permission: "area:read", Want: authz.Denied, Got: authz.Any},
	}, failures)
	require.Equal(t, "line 10: wrong: a area:update: want any, got own", failures[0].String())
}

func TestRunTableRefusesWhatItCantRead(t *testing.T) {
	t.Parallel()
	s := compile(t, "p, a, area, read, any")
	for name, table := range map[string]string{
		"empty":                "",
		"only comments":        "# nothing",
		"no YAML":              "\t- [",
		"no list":              "name: x",
		"misspelt key":         "- {name: x, role: a, alow: [area:read]}",
		"no role":              "- {name: x, any: [area:read]}",
		"no name":              "- {role: a, any: [area:read]}",
		"no expectation":       "- {name: x, role: a}",
		"not a permission":     "- {name: x, role: a, any: [area]}",
		"nested instead of it": "- {name: x, role: a, any: [[area:read]]}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := authz.RunTable(s, []byte(table))
			require.Error(t, err)
		})
	}
}
