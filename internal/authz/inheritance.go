package authz

import (
	"slices"
	"strings"
)

// checkInheritance reports roles that inherit from one that is not there, each
// line that closes a circle, and chains that are longer than casbin looks.
func checkInheritance(rs rules, found *faults) {
	defined := map[string]bool{}
	parents := map[string][]rule{}
	for _, r := range rs {
		defined[r.role] = true
		if r.kind == "g" {
			parents[r.role] = append(parents[r.role], r)
		}
	}
	walk := &inheritanceWalk{parents: parents, depth: map[string]int{}, found: found}
	for _, r := range rs {
		if r.kind != "g" {
			continue
		}
		if !defined[r.parent] {
			found.add(r.line, "unknown_role", "%s inherits from %s, which no line says anything about.", r.role, r.parent)
		}
		walk.visit(r.role)
	}
}

// inheritanceWalk is a depth-first walk from roles to what they inherit from.
type inheritanceWalk struct {
	parents map[string][]rule
	// depth is the longest chain above a role that was walked to its end.
	depth map[string]int
	// path are the roles from where the walk began to where it is.
	path  []string
	found *faults
}

func (w *inheritanceWalk) visit(role string) int {
	if depth, done := w.depth[role]; done {
		return depth
	}
	w.path = append(w.path, role)
	deepest := 0
	for _, r := range w.parents[role] {
		if start := slices.Index(w.path, r.parent); start >= 0 {
			circle := append(slices.Clone(w.path[start:]), r.parent)
			w.found.add(r.line, "cycle", "closes a circle: %s.", strings.Join(circle, " inherits from "))
			continue
		}
		depth := w.visit(r.parent) + 1
		if depth == maxInheritance+1 {
			w.found.add(r.line, "too_deep", "%s inherits through more than %d roles.", role, maxInheritance)
		}
		deepest = max(deepest, depth)
	}
	w.path = w.path[:len(w.path)-1]
	w.depth[role] = deepest
	return deepest
}
