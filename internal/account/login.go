package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"entgo.io/ent/dialect/sql"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/ent/predicate"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/store"
)

// errBadCredentials is the one answer to every login that does not succeed: it
// tells nobody whether there is such an account, or in what state it is.
var errBadCredentials = fault.New(fault.Unauthenticated, "bad_credentials", "The name or the password is wrong, or the address is not verified yet.")

// Credentials are what somebody logs in with.
type Credentials struct {
	// Identifier is a user name or an e-mail address.
	Identifier string
	Password   string
	// OTP is a one-time password or a recovery code; empty without a second factor.
	OTP string
	// Remember asks for a session that lasts longer.
	Remember bool
}

// Login starts a session. It takes as long for an unknown user as for a known
// one: each costs one Argon2id. An account under attack gets slower for strangers:
// they share a rate, which those who are known to read its mails or were logged in
// from the same address do not.
//
// Who deleted their own account has it back by logging in within the retention,
// unless its name or address belongs to somebody else by now.
func (s *Service) Login(ctx context.Context, in Credentials) (Tokens, error) {
	user, err := s.find(ctx, in.Identifier)
	if err != nil {
		return Tokens{}, err
	}
	if err := s.slowDown(ctx, in.Identifier, user); err != nil {
		return Tokens{}, err
	}
	if user == nil {
		if err := s.hasher.VerifyDummy(ctx, in.Password); err != nil {
			return Tokens{}, err
		}
		return Tokens{}, s.loginFailed(ctx, nil, errBadCredentials)
	}
	ok, needsRehash, err := s.hasher.Verify(ctx, user.PasswordHash, in.Password)
	if err != nil {
		return Tokens{}, err
	}
	if !ok || user.EmailVerifiedAt == nil || user.Status != entuser.StatusActive {
		return Tokens{}, s.loginFailed(ctx, user, errBadCredentials)
	}
	rehashed := ""
	if needsRehash {
		if rehashed, err = s.hasher.Hash(ctx, in.Password); err != nil {
			return Tokens{}, err
		}
	}
	tokens, err := s.logIn(ctx, user, in, rehashed)
	if errors.Is(err, errBadCredentials) || fault.KindOf(err) == fault.Unauthenticated && in.OTP != "" {
		err = s.loginFailed(ctx, user, err)
	}
	return tokens, s.tellOfCodes(ctx, user, err)
}

// logIn starts the session of a user whose password was right.
func (s *Service) logIn(ctx context.Context, user *ent.User, in Credentials, rehashed string) (Tokens, error) {
	var made Tokens
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// Locked and read again: it may have been suspended since, deleted or restored.
		user, err := tx.User.Query().
			Where(entuser.ID(user.ID), entuser.StatusEQ(entuser.StatusActive), entuser.Or(entuser.DeletedAtIsNil(), s.canComeBack())).
			ForUpdate().Only(mixin.WithDeleted(ctx))
		switch {
		case store.IsNotFound(err):
			return errBadCredentials
		case err != nil:
			return fmt.Errorf("lock the account: %w", err)
		}
		proven, err := s.proveSecondFactor(ctx, tx, user, in.OTP, atLogin)
		if err != nil {
			return err
		}
		if user.DeletedAt != nil {
			if err := s.comeBack(ctx, tx, user); err != nil {
				return err
			}
		}
		if rehashed != "" {
			if err := tx.User.UpdateOneID(user.ID).SetPasswordHash(rehashed).Exec(ctx); err != nil {
				return fmt.Errorf("renew the password's hash: %w", err)
			}
		}
		made, err = s.startSession(ctx, tx, user.ID, in.Remember, proven)
		return err
	})
	return made, err
}

// find returns the living account with this name or address, else the one that its
// owner deleted last and can have back, or nil. A name can't contain an @, so the
// two never meet.
func (s *Service) find(ctx context.Context, identifier string) (*ent.User, error) {
	where := entuser.Username(identifier)
	if strings.Contains(identifier, "@") {
		where = entuser.Email(identifier)
	}
	// Both are asked for in any case: the time that it takes must not tell who has an
	// account. The deleted one first: one that comes back in between is found twice,
	// and not never. Served by user_deleted_username and user_deleted_email.
	deleted, err := s.store.Ent.User.Query().Where(where, s.canComeBack()).
		Order(entuser.ByDeletedAt(sql.OrderDesc())).First(mixin.WithDeleted(ctx))
	if err != nil && !store.IsNotFound(err) {
		return nil, fmt.Errorf("look for the deleted account: %w", err)
	}
	living, err := s.store.Ent.User.Query().Where(where).Only(ctx)
	switch {
	case err == nil:
		return living, nil
	case store.IsNotFound(err):
		return deleted, nil
	default:
		return nil, fmt.Errorf("look for the account: %w", err)
	}
}

// canComeBack limits accounts to those that their owners deleted, within the retention.
func (s *Service) canComeBack() predicate.User {
	return entuser.And(
		entuser.DeletedAtNotNil(), entuser.DeletedAtGT(mixin.Now().Add(-s.config.Retention)),
		func(q *sql.Selector) { q.Where(sql.ColumnsEQ(q.C(entuser.FieldDeletedBy), q.C(entuser.FieldID))) },
	)
}

// comeBack restores a locked account for its owner, who has proven who they are: with
// the role that it had, or with [authz.DefaultRole] when the policy has lost that one
// meanwhile. The policy stays locked, so that an edit does not drop the role.
func (s *Service) comeBack(ctx context.Context, tx *store.Tx, user *ent.User) error {
	governance, err := s.policy.Govern(ctx, tx)
	if err != nil {
		return err
	}
	// No session has begun yet, and the audit log is to say whose doing it is.
	as := authz.WithCaller(mixin.WithDeleted(ctx), authz.Caller{UserID: user.ID})
	err = tx.User.UpdateOne(user).ClearDeletedAt().ClearDeletedBy().ClearDeletionID().SetRole(governance.RestoredRole(user.Role)).Exec(as)
	switch {
	case store.IsUnique(err, "user_username"), store.IsUnique(err, "user_email"):
		return errBadCredentials
	case err != nil:
		return fmt.Errorf("restore the account: %w", err)
	}
	return s.notify(ctx, tx, user, mail.AccountRestored)
}

// loginFailed records the failure and returns the answer. A failure without an
// account is recorded too, so that both take the same way to the database.
func (s *Service) loginFailed(ctx context.Context, user *ent.User, answer error) error {
	event := audit.Event{Action: audit.LoginFailed, EntityType: "user"}
	if user != nil {
		event.EntityID = user.ID
	}
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return audit.Insert(ctx, tx, event)
	})
	if err != nil {
		return err
	}
	return answer
}
