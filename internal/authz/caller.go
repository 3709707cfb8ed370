package authz

import (
	"context"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/fault"
)

// Caller is who makes a request.
type Caller struct {
	UserID    uuid.UUID
	SessionID uuid.UUID
	Role      string
	// Scope is how far the caller may go in the present operation. It is Denied
	// in operations that ask for no permission.
	Scope Decision
	// LacksFactor tells that the role is of no use in this session until a second
	// factor has proven it.
	LacksFactor bool
}

// Owns reports whether an object of this owner is the caller's. Nobody owns
// what has no owner.
func (c Caller) Owns(owner uuid.UUID) bool { return owner != uuid.Nil && owner == c.UserID }

type callerKey struct{}

// WithCaller returns a context that carries the caller.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns the context's caller, and false when there is none.
func CallerFrom(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

var (
	errNotOwner = fault.New(fault.Forbidden, "not_owner", "You may do this only with what is yours.")
	errHidden   = fault.New(fault.NotFound, "not_found", "There is no such object.")
)

// RequireOwner demands that the context's caller may go on with an object of
// this owner: with the scope [Any] they may, with [Own] when it is theirs.
// Otherwise it returns [fault.Forbidden] of code "not_owner" when the object is
// visible to the caller, and [fault.NotFound] when they may not know of it.
// Without a caller or a scope nobody goes on.
func RequireOwner(ctx context.Context, owner uuid.UUID, visible bool) error {
	caller, _ := CallerFrom(ctx)
	switch {
	case caller.Scope == Any:
		return nil
	case caller.Scope == Own && caller.Owns(owner):
		return nil
	case visible:
		return errNotOwner
	default:
		return errHidden
	}
}
