package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mailtoken"
	"github.com/picaspot/picaspot/ent/mixin"
	entsession "github.com/picaspot/picaspot/ent/session"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/password"
	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

var errWrongPassword = fault.New(fault.Unprocessable, "password_wrong", "The password is not right.")

// confirm asks the caller for the password once more, before something that a
// stolen access token must not be enough for. Pointer names it in the request.
func (s *Service) confirm(ctx context.Context, pointer, plain string) (*ent.User, error) {
	user, err := s.Me(ctx)
	if err != nil {
		return nil, err
	}
	ok, _, err := s.hasher.Verify(ctx, user.PasswordHash, plain)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, s.refused(ctx, errWrongPassword.With(fault.Field{Pointer: pointer, Code: "wrong", Message: "It is not the account's password."}))
	}
	return user, nil
}

// proven runs fn for the caller, whose password was right, once the second factor, if
// there is one, has proven them too. The account is locked and read again. A wrong code
// is on record.
func (s *Service) proven(ctx context.Context, confirmed *ent.User, code string, fn func(context.Context, *store.Tx, *ent.User) error) error {
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		user, err := lockCaller(ctx, tx, confirmed.ID)
		if err != nil {
			return err
		}
		if _, err := s.proveSecondFactor(ctx, tx, user, code, inOperation); err != nil {
			return err
		}
		return fn(ctx, tx, user)
	})
	if errors.Is(err, inOperation.answer(errOTPInvalid)) {
		err = s.refused(ctx, err)
	}
	return s.tellOfCodes(ctx, confirmed, err)
}

// lockCaller returns the caller's account, locked, or [session.ErrEnded] when the
// session has ended since the request was let in: what ends sessions locks the account
// too, and a request that began before must not do its work after.
func lockCaller(ctx context.Context, tx *store.Tx, user uuid.UUID) (*ent.User, error) {
	found, err := lock(ctx, tx, user)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return nil, session.ErrEnded
	case err != nil:
		return nil, err
	}
	caller, _ := authz.CallerFrom(ctx)
	switch lives, err := tx.Session.Query().Where(entsession.ID(caller.SessionID), goesOn(mixin.Now())).Exist(ctx); {
	case err != nil:
		return nil, fmt.Errorf("look for the session: %w", err)
	case !lives:
		return nil, session.ErrEnded
	}
	return found, nil
}

// refused records that the caller was asked for a password or a code and had a
// wrong one, and returns the answer.
func (s *Service) refused(ctx context.Context, answer error) error {
	caller, _ := authz.CallerFrom(ctx)
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return audit.Insert(ctx, tx, audit.Event{Action: audit.PasswordRefused, EntityType: "user", EntityID: caller.UserID})
	})
	if err != nil {
		return err
	}
	return answer
}

// newHash checks a password that somebody wants to have and hashes it.
func (s *Service) newHash(ctx context.Context, plain string, user *ent.User) (string, error) {
	if faults := password.Check("/password", plain, user.Username, user.Email, productName); len(faults) > 0 {
		return "", fault.New(fault.Unprocessable, "password_weak", faults[0].Message).With(faults...)
	}
	return s.hasher.Hash(ctx, plain)
}

// ChangePassword replaces the caller's password, for the present one and, where
// there is a second factor, a code; it ends the other sessions.
func (s *Service) ChangePassword(ctx context.Context, current, code, next string) error {
	caller, _ := authz.CallerFrom(ctx)
	user, err := s.confirm(ctx, "/current_password", current)
	if err != nil {
		return err
	}
	hash, err := s.newHash(ctx, next, user)
	if err != nil {
		return err
	}
	return s.proven(ctx, user, code, func(ctx context.Context, tx *store.Tx, _ *ent.User) error {
		if err := s.setPassword(ctx, tx, user, hash); err != nil {
			return err
		}
		if _, err := s.endSessions(ctx, tx, user.ID, entsession.EndReasonPasswordChanged, entsession.IDNEQ(caller.SessionID)); err != nil {
			return err
		}
		if err := audit.Insert(ctx, tx, audit.Event{Action: audit.PasswordChanged, EntityType: "user", EntityID: user.ID}); err != nil {
			return err
		}
		return s.notify(ctx, tx, user, mail.PasswordChanged)
	})
}

// setPassword replaces the hash that the new password was chosen in the place of;
// one that was replaced in between wins. The account has to be locked.
func (s *Service) setPassword(ctx context.Context, tx *store.Tx, user *ent.User, hash string) error {
	n, err := tx.User.Update().
		Where(entuser.ID(user.ID), entuser.PasswordHash(user.PasswordHash)).
		SetPasswordHash(hash).SetPasswordChangedAt(mixin.Now()).Save(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("set the password: %w", err)
	case n == 0:
		return fault.New(fault.Conflict, "password_changed", "The password was changed in the meantime.")
	}
	return endPending(ctx, tx, user.ID)
}

// ResetPassword takes the token of a mail, once, for a new password. It ends every
// session and proves the address. A weak password leaves the token as it is.
func (s *Service) ResetPassword(ctx context.Context, plain, next string) error {
	// Hashing takes its time: not with a row locked.
	user, err := s.resetting(ctx, plain)
	if err != nil {
		return err
	}
	hash, err := s.newHash(ctx, next, user)
	if err != nil {
		return err
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		used, _, err := useMailToken(ctx, tx, plain, mailtoken.PurposeResetPassword)
		if err != nil {
			return err
		}
		if err := s.setPassword(ctx, tx, user, hash); err != nil {
			return err
		}
		if user.EmailVerifiedAt == nil {
			err := tx.User.Update().Where(entuser.ID(user.ID), entuser.Email(used.Email)).SetEmailVerifiedAt(mixin.Now()).Exec(ctx)
			if err != nil {
				return fmt.Errorf("verify the address: %w", err)
			}
		}
		if _, err := s.endSessions(ctx, tx, user.ID, entsession.EndReasonPasswordReset); err != nil {
			return err
		}
		err = audit.Insert(ctx, tx, audit.Event{Action: audit.PasswordReset, EntityType: "user", EntityID: user.ID, Actor: user.ID})
		if err != nil {
			return err
		}
		return s.notify(ctx, tx, user, mail.PasswordWasReset)
	})
}

// resetting returns the account that a token for a new password is for. An
// address that the account does not have any more resets nothing.
func (s *Service) resetting(ctx context.Context, plain string) (*ent.User, error) {
	found, err := s.store.Ent.MailToken.Query().
		Where(
			mailtoken.TokenHash(token.HashOpaque(plain)), mailtoken.PurposeEQ(mailtoken.PurposeResetPassword),
			isOpen(mixin.Now()),
		).Only(ctx)
	switch {
	case store.IsNotFound(err):
		return nil, errMailToken
	case err != nil:
		return nil, fmt.Errorf("find the mail token: %w", err)
	}
	user, err := s.store.Ent.User.Query().Where(entuser.ID(found.UserID), entuser.Email(found.Email)).Only(ctx)
	if store.IsNotFound(err) {
		return nil, errMailToken
	}
	return user, err
}
