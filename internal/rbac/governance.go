package rbac

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/policyversion"
	"github.com/picaspot/picaspot/ent/predicate"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/policy"
)

var errLastManager = fault.New(fault.Conflict, "last_policy_manager",
	"No account would be left that may change the policy. Give another account a role that may do so first.")

// maxExceeding bounds how many permissions an error names.
const maxExceeding = 10

// Governance is what decisions about roles and their holders go by: the newest
// policy and the caller's account as they are in the database. The copy of the policy
// that a process keeps is no ground for them, since another replica may have changed
// the policy a moment ago.
type Governance struct {
	newest *ent.PolicyVersion
	policy *authz.Snapshot
	// isOperator tells that there is no caller: an operator acts, or a job.
	isOperator bool
	// role is the caller's. It is empty when their account is suspended or gone.
	role string
}

// Govern takes the policy lock ([store.Tx.LockPolicy]) until the transaction ends, and
// reads what its decisions go by. Rows that the transaction locks besides are locked
// before.
func (s *Policy) Govern(ctx context.Context, tx *store.Tx) (*Governance, error) {
	if err := tx.LockPolicy(ctx); err != nil {
		return nil, err
	}
	return s.ReadGovernance(ctx, tx)
}

// ReadGovernance is [Policy.Govern] without the lock, for a decision that no other
// decision relies on.
func (s *Policy) ReadGovernance(ctx context.Context, tx *store.Tx) (*Governance, error) {
	newest, err := tx.PolicyVersion.Query().Order(ent.Desc(policyversion.FieldVersion)).First(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	g := &Governance{newest: newest, policy: s.Live()}
	if newest.Version != g.policy.Version() || newest.Text != g.policy.Text() {
		// One that does not load leaves the last good one in force, as in [Policy.Reload]:
		// else it could not be replaced.
		if next, err := authz.NewSnapshot(newest.Version, policy.Model, newest.Text); err == nil {
			g.policy = next
		}
	}
	caller, ok := authz.CallerFrom(ctx)
	if !ok {
		g.isOperator = true
		return g, nil
	}
	found, err := tx.User.Query().Where(entuser.ID(caller.UserID), entuser.StatusEQ(entuser.StatusActive)).Only(ctx)
	switch {
	case err == nil:
		g.role = found.Role
	case !store.IsNotFound(err):
		return nil, fmt.Errorf("read the caller's account: %w", err)
	}
	return g, nil
}

// asCaller returns a context whose caller, if there is one, has the role of the database.
func (g *Governance) asCaller(ctx context.Context) context.Context {
	caller, ok := authz.CallerFrom(ctx)
	if !ok {
		return ctx
	}
	caller.Role = g.role
	return authz.WithCaller(ctx, caller)
}

// Require demands that the caller holds a permission on any object still. Operators
// hold all. It is [fault.Forbidden] otherwise.
func (g *Governance) Require(p authz.Permission) error {
	if g.isOperator || g.policy.Decide(g.role, p) == authz.Any {
		return nil
	}
	return fault.New(fault.Forbidden, "forbidden", fmt.Sprintf("Your role does not allow %s.", p))
}

// RequireReach demands that the caller may give a role, take it away, and act on the
// accounts that have it: that it allows nothing that the caller's own role does not
// allow as far. Callers who may change the policy could give themselves any
// permission, so they and operators may do so with every role. It is
// [fault.Forbidden] of code "role_exceeds_own" otherwise, with a field that names what
// exceeds; where says which part of the request is about the role.
func (g *Governance) RequireReach(role string, where fault.Field) error {
	if g.isOperator || g.policy.Decide(g.role, managePolicy) == authz.Any {
		return nil
	}
	exceeding := g.policy.Exceeding(role, g.role)
	if len(exceeding) == 0 {
		return nil
	}
	named := make([]string, 0, maxExceeding)
	for _, p := range exceeding[:min(len(exceeding), maxExceeding)] {
		named = append(named, string(p))
	}
	if len(exceeding) > maxExceeding {
		named = append(named, "…")
	}
	where.Code = "exceeds_own"
	where.Message = fmt.Sprintf("The role %s goes further than yours in %s.", role, strings.Join(named, ", "))
	return fault.New(fault.Forbidden, "role_exceeds_own",
		"Only those who may change the policy give or take away a role that allows more than their own, and manage accounts that have one.").With(where)
}

// RequireRole demands that the policy knows a role, which is [fault.Unprocessable]
// otherwise.
func (g *Governance) RequireRole(role string) error {
	known := g.policy.Roles()
	if slices.Contains(known, role) {
		return nil
	}
	return fault.New(fault.Unprocessable, "role_unknown", "The policy knows no such role.").
		With(fault.Field{Pointer: "/role", Code: "unknown", Message: "The policy knows " + strings.Join(known, ", ") + "."})
}

// RestoredRole returns the role with which a deleted account comes back: its own, or
// [authz.DefaultRole] when the policy has lost that one meanwhile.
func (g *Governance) RestoredRole(role string) string {
	if slices.Contains(g.policy.Roles(), role) {
		return role
	}
	return authz.DefaultRole
}

// IsManager reports whether an account may change the policy: it can log in, which
// takes a verified address and no suspension, and its role allows it.
func (g *Governance) IsManager(u *ent.User) bool {
	return u.DeletedAt == nil && u.Status == entuser.StatusActive && u.EmailVerifiedAt != nil && g.policy.Decide(u.Role, managePolicy) == authz.Any
}

// managers limits accounts to those of [Governance.IsManager]. user_role_created_at_id
// serves it; deleted accounts are left out by the soft deletion.
func managers(p *authz.Snapshot) predicate.User {
	return entuser.And(
		entuser.StatusEQ(entuser.StatusActive), entuser.EmailVerifiedAtNotNil(), entuser.RoleIn(p.Holders(managePolicy)...),
	)
}

// RequireAnotherManager demands, before an account stops to be one, that another one
// is left that may change the policy. The account is locked, and so is the policy.
func (g *Governance) RequireAnotherManager(ctx context.Context, tx *store.Tx, losing uuid.UUID) error {
	another, err := tx.User.Query().Where(entuser.IDNEQ(losing), managers(g.policy)).Exist(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("look for another account that manages the policy: %w", err)
	case !another:
		return errLastManager
	}
	return nil
}
