// Package authz decides who may do what. It compiles a casbin policy into a
// [Snapshot], answers from it in nanoseconds, and swaps it whole when the policy
// changes. It carries the [Caller] of a request through contexts and compares
// them with the owner of what they ask for. No other package names a role.
package authz

import (
	"context"
	"sync/atomic"
)

// Authorizer holds the policy that is in force. It may be used concurrently.
type Authorizer struct {
	current atomic.Pointer[Snapshot]
}

// New makes an Authorizer with a first policy.
func New(first *Snapshot) *Authorizer {
	a := &Authorizer{}
	a.current.Store(first)
	return a
}

// Current returns the policy in force. A caller with several questions about
// one thing asks one snapshot, so that the answers belong together.
func (a *Authorizer) Current() *Snapshot { return a.current.Load() }

// Swap puts a policy in force, whole, for every question from then on. An older
// version than the present one is refused with false: news of two changes may
// arrive in the wrong order.
func (a *Authorizer) Swap(next *Snapshot) bool {
	for {
		present := a.current.Load()
		if next.version < present.version {
			return false
		}
		if a.current.CompareAndSwap(present, next) {
			return true
		}
	}
}

// May tells how far the context's caller may go with a permission, for a second
// question inside of an operation. Without a caller it is [Denied].
func (a *Authorizer) May(ctx context.Context, p Permission) Decision {
	caller, ok := CallerFrom(ctx)
	if !ok {
		return Denied
	}
	return a.Current().Decide(caller.Role, p)
}
