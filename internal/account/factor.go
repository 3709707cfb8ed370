package account

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/authenticator"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/ent/recoverycode"
	entsession "github.com/picaspot/picaspot/ent/session"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/totp"
)

// issuer is what authenticator apps show beside the user's name.
const issuer = "PicASpot"

var (
	errOTPRequired = fault.New(fault.Unauthenticated, "otp_required", "A code of the authenticator app, or a recovery code, is needed too.").
			With(fault.Field{Pointer: "/otp", Code: "required", Message: "Enter a code."})
	errOTPInvalid = fault.New(fault.Unauthenticated, "otp_invalid", "The code is not valid, or was used before.").
			With(fault.Field{Pointer: "/otp", Code: "invalid", Message: "Wait for the next code."})
	errFactorOn  = fault.New(fault.Conflict, "second_factor_exists", "There is a second factor already. Remove it first.")
	errFactorOff = fault.New(fault.NotFound, "second_factor_missing", "There is no second factor.")
)

// asking is where a second factor is asked for: a login that lacks it is not
// authenticated, an operation that lacks it is unprocessable.
type asking bool

const (
	atLogin     asking = true
	inOperation asking = false
)

func (a asking) answer(e *fault.Error) *fault.Error {
	if a == atLogin {
		return e
	}
	return fault.New(fault.Unprocessable, e.Code, e.Message).With(e.Fields...)
}

// proveSecondFactor takes a code, once, and reports whether the user has a second
// factor at all: without one, nothing is asked for.
func (s *Service) proveSecondFactor(ctx context.Context, tx *store.Tx, user *ent.User, code string, at asking) (bool, error) {
	enrolled, err := s.confirmedFactor(ctx, tx.Client, user.ID)
	if err != nil || enrolled == nil {
		return false, err
	}
	if code == "" {
		return false, at.answer(errOTPRequired)
	}
	// A recovery code has 130 random bits: it can't be guessed and does not count, so
	// that it is left to an owner for whom others have used up the rate of codes.
	if totp.IsRecoveryCode(code) {
		return true, s.useRecoveryCode(ctx, tx, user, code, at)
	}
	if err := s.slowCodes(ctx, tx, user, at); err != nil {
		return false, err
	}
	return true, s.useCode(ctx, tx, enrolled, code, at)
}

// confirmedFactor returns a user's authenticator, or nil.
func (s *Service) confirmedFactor(ctx context.Context, client *ent.Client, user uuid.UUID) (*ent.Authenticator, error) {
	found, err := client.Authenticator.Query().
		Where(authenticator.UserID(user), authenticator.ConfirmedAtNotNil()).Only(ctx)
	switch {
	case store.IsNotFound(err):
		return nil, nil //nolint:nilnil // No second factor is an ordinary answer here.
	case err != nil:
		return nil, fmt.Errorf("look for the second factor: %w", err)
	}
	return found, nil
}

// HasSecondFactor reports whether a user's logins are proven by a second factor.
func (s *Service) HasSecondFactor(ctx context.Context, user uuid.UUID) (bool, error) {
	found, err := s.confirmedFactor(ctx, s.store.Ent, user)
	return found != nil, err
}

// useCode takes a code of an app. Two at once with the same code: the row's lock
// lets one of them through.
func (s *Service) useCode(ctx context.Context, tx *store.Tx, enrolled *ent.Authenticator, code string, at asking) error {
	secret, err := s.factors.Open(enrolled.ID.String(), enrolled.SealedSecret)
	if err != nil {
		return fmt.Errorf("open the second factor: %w", err)
	}
	step, ok := totp.Verify(string(secret), code, mixin.Now(), enrolled.LastStep)
	if !ok {
		return at.answer(errOTPInvalid)
	}
	n, err := tx.Authenticator.Update().
		Where(authenticator.ID(enrolled.ID), authenticator.LastStepLT(step)).SetLastStep(step).Save(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("use the code: %w", err)
	case n == 0:
		return at.answer(errOTPInvalid)
	}
	return nil
}

func (s *Service) useRecoveryCode(ctx context.Context, tx *store.Tx, user *ent.User, code string, at asking) error {
	n, err := tx.RecoveryCode.Update().
		Where(recoverycode.UserID(user.ID), recoverycode.CodeHash(totp.HashRecoveryCode(code)), recoverycode.UsedAtIsNil()).
		SetUsedAt(mixin.Now()).Save(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("use the recovery code: %w", err)
	case n == 0:
		return at.answer(errOTPInvalid)
	}
	err = audit.Insert(ctx, tx, audit.Event{Action: audit.RecoveryCodeUsed, EntityType: "user", EntityID: user.ID, Actor: user.ID})
	if err != nil {
		return err
	}
	return s.notify(ctx, tx, user, mail.RecoveryCodeUsed)
}

// Enrolment is the secret of an app that is being added, as text and as a URI.
type Enrolment struct{ Secret, URI string }

// StartTOTP makes a secret for an authenticator app. It counts once a code was
// confirmed; until then starting again replaces it.
func (s *Service) StartTOTP(ctx context.Context, plain string) (Enrolment, error) {
	user, err := s.confirm(ctx, "/password", plain)
	if err != nil {
		return Enrolment{}, err
	}
	secret, id := totp.NewSecret(), mixin.NewID()
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := lockCaller(ctx, tx, user.ID); err != nil {
			return err
		}
		switch enrolled, err := s.confirmedFactor(ctx, tx.Client, user.ID); {
		case err != nil:
			return err
		case enrolled != nil:
			return errFactorOn
		}
		_, err := tx.Authenticator.Delete().Where(authenticator.UserID(user.ID), authenticator.ConfirmedAtIsNil()).Exec(ctx)
		if err != nil {
			return fmt.Errorf("replace the second factor: %w", err)
		}
		err = tx.Authenticator.Create().
			SetID(id).SetUserID(user.ID).SetSealedSecret(s.factors.Seal(id.String(), []byte(secret))).Exec(ctx)
		if err != nil {
			return fmt.Errorf("start the second factor: %w", err)
		}
		return audit.Insert(ctx, tx, audit.Event{Action: audit.SecondFactorStarted, EntityType: "user", EntityID: user.ID})
	})
	if err != nil {
		return Enrolment{}, err
	}
	return Enrolment{Secret: secret, URI: totp.URI(issuer, user.Username, secret)}, nil
}

// ConfirmTOTP takes a first code of an app and answers with recovery codes. The
// present session counts as proven; the others end, since nobody has proven them.
func (s *Service) ConfirmTOTP(ctx context.Context, code string) ([]string, error) {
	caller, _ := authz.CallerFrom(ctx)
	user, err := s.Me(ctx)
	if err != nil {
		return nil, err
	}
	var codes []string
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := lockCaller(ctx, tx, user.ID); err != nil {
			return err
		}
		started, err := tx.Authenticator.Query().Where(authenticator.UserID(user.ID)).ForUpdate().Only(ctx)
		switch {
		case store.IsNotFound(err):
			return errFactorOff
		case err != nil:
			return fmt.Errorf("lock the second factor: %w", err)
		case started.ConfirmedAt != nil:
			return errFactorOn
		}
		if err := s.useCode(ctx, tx, started, code, inOperation); err != nil {
			return err
		}
		if err := tx.Authenticator.UpdateOneID(started.ID).SetConfirmedAt(mixin.Now()).Exec(ctx); err != nil {
			return fmt.Errorf("confirm the second factor: %w", err)
		}
		if err := tx.Session.UpdateOneID(caller.SessionID).SetSecondFactor(true).Exec(ctx); err != nil {
			return fmt.Errorf("prove the session: %w", err)
		}
		if _, err := s.endSessions(ctx, tx, user.ID, entsession.EndReasonRevoked, entsession.IDNEQ(caller.SessionID)); err != nil {
			return err
		}
		if codes, err = newRecoveryCodes(ctx, tx, user.ID); err != nil {
			return err
		}
		return s.factorChanged(ctx, tx, user, audit.SecondFactorOn, mail.SecondFactorOn)
	})
	return codes, err
}

// factorChanged records a change of the second factor, ends what was begun before it,
// and tells the user. The account is another version of itself then, since it shows
// whether there is one.
func (s *Service) factorChanged(ctx context.Context, tx *store.Tx, user *ent.User, action audit.Action, event mail.Event) error {
	if err := tx.User.UpdateOneID(user.ID).Exec(ctx); err != nil {
		return fmt.Errorf("touch the account: %w", err)
	}
	if err := endPending(ctx, tx, user.ID); err != nil {
		return err
	}
	if err := audit.Insert(ctx, tx, audit.Event{Action: action, EntityType: "user", EntityID: user.ID}); err != nil {
		return err
	}
	return s.notify(ctx, tx, user, event)
}

// newRecoveryCodes replaces a user's recovery codes.
func newRecoveryCodes(ctx context.Context, tx *store.Tx, user uuid.UUID) ([]string, error) {
	if _, err := tx.RecoveryCode.Delete().Where(recoverycode.UserID(user)).Exec(ctx); err != nil {
		return nil, fmt.Errorf("drop the recovery codes: %w", err)
	}
	codes, hashes := totp.NewRecoveryCodes()
	builders := make([]*ent.RecoveryCodeCreate, len(hashes))
	for i, hash := range hashes {
		builders[i] = tx.RecoveryCode.Create().SetUserID(user).SetCodeHash(hash)
	}
	if err := tx.RecoveryCode.CreateBulk(builders...).Exec(ctx); err != nil {
		return nil, fmt.Errorf("make recovery codes: %w", err)
	}
	return codes, nil
}

// RemoveTOTP takes the second factor away, for the password and a code.
func (s *Service) RemoveTOTP(ctx context.Context, plain, code string) error {
	return s.withFactor(ctx, plain, code, func(ctx context.Context, tx *store.Tx, user *ent.User) error {
		if _, err := tx.Authenticator.Delete().Where(authenticator.UserID(user.ID)).Exec(ctx); err != nil {
			return fmt.Errorf("remove the second factor: %w", err)
		}
		if _, err := tx.RecoveryCode.Delete().Where(recoverycode.UserID(user.ID)).Exec(ctx); err != nil {
			return fmt.Errorf("drop the recovery codes: %w", err)
		}
		// No session is proven any more by what is gone.
		if err := tx.Session.Update().Where(entsession.UserID(user.ID)).SetSecondFactor(false).Exec(ctx); err != nil {
			return fmt.Errorf("demote the sessions: %w", err)
		}
		s.sessions.Changed(ctx, tx, user.ID)
		return s.factorChanged(ctx, tx, user, audit.SecondFactorOff, mail.SecondFactorOff)
	})
}

// ReplaceRecoveryCodes makes new recovery codes, for the password and a code.
func (s *Service) ReplaceRecoveryCodes(ctx context.Context, plain, code string) ([]string, error) {
	var codes []string
	err := s.withFactor(ctx, plain, code, func(ctx context.Context, tx *store.Tx, user *ent.User) (err error) {
		if codes, err = newRecoveryCodes(ctx, tx, user.ID); err != nil {
			return err
		}
		return s.factorChanged(ctx, tx, user, audit.RecoveryCodesRenewed, mail.RecoveryCodesRenewed)
	})
	return codes, err
}

// withFactor runs fn for a caller who has a second factor and has proven both.
func (s *Service) withFactor(ctx context.Context, plain, code string, fn func(context.Context, *store.Tx, *ent.User) error) error {
	user, err := s.confirm(ctx, "/password", plain)
	if err != nil {
		return err
	}
	enrolled, err := s.HasSecondFactor(ctx, user.ID)
	switch {
	case err != nil:
		return err
	case !enrolled:
		return errFactorOff
	}
	return s.proven(ctx, user, code, fn)
}
