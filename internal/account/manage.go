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
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
)

var (
	errUsernameTaken = fault.New(fault.Conflict, "username_taken", "There is an account of this name.").
				With(fault.Field{Pointer: "/username", Code: "taken", Message: "Choose another name."})
	errEmailTaken = fault.New(fault.Conflict, "email_taken", "The address belongs to another account.")
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
// on; a suspension ends every session.
func (s *Service) Manage(ctx context.Context, id uuid.UUID, in Change) (*ent.User, error) {
	if in.Role != nil {
		if err := s.checkRole(*in.Role); err != nil {
			return nil, err
		}
	}
	var changed *ent.User
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.User.Query().Where(entuser.ID(id)).ForUpdate().Only(ctx)
		switch {
		case store.IsNotFound(err):
			return errNotFound
		case err != nil:
			return fmt.Errorf("lock the account: %w", err)
		}
		changed, err = tx.User.UpdateOne(found).SetNillableRole(in.Role).SetNillableStatus(in.Status).Save(ctx)
		if err != nil {
			return fmt.Errorf("change the account: %w", err)
		}
		if in.Status == nil || *in.Status == found.Status {
			s.sessions.Changed(ctx, tx, id)
			return nil
		}
		return s.statusChanged(ctx, tx, changed)
	})
	return changed, err
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
