package authz_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/authz"
)

// reach is a role and all that it inherits from.
func reach(s *authz.Snapshot, role string) map[string]bool {
	seen := map[string]bool{role: true}
	for queue := []string{role}; len(queue) > 0; queue = queue[1:] {
		for _, parent := range s.Parents(queue[0]) {
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	return seen
}

func TestExplainSaysWhatDecideDecidesAndWhy(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 4))
	tally := map[string]int{}
	for range 100 {
		text := randomPolicy(r)
		s := compile(t, text)
		lines := strings.Split(text, "\n")
		for role := range 7 {
			for _, p := range []authz.Permission{"area:read", "area:update", "landmark:read", "landmark:update", "feed:read", "feed:update"} {
				name := fmt.Sprintf("r%d", role)
				e := s.Explain(name, p)
				told := fmt.Sprintf("seed %d: %s %s: %+v\n%s", seed, name, p, e, text)
				require.Equal(t, s.Decide(name, p), e.Decision, told)
				require.NotEmpty(t, e.Reason, told)
				speaks := func(line string) bool {
					fields := columns(line)
					return fields[0] == "p" && authz.Permission(fields[2]+":"+fields[3]) == p
				}
				for _, considered := range e.Considered {
					require.Equal(t, lines[considered.Number-1], considered.Text, told)
					require.True(t, speaks(considered.Text), told)
				}
				reached := reach(s, name)
				if e.Line == nil {
					tally["no line"]++
					require.Equal(t, authz.Denied, e.Decision, told)
					require.Equal(t, []string{name}, e.Path, told)
					for _, line := range lines {
						require.False(t, line != "" && speaks(line) && reached[columns(line)[1]], told)
					}
					continue
				}
				require.Equal(t, lines[e.Line.Number-1], e.Line.Text, told)
				require.True(t, speaks(e.Line.Text), told)
				require.NotContains(t, e.Considered, *e.Line, told)
				require.Contains(t, e.Reason, fmt.Sprintf("Line %d ", e.Line.Number), told)
				require.Equal(t, name, e.Path[0], told)
				for i, step := range e.Path[1:] {
					require.Contains(t, s.Parents(e.Path[i]), step, told)
				}
				fields := columns(e.Line.Text)
				require.Equal(t, e.Path[len(e.Path)-1], fields[1], told)
				switch e.Decision {
				case authz.Denied:
					tally["deny"]++
					require.Equal(t, "deny", fields[5], told)
				default:
					tally[e.Decision.String()]++
					require.Equal(t, []string{e.Decision.String(), "allow"}, fields[4:], told)
				}
				// All that is about the permission within reach is named once.
				about := 1
				for _, line := range lines {
					if line != "" && speaks(line) && reached[columns(line)[1]] && line != e.Line.Text {
						about++
					}
				}
				require.Len(t, e.Considered, about-1, told)
			}
		}
	}
	require.Len(t, tally, 4, "the random policies have to lead to every kind of answer")
}

func TestExplainInSentences(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy   string
		role     string
		decision authz.Decision
		line     int
		path     []string
		reason   string
		others   []int
	}{
		"any": {
			"# first\np, a, area, update, any", "a", authz.Any, 2, []string{"a"},
			"Line 2 allows area:update to a, on everybody's objects.", nil,
		},
		"own": {
			"p, a, area, update, own", "a", authz.Own, 1, []string{"a"},
			"Line 1 allows area:update to a, on their own objects only.", nil,
		},
		"any, and own that stands before it": {
			"p, a, area, update, own\np, a, area, update, any", "a", authz.Any, 2, []string{"a"},
			"Line 2 allows area:update to a, on everybody's objects.", []int{1},
		},
		"any from further away wins over one's own": {
			"p, a, area, update, own\ng, a, b\np, b, area, update, any", "a", authz.Any, 3, []string{"a", "b"},
			"Line 3 allows area:update to b, on everybody's objects. a inherits from it.", []int{1},
		},
		"inherited through two": {
			"g, a, b\ng, b, c\np, c, area, update, own", "a", authz.Own, 3, []string{"a", "b", "c"},
			"Line 3 allows area:update to c, on their own objects only. a inherits from it through a, b.", nil,
		},
		"the shorter of two ways": {
			"g, a, b\ng, b, d\ng, a, d\np, d, area, update, any\np, b, area, update, any", "a", authz.Any, 4, []string{"a", "d"},
			"Line 4 allows area:update to d, on everybody's objects. a inherits from it.", []int{5},
		},
		"a deny wins, here": {
			"p, a, area, update, any\np, a, area, update, own, deny", "a", authz.Denied, 2, []string{"a"},
			"Line 2 denies area:update to a, which wins over every line that allows it.", []int{1},
		},
		"a deny wins, inherited": {
			"p, a, area, update, any\ng, a, b\np, b, area, update, any, deny", "a", authz.Denied, 3, []string{"a", "b"},
			"Line 3 denies area:update to b, which wins over every line that allows it. a inherits from it.", []int{1},
		},
		"a deny of an heir is none of its ancestor": {
			"p, b, area, update, any\ng, a, b\np, a, area, update, any, deny", "b", authz.Any, 1, []string{"b"},
			"Line 1 allows area:update to b, on everybody's objects.", nil,
		},
		"unknown role": {
			"p, a, area, update, any", "z", authz.Denied, 0, []string{"z"},
			"No line speaks of the role z.", nil,
		},
		"unknown permission": {
			"p, a, area, read, any", "a", authz.Denied, 0, []string{"a"},
			"No line speaks of area:update.", nil,
		},
		"held by others only": {
			"p, a, area, read, any\np, b, area, update, any\ng, c, b", "a", authz.Denied, 0, []string{"a"},
			"No line allows area:update to a or to a role that it inherits from.", []int{2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := compile(t, tc.policy).Explain(tc.role, "area:update")
			require.Equal(t, tc.decision, e.Decision)
			require.Equal(t, tc.reason, e.Reason)
			require.Equal(t, tc.path, e.Path)
			if tc.line == 0 {
				require.Nil(t, e.Line)
			} else {
				require.Equal(t, authz.Line{Number: tc.line, Text: strings.Split(tc.policy, "\n")[tc.line-1]}, *e.Line)
			}
			var considered []int
			for _, line := range e.Considered {
				considered = append(considered, line.Number)
			}
			require.Equal(t, tc.others, considered)
		})
	}
}
