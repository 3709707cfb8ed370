package authz_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/policy"
)

// columns splits a line as simply as it can be done, so that tests do not believe
// the parser that they test.
func columns(line string) []string {
	fields := strings.Split(line, ",")
	for i := range fields {
		fields[i] = strings.Trim(strings.TrimSpace(fields[i]), `"`)
	}
	return fields
}

// others are the lines of a text that are not of a kind and role, as they stand.
func others(text, kind, role string) []string {
	return slices.DeleteFunc(strings.Split(strings.TrimRight(text, "\n"), "\n"), func(line string) bool {
		fields := columns(line)
		return fields[0] == kind && len(fields) > 1 && fields[1] == role
	})
}

// written is a random policy as people write it: with comments, empty lines, room
// between the columns, quotes, and the line ends of whatever editor.
func written(r *rand.Rand) string {
	var b strings.Builder
	end := []string{"\n", "\r\n"}[r.IntN(2)]
	for line := range strings.Lines(randomPolicy(r)) {
		line = strings.TrimSpace(line)
		switch r.IntN(6) {
		case 0:
			b.WriteString("# p, r1, area, read, any, allow" + end)
		case 1:
			b.WriteString("  " + end)
		case 2:
			line = "  " + strings.ReplaceAll(line, ", ", " ,   ")
		case 3:
			line = strings.Replace(strings.ReplaceAll(line, ", ", ","), "any", `"any"`, 1)
		case 4:
			line = strings.TrimSuffix(line, ", allow")
		}
		b.WriteString(line + end)
	}
	return strings.TrimSuffix(b.String(), []string{"", end}[r.IntN(2)])
}

func randomGrants(r *rand.Rand) []authz.Grant {
	// Every role is spoken of, or one that inherits from it would inherit from nobody.
	grants := []authz.Grant{{Permission: "feed:read", Scope: "any", Effect: "allow"}}
	for range r.IntN(8) {
		grants = append(grants, authz.Grant{
			Permission: []authz.Permission{"area:read", "area:update", "landmark:read", "landmark:update"}[r.IntN(4)],
			Scope:      []string{"any", "own"}[r.IntN(2)], Effect: []string{"allow", "deny"}[r.IntN(2)],
		})
	}
	return grants
}

func unique[T comparable](items []T) []T {
	var once []T
	for _, item := range items {
		if !slices.Contains(once, item) {
			once = append(once, item)
		}
	}
	return once
}

func TestWithGrantsTouchesNothingElse(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	for range 150 {
		before := written(r)
		role := fmt.Sprintf("r%d", r.IntN(6))
		want := randomGrants(r)
		after := authz.WithGrants(before, role, want)
		told := fmt.Sprintf("seed %d, %s: %v\n%q\n%q", seed, role, want, before, after)

		require.Equal(t, others(before, "p", role), others(after, "p", role), told)
		require.Equal(t, after, authz.WithGrants(after, role, want), "twice is once: %s", told)
		one, two := compile(t, before), compile(t, after)
		require.ElementsMatch(t, unique(want), two.Grants(role), told)
		for _, other := range one.Roles() {
			require.Equal(t, one.Parents(other), two.Parents(other), told)
			if other != role {
				require.Equal(t, one.Grants(other), two.Grants(other), told)
			}
		}
		// What it had and keeps stands in the order that it had.
		keeps := func(s *authz.Snapshot) []authz.Grant {
			return slices.DeleteFunc(s.Grants(role), func(g authz.Grant) bool {
				return !slices.Contains(want, g) || !slices.Contains(one.Grants(role), g)
			})
		}
		require.Equal(t, keeps(one), keeps(two), told)
		require.Equal(t, before, authz.WithGrants(before, role, one.Grants(role)), "nothing changes: %s", told)
	}
}

func TestWithParentsTouchesNothingElse(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 3))
	for range 150 {
		before := written(r)
		number := r.IntN(6)
		role := fmt.Sprintf("r%d", number)
		var want []string // Upwards only, so that there are no circles; now and then the same twice.
		for parent := number + 1; parent < 6; parent++ {
			for range r.IntN(3) {
				want = append(want, fmt.Sprintf("r%d", parent))
			}
		}
		after := authz.WithParents(before, role, want)
		told := fmt.Sprintf("seed %d, %s: %v\n%q\n%q", seed, role, want, before, after)

		require.Equal(t, others(before, "g", role), others(after, "g", role), told)
		require.Equal(t, after, authz.WithParents(after, role, want), "twice is once: %s", told)
		one, two := compile(t, before), compile(t, after)
		require.ElementsMatch(t, unique(want), two.Parents(role), told)
		for _, other := range one.Roles() {
			require.Equal(t, one.Grants(other), two.Grants(other), told)
			if other != role {
				require.Equal(t, one.Parents(other), two.Parents(other), told)
			}
		}
		require.Equal(t, before, authz.WithParents(before, role, one.Parents(role)), "nothing changes: %s", told)
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	allow := func(p authz.Permission) authz.Grant { return authz.Grant{Permission: p, Scope: "any", Effect: "allow"} }
	for name, tc := range map[string]struct{ got, want string }{
		"a new line stands after the role's last one": {
			authz.WithGrants("p, a, area, read, any, allow\n\n# b\np, b, area, read, any, allow\n", "a", []authz.Grant{allow("area:read"), allow("feed:read")}),
			"p, a, area, read, any, allow\np, a, feed, read, any, allow\n\n# b\np, b, area, read, any, allow\n",
		},
		"another line stands where the one that it replaces stood": {
			authz.WithGrants("# a\np, a, area, read, any\n# b\np, b, area, read, any", "a", []authz.Grant{{Permission: "area:read", Scope: "any", Effect: "deny"}}),
			"# a\np, a, area, read, any, deny\n# b\np, b, area, read, any\n",
		},
		"the first line of a role stands at the end": {
			authz.WithGrants("p, a, area, read, any", "b", []authz.Grant{allow("feed:read")}),
			"p, a, area, read, any\np, b, feed, read, any, allow\n",
		},
		"no grant takes all lines": {
			authz.WithGrants("# a\np, a, area, read, any\ng, a, b\np, b, area, read, any\n", "a", nil),
			"# a\ng, a, b\np, b, area, read, any\n",
		},
		"parents are replaced": {
			authz.WithParents("g, a, b\ng, a, c\np, a, area, read, any\n", "a", []string{"c", "d"}),
			"g, a, c\ng, a, d\np, a, area, read, any\n",
		},
		"CRLF stays where it was": {
			authz.WithGrants("p, a, area, read, any\r\n# b\r\n", "a", []authz.Grant{allow("area:read"), allow("feed:read")}),
			"p, a, area, read, any\r\np, a, feed, read, any, allow\n# b\r\n",
		},
		"a comment that looks like a line is a comment": {
			authz.WithGrants("# p, a, area, read, any\n", "a", []authz.Grant{allow("area:read")}),
			"# p, a, area, read, any\np, a, area, read, any, allow\n",
		},
		"what says the same stays, however it is written": {
			authz.WithGrants("\ufeffp,a,\"area\",read,any", "a", []authz.Grant{allow("area:read")}),
			"\ufeffp,a,\"area\",read,any",
		},
	} {
		require.Equal(t, tc.want, tc.got, name)
	}
}

// Whatever stands in a name, it makes no line of its own and adds no column.
func TestEditsKeepToTheirLine(t *testing.T) {
	t.Parallel()
	before := policy.CSV
	known := compile(t, before).Permissions()
	for _, name := range []string{
		"user\np, user, policy, manage, any", "user\n# a note", "user\r\ng, user, admin", "user, admin", `user", "admin`, "", " ", "#", "Ü",
	} {
		for _, after := range []string{
			authz.WithParents(before, "curator", []string{name}),
			authz.WithGrants(before, name, []authz.Grant{{Permission: "area:read", Scope: "any", Effect: "allow"}}),
			authz.WithGrants(before, "curator", []authz.Grant{{Permission: authz.Permission(name + ":read"), Scope: "any", Effect: "allow"}}),
			authz.WithGrants(before, "curator", []authz.Grant{{Permission: "area:read", Scope: name, Effect: "allow"}}),
			authz.WithGrants(before, "curator", []authz.Grant{{Permission: "area:read", Scope: "any", Effect: name}}),
		} {
			diff := authz.Diff(before, after)
			require.Len(t, diff, 1, "%q", name)
			require.Equal(t, before+strings.TrimPrefix(diff[0], "+")+"\n", after, "%q", name)
			err := authz.Validate(after, known)
			require.ErrorIs(t, err, fault.New(fault.Invalid, "invalid_policy", ""), "%q", name)
		}
	}
}

func TestHeirsAreThoseWhoInheritDirectly(t *testing.T) {
	t.Parallel()
	s := compile(t, "p, c, area, read, any\ng, b, c\ng, a, b\ng, d, c")
	require.Equal(t, []string{"b", "d"}, s.Heirs("c"))
	require.Equal(t, []string{"a"}, s.Heirs("b"))
	require.Empty(t, s.Heirs("a"))
	require.Equal(t, []string{"c"}, s.Parents("b"))
	require.Empty(t, s.Parents("c"))
	require.Empty(t, s.Grants("b"))
}

func TestDiff(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before, after string
		want          []string
	}{
		"nothing":                           {"a\nb\n", "a\nb\n", nil},
		"what went stands before what came": {"a\nb\nc", "c\nd\na\ne", []string{"-b", "+d", "+e"}},
		"moving a line is no change":        {"a\nb\nc", "c\na\nb", nil},
		"all that came":                     {"", "a\nb\n", []string{"+a", "+b"}},
		"all that went":                     {"a\nb\n", "", []string{"-a", "-b"}},
		"one of two that are the same went": {"a\na\nb", "b\na", []string{"-a"}},
		"a second one of the same came":     {"a", "a\na\na", []string{"+a", "+a"}},
		"comments count":                    {"# one\na", "# two\na", []string{"-# one", "+# two"}},
		"room and empty lines do not":       {"a\n\n  b", "  a\nb\n\n\n", nil},
		"line ends do not":                  {"a\r\nb\r\n", "a\nb", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, authz.Diff(tc.before, tc.after))
			// The other way round what came went.
			back := authz.Diff(tc.after, tc.before)
			turned := make([]string, len(back))
			for i, line := range back {
				turned[i] = map[byte]string{'+': "-", '-': "+"}[line[0]] + line[1:]
			}
			require.ElementsMatch(t, tc.want, turned)
		})
	}
}
