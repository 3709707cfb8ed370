package authz

import (
	"fmt"
	"regexp"
	"strings"
)

// DefaultRole is the role of a new account.
const DefaultRole = "user"

// Roles of the default policy, for the accounts that seeding makes.
const (
	ModeratorRole = "moderator"
	AdminRole     = "admin"
)

// managePolicy is the permission that somebody always has to hold for any
// object: without it nobody could ever change the policy again.
const managePolicy Permission = "policy:manage"

// Permission is a kind of resource and what is done to it, "area:update". One
// that does not have this form is held by nobody.
type Permission string

// ownable are the permissions that a role may hold for its own objects only:
// those whose services call [RequireOwner]. Validation refuses "own" for every
// other one, because nobody would check whose object it is.
var ownable = map[Permission]bool{
	"area:update": true, "area:delete": true,
	"landmark:update": true, "landmark:delete": true,
	"attempt:read": true,
	"unlock:read":  true, "unlock:update": true,
}

var (
	isWord   = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
	roleName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
)

// ParsePermission reads "resource:action". Both are words of lower-case
// letters, digits, - and _ that begin with a letter, 64 characters at most.
func ParsePermission(s string) (Permission, error) {
	resource, action, found := strings.Cut(s, ":")
	if !found || !isWord.MatchString(resource) || !isWord.MatchString(action) {
		return "", fmt.Errorf("%q is not a permission: it has to read resource:action, in lower case", s)
	}
	return Permission(s), nil
}

// Resource returns the part before the colon.
func (p Permission) Resource() string {
	resource, _, _ := strings.Cut(string(p), ":")
	return resource
}

// Action returns the part behind the colon.
func (p Permission) Action() string {
	_, action, _ := strings.Cut(string(p), ":")
	return action
}

// Ownable reports whether a role may hold p for its own objects only.
func (p Permission) Ownable() bool { return ownable[p] }

// Decision is how far a role may go with a permission.
type Decision uint8

const (
	// Denied: not at all. It is the zero value.
	Denied Decision = iota
	// Own: on the caller's own objects.
	Own
	// Any: on everybody's objects.
	Any
)

// String returns the decision as policies and tables write it.
func (d Decision) String() string {
	switch d {
	case Any:
		return "any"
	case Own:
		return "own"
	default:
		return "denied"
	}
}
