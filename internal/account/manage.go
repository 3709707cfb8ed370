package account

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	entsession "github.com/picaspot/picaspot/ent/session"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
)

var (
	errUsernameTaken = fault.New(fault.Conflict, "username_taken", "There is an account of this name.").
				With(fault.Field{Pointer: "/username", Code: "taken", Message: "Choose another name."})
	errEmailTaken  = fault.New(fault.Conflict, "email_taken", "The address belongs to another account.")
	errOwnAccount  = fault.New(fault.Conflict, "own_account", "Nobody changes the role or the status of their own account.")
	errLastManager = fault.New(fault.Conflict, "last_policy_manager",
		"Nobody would be left who may change the policy. Give another account a role that may do so first.")
)

// Create adds an account that can log in at once, as operators and the seed do.
// A role that the policy does not know is unprocessable; a name or an address that
// is taken is a conflict. What the password is worth is for the caller to check.
func (s *Service) Create(ctx context.Context, in Registration, role string) (*ent.User, error) {
	in.Email = strings.TrimSpace(in.Email)
	if err := s.checkRole(role); err != nil {
		return nil, err
	}
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	var user *ent.User
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		user, err = tx.User.Create().
			SetUsername(in.Username).SetEmail(in.Email).SetPasswordHash(hash).
			SetRole(role).SetEmailVerifiedAt(mixin.Now()).Save(ctx)
		switch {
		case store.IsUnique(err, "user_username"):
			return errUsernameTaken
		case store.IsUnique(err, "user_email"):
			return errEmailTaken
		}
		return err
	})
	return user, err
}

func (s *Service) checkRole(role string) error {
	known := s.authz.Current().Roles()
	if slices.Contains(known, role) {
		return nil
	}
	return fault.New(fault.Unprocessable, "role_unknown", "The policy knows no such role.").
		With(fault.Field{Pointer: "/role", Code: "unknown", Message: "The policy knows " + strings.Join(known, ", ") + "."})
}

// Change is what may be changed of somebody else's account; nil leaves it.
type Change struct {
	Role   *string
	Status *entuser.Status
}

// Manage changes an account's role or status. Either holds from the next request
// on; a suspension ends every session. A caller's own account is a conflict, and
// so is what would leave nobody who may change the policy. Operators, who have no
// account of their own, come without a caller.
func (s *Service) Manage(ctx context.Context, id uuid.UUID, in Change, pre version.Precondition) (*ent.User, error) {
	var changed *ent.User
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		changed, err = s.ManageTx(ctx, tx, id, in, pre)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// ManageTx is [Service.Manage] as a part of a transaction.
func (s *Service) ManageTx(ctx context.Context, tx *store.Tx, id uuid.UUID, in Change, pre version.Precondition) (*ent.User, error) {
	if caller, _ := authz.CallerFrom(ctx); caller.Owns(id) {
		return nil, errOwnAccount
	}
	found, err := lock(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if err := pre.Check(found.UpdatedAt); err != nil {
		return nil, err
	}
	if in.Role != nil {
		// Locked, so that an edit of the policy does not drop the role meanwhile.
		if err := tx.LockGovernance(ctx); err != nil {
			return nil, err
		}
		if err := s.checkRole(*in.Role); err != nil {
			return nil, err
		}
	}
	role, status := deref(in.Role, found.Role), deref(in.Status, found.Status)
	if role == found.Role && status == found.Status {
		return found, nil
	}
	if !managesPolicy(s.authz.Current(), role, status) {
		if err := s.requireAnotherManager(ctx, tx, found); err != nil {
			return nil, err
		}
	}
	changed, err := tx.User.UpdateOne(found).SetRole(role).SetStatus(status).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("change the account: %w", err)
	}
	if status == found.Status {
		s.sessions.Changed(ctx, tx, id)
		return changed, nil
	}
	return changed, s.statusChanged(ctx, tx, changed)
}

func deref[T any](value *T, fallback T) T {
	if value == nil {
		return fallback
	}
	return *value
}

// managePolicy is the permission that somebody always has to hold on any object:
// without them nobody could change the policy any more.
const managePolicy authz.Permission = "policy:manage"

// managesPolicy reports whether an account of this role and status may change the policy.
func managesPolicy(policy *authz.Snapshot, role string, status entuser.Status) bool {
	return status == entuser.StatusActive && policy.Decide(role, managePolicy) == authz.Any
}

// requireAnotherManager refuses, before an account is lost to the policy, to lose
// the last one that may change it. The account has to be locked. One that may not
// change it is lost without a question.
func (s *Service) requireAnotherManager(ctx context.Context, tx *store.Tx, losing *ent.User) error {
	policy := s.authz.Current()
	if !managesPolicy(policy, losing.Role, losing.Status) {
		return nil
	}
	// One after the other, or two at once would each count on the other's.
	if err := tx.LockGovernance(ctx); err != nil {
		return err
	}
	// Served by user_role_created_at_id.
	another, err := tx.User.Query().Where(
		entuser.IDNEQ(losing.ID), entuser.StatusEQ(entuser.StatusActive),
		entuser.RoleIn(policy.Holders(managePolicy)...),
	).Exist(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("look for another who manages the policy: %w", err)
	case !another:
		return errLastManager
	}
	return nil
}

func (s *Service) statusChanged(ctx context.Context, tx *store.Tx, user *ent.User) error {
	action := audit.Activated
	if user.Status == entuser.StatusSuspended {
		action = audit.Suspended
		if _, err := s.endSessions(ctx, tx, user.ID, entsession.EndReasonSuspended); err != nil {
			return err
		}
	}
	s.sessions.Changed(ctx, tx, user.ID)
	return audit.Insert(ctx, tx, audit.Event{Action: action, EntityType: "user", EntityID: user.ID})
}
