package authz

import (
	"slices"

	"github.com/picaspot/picaspot/policy"
)

// Validate checks a policy text before it is taken. known are the permissions
// that operations ask for. All faults come back at once as one [fault.Invalid]
// of code "invalid_policy", a field for each: the pointer "/lines/n" and the
// message name the line, counted from 1; faults of the whole have no pointer.
//
// It finds lines that are malformed, permissions that nobody asks for, roles
// that inherit from an unknown one, circles, unknown scopes and effects, "own"
// for permissions where nobody checks whose object it is, duplicates, a policy
// without [DefaultRole], and one that leaves nobody who may change the policy.
func Validate(csvText string, known []Permission) error {
	rs, found := parse(csvText)
	if rs == nil && len(found) > 0 {
		return found.err()
	}
	for _, r := range rs {
		switch {
		case r.permission == "":
		case !slices.Contains(known, r.permission):
			found.add(r.line, "unknown_permission", "no operation asks for %s.", r.permission)
		case r.scope == "own" && !r.permission.Ownable():
			found.add(r.line, "not_ownable", "the permission %s can't be held for own objects only; its scope has to be any.", r.permission)
		}
	}
	if !slices.Contains(rs.roles(), DefaultRole) {
		found.add(0, "no_default_role", "No line speaks of the role %s, which every new account has.", DefaultRole)
	}
	if compiled, err := NewSnapshot(0, policy.Model, csvText); err == nil && !manageable(compiled) {
		found.add(0, "locked_out", "No role is left that may %s on any object: nobody could change the policy again.", managePolicy)
	}
	return found.err()
}

// manageable reports whether a role is left that may change the policy. It asks
// casbin about the roles that a line grants it to, and not about their heirs: an
// heir has every "deny" that its ancestor has, so it never holds more of this
// grant. Asking about all roles would be quadratic in the policy.
func manageable(s *Snapshot) bool {
	return slices.ContainsFunc(s.rules, func(r rule) bool {
		return r.permission == managePolicy && r.scope == "any" && r.effect == "allow" && s.Decide(r.role, managePolicy) == Any
	})
}
