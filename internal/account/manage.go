package account

import (
	"context"
	"fmt"
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
	errEmailTaken = fault.New(fault.Conflict, "email_taken", "The address belongs to another account.")
	errOwnAccount = fault.New(fault.Conflict, "own_account", "Nobody changes the role or the status of their own account.")
)

// Create adds an account that can log in at once, as operators and the seed do.
// A role that the policy does not know is unprocessable; a name or an address that
// is taken is a conflict. What the password is worth is for the caller to check.
func (s *Service) Create(ctx context.Context, in Registration, role string) (*ent.User, error) {
	in.Email = strings.TrimSpace(in.Email)
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	var user *ent.User
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// Locked, so that an edit of the policy does not drop the role meanwhile.
		governance, err := s.policy.Govern(ctx, tx)
		if err != nil {
			return err
		}
		if err := governance.RequireRole(role); err != nil {
			return err
		}
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

// Change is what may be changed of somebody else's account; nil leaves it.
type Change struct {
	Role   *string
	Status *entuser.Status
}

// manageAccounts is the permission to change the role or the status of accounts.
const manageAccounts authz.Permission = "user:manage"

// Manage changes an account's role or status. Either holds from the next request
// on; a suspension ends every session. A caller's own account is a conflict, and so is
// what would leave no account that may change the policy. What is beyond the caller's
// role ([rbac.Governance.RequireReach]) is forbidden: to give it, to take it
// away, and to change an account that has it. Operators, who have no account of their
// own, come without a caller.
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
	governance, err := s.policy.Govern(ctx, tx)
	if err != nil {
		return nil, err
	}
	if err := governance.Require(manageAccounts); err != nil {
		return nil, err
	}
	if in.Role != nil {
		if err := governance.RequireRole(*in.Role); err != nil {
			return nil, err
		}
	}
	next := *found
	next.Role, next.Status = deref(in.Role, found.Role), deref(in.Status, found.Status)
	if next.Role == found.Role && next.Status == found.Status {
		return found, nil
	}
	if err := governance.RequireReach(found.Role, fault.Field{}); err != nil {
		return nil, err
	}
	if err := governance.RequireReach(next.Role, fault.Field{Pointer: "/role"}); err != nil {
		return nil, err
	}
	if governance.IsManager(found) && !governance.IsManager(&next) {
		if err := governance.RequireAnotherManager(ctx, tx, found.ID); err != nil {
			return nil, err
		}
	}
	changed, err := tx.User.UpdateOne(found).SetRole(next.Role).SetStatus(next.Status).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("change the account: %w", err)
	}
	if next.Status == found.Status {
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

func (s *Service) statusChanged(ctx context.Context, tx *store.Tx, user *ent.User) error {
	action := audit.Activated
	if user.Status == entuser.StatusSuspended {
		action = audit.Suspended
		if err := endPending(ctx, tx, user.ID); err != nil {
			return err
		}
		if _, err := s.endSessions(ctx, tx, user.ID, entsession.EndReasonSuspended); err != nil {
			return err
		}
	}
	s.sessions.Changed(ctx, tx, user.ID)
	return audit.Insert(ctx, tx, audit.Event{Action: action, EntityType: "user", EntityID: user.ID})
}
