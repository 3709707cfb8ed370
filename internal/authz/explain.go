package authz

import (
	"fmt"
	"slices"
	"strings"
)

// Line is a line of a policy text, counted from 1.
type Line struct {
	Number int
	Text   string
}

// Explanation tells why a decision is as it is.
type Explanation struct {
	Decision Decision
	// Line decided; nil when no line speaks for it.
	Line *Line
	// Path leads from the role that was asked about to the one of the line.
	Path []string
	// Reason says it in a sentence.
	Reason string
	// Considered are other lines about the permission, at the role or at one that
	// it inherits from, and those about other roles when there are none.
	Considered []Line
}

// Explain tells how far a role may go with a permission, and why. casbin's own
// explanation names one line when it allows and none when it refuses, so the way
// through the policy is walked once more; the decision is casbin's.
func (s *Snapshot) Explain(role string, p Permission) Explanation {
	e := Explanation{Decision: s.Decide(role, p), Path: []string{role}}
	paths := s.paths(role)
	var allows, denies []rule
	for _, r := range s.rules {
		if r.kind != "p" || r.permission != p || paths[r.role] == nil {
			continue
		}
		if r.effect == "deny" {
			denies = append(denies, r)
		} else {
			allows = append(allows, r)
		}
	}
	// What reaches further first, for that is the decision, and then the shortest way.
	slices.SortStableFunc(allows, func(a, b rule) int {
		if a.scope != b.scope {
			return strings.Compare(a.scope, b.scope) // any before own
		}
		return len(paths[a.role]) - len(paths[b.role])
	})
	var decided *rule
	switch {
	case len(denies) > 0:
		decided = &denies[0]
	case len(allows) > 0:
		decided = &allows[0]
	}
	for _, r := range slices.Concat(denies, allows) {
		if decided == nil || r.line != decided.line {
			e.Considered = append(e.Considered, s.line(r))
		}
	}
	if decided == nil {
		e.Reason = s.nobodySays(role, p, &e)
		return e
	}
	line := s.line(*decided)
	e.Line, e.Path = &line, paths[decided.role]
	e.Reason = s.sentence(role, p, *decided, e)
	return e
}

func (s *Snapshot) sentence(role string, p Permission, decided rule, e Explanation) string {
	through := ""
	if len(e.Path) > 1 {
		through = fmt.Sprintf(" %s inherits from it through %s.", role, strings.Join(e.Path[:len(e.Path)-1], ", "))
		if len(e.Path) == 2 {
			through = fmt.Sprintf(" %s inherits from it.", role)
		}
	}
	switch {
	case decided.effect == "deny":
		return fmt.Sprintf("Line %d denies %s to %s, which wins over every line that allows it.%s", decided.line, p, decided.role, through)
	case decided.scope == "own":
		return fmt.Sprintf("Line %d allows %s to %s, on their own objects only.%s", decided.line, p, decided.role, through)
	default:
		return fmt.Sprintf("Line %d allows %s to %s, on everybody's objects.%s", decided.line, p, decided.role, through)
	}
}

// nobodySays explains a refusal for which no line is to blame, and collects what
// comes near to it.
func (s *Snapshot) nobodySays(role string, p Permission, e *Explanation) string {
	if !slices.Contains(s.Roles(), role) {
		return fmt.Sprintf("No line speaks of the role %s.", role)
	}
	for _, r := range s.rules {
		if r.kind == "p" && r.permission == p {
			e.Considered = append(e.Considered, s.line(r))
		}
	}
	if len(e.Considered) == 0 {
		return fmt.Sprintf("No line speaks of %s.", p)
	}
	return fmt.Sprintf("No line allows %s to %s or to a role that it inherits from.", p, role)
}

// paths returns for a role and each one that it inherits from the shortest way there.
func (s *Snapshot) paths(role string) map[string][]string {
	paths := map[string][]string{role: {role}}
	for queue := []string{role}; len(queue) > 0; queue = queue[1:] {
		for _, parent := range s.Parents(queue[0]) {
			if paths[parent] == nil {
				paths[parent] = append(slices.Clone(paths[queue[0]]), parent)
				queue = append(queue, parent)
			}
		}
	}
	return paths
}

func (s *Snapshot) line(r rule) Line {
	lines := strings.Split(s.text, "\n")
	if r.line < 1 || r.line > len(lines) {
		return Line{Number: r.line}
	}
	return Line{Number: r.line, Text: strings.TrimSpace(lines[r.line-1])}
}
