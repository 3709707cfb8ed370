package authz

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Grant is what a line of a policy says of a role: a permission, for which
// objects, and whether it is allowed or denied.
type Grant struct {
	Permission Permission
	// Scope is "any" or "own".
	Scope string
	// Effect is "allow" or "deny".
	Effect string
}

func (g Grant) line(role string) string {
	return strings.Join([]string{"p", word(role), word(g.Permission.Resource()), word(g.Permission.Action()), word(g.Scope), word(g.Effect)}, ", ")
}

func parentLine(role, parent string) string {
	return fmt.Sprintf("g, %s, %s", word(role), word(parent))
}

// word keeps within its column and its line what is no word: a name with a comma or
// a line break in it would else say something of its own. Validation refuses it.
func word(s string) string {
	if isWord.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}

// Grants returns what the policy says of a role itself, in the order of its lines.
func (s *Snapshot) Grants(role string) []Grant {
	var grants []Grant
	for _, r := range s.rules {
		if r.kind == "p" && r.role == role {
			grants = append(grants, Grant{Permission: r.permission, Scope: r.scope, Effect: r.effect})
		}
	}
	return grants
}

// Parents returns the roles that a role inherits from directly.
func (s *Snapshot) Parents(role string) []string {
	var parents []string
	for _, r := range s.rules {
		if r.kind == "g" && r.role == role {
			parents = append(parents, r.parent)
		}
	}
	return parents
}

// Heirs returns the roles that inherit from a role directly.
func (s *Snapshot) Heirs(role string) []string {
	var heirs []string
	for _, r := range s.rules {
		if r.kind == "g" && r.parent == role {
			heirs = append(heirs, r.role)
		}
	}
	return heirs
}

// WithGrants returns a policy text in which a role has these grants, in the place
// of the ones that it had. Other lines and comments stay as they are; what is the
// same stays where it is.
func WithGrants(text, role string, grants []Grant) string {
	lines := make([]string, len(grants))
	for i, g := range grants {
		lines[i] = g.line(role)
	}
	return replaceLines(text, func(r rule) bool { return r.kind == "p" && r.role == role }, lines)
}

// WithParents returns a policy text in which a role inherits from these roles, in
// the place of the ones that it inherited from.
func WithParents(text, role string, parents []string) string {
	lines := make([]string, len(parents))
	for i, parent := range parents {
		lines[i] = parentLine(role, parent)
	}
	return replaceLines(text, func(r rule) bool { return r.kind == "g" && r.role == role }, lines)
}

// replaceLines puts lines in the place of those whose rule is meant: kept where
// they are if they say the same, and what is new after the last of them, or at the end.
// A text that says it all already comes back as it is.
func replaceLines(text string, meant func(rule) bool, lines []string) string {
	rs, _ := parse(text)
	byLine := map[int]rule{}
	for _, r := range rs {
		byLine[r.line] = r
	}
	wanted := map[string]string{}
	for _, line := range lines {
		wanted[canonical(line)] = line
	}
	var out []string
	after := -1 // Where in out new lines go.
	dropped := false
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		r, isRule := byLine[i+1]
		if !isRule || !meant(r) {
			out = append(out, line)
			continue
		}
		after = len(out)
		if _, same := wanted[canonical(line)]; same {
			delete(wanted, canonical(line))
			out = append(out, line)
			after = len(out)
		} else {
			dropped = true
		}
	}
	var added []string
	for _, line := range lines {
		if _, missing := wanted[canonical(line)]; missing {
			delete(wanted, canonical(line))
			added = append(added, line)
		}
	}
	if !dropped && len(added) == 0 {
		return text
	}
	if after < 0 {
		after = len(out)
	}
	return strings.Join(slices.Insert(out, after, added...), "\n") + "\n"
}

// canonical is a line without what makes no difference.
func canonical(line string) string {
	rs, _ := parse(line)
	if len(rs) != 1 {
		return line
	}
	return rs[0].kind + "," + strings.Join(rs[0].tokens(), ",")
}

// Diff returns the lines that one policy text has and the other has not: first
// those that went, each behind a minus, then those that came, each behind a plus.
// The order of the lines means nothing in a policy, so moving one is no change.
func Diff(before, after string) []string {
	count := map[string]int{}
	each := func(text string, do func(line string)) {
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				do(line)
			}
		}
	}
	each(after, func(line string) { count[line]++ })
	var diff []string
	each(before, func(line string) {
		if count[line]--; count[line] < 0 {
			diff = append(diff, "-"+line)
		}
	})
	clear(count)
	each(before, func(line string) { count[line]++ })
	each(after, func(line string) {
		if count[line]--; count[line] < 0 {
			diff = append(diff, "+"+line)
		}
	})
	return diff
}
