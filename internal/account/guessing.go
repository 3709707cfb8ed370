package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/ratelimit"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/store"
)

// slowDown counts an attempt at an account, whether or not there is such an
// account. What strangers use up does not lock the owner out: an address that is
// known to be the owner's has a rate of its own.
func (s *Service) slowDown(ctx context.Context, identifier string, user *ent.User) error {
	id := uuid.Nil
	if user != nil {
		id = user.ID
	}
	return s.slowStrangers(ctx, s.store.Ent, id, "login-account", s.config.LoginRate,
		anonymous("identifier", identifier), anonymous("owner", identifier+" "+reqctx.From(ctx).Address))
}

// slowCodes counts a code that is tried at a second factor: six digits can be guessed.
// Logins have the same two rates as for passwords. Each session has a rate of its own,
// since it was proven when it began: what is tried at the login does not keep the owner
// from changing the password.
func (s *Service) slowCodes(ctx context.Context, tx *store.Tx, user *ent.User, at asking) error {
	var err error
	if at == atLogin {
		err = s.slowStrangers(ctx, tx.Client, user.ID, "otp", s.config.OTPRate,
			"otp:"+user.ID.String(), anonymous("otp-owner", user.ID.String()+" "+reqctx.From(ctx).Address))
	} else {
		caller, _ := authz.CallerFrom(ctx)
		key := ratelimit.Key{Policy: "otp", Subject: "otp-session:" + caller.SessionID.String(), Rate: s.config.OTPRate}
		if result := s.limiter.Allow(ctx, key); !result.Allowed {
			err = tooManyAttempts(result.RetryAfter)
		}
	}
	if fault.KindOf(err) == fault.RateLimited {
		return &codesSpentError{err}
	}
	return err
}

// slowStrangers counts against a rate that all addresses share, and when that is used
// up against one of the request's address, if it is known to be the owner's.
func (s *Service) slowStrangers(ctx context.Context, client *ent.Client, user uuid.UUID, policy string, rate ratelimit.Rate, shared, own string) error {
	result := s.limiter.Allow(ctx, ratelimit.Key{Policy: policy, Subject: shared, Rate: rate})
	if result.Allowed {
		return nil
	}
	known, err := knowsAddress(ctx, client, user)
	if err != nil {
		return err
	}
	if known {
		result = s.limiter.Allow(ctx, ratelimit.Key{Policy: policy, Subject: own, Rate: rate})
		if result.Allowed {
			return nil
		}
	}
	return tooManyAttempts(result.RetryAfter)
}

func tooManyAttempts(wait time.Duration) error {
	return fault.New(fault.RateLimited, "too_many_attempts", "There were too many attempts. Try again later.").After(wait)
}

// knowsAddress reports whether a session of the account was used, or a link of a mail to
// it followed, from the request's address in the last three months. For no account it
// asks all the same. Served by session_user_id_last_used_at_id and mailtoken_user_id.
func knowsAddress(ctx context.Context, client *ent.Client, user uuid.UUID) (known bool, err error) {
	rows, err := client.QueryContext(ctx, `-- name: account_knows_address
SELECT EXISTS (SELECT FROM sessions WHERE user_id = $1 AND last_used_at > now() - interval '90 days' AND ip_address = $2)
  OR EXISTS (SELECT FROM mail_tokens WHERE user_id = $1 AND used_at > now() - interval '90 days' AND used_from = $2)`,
		user, reqctx.From(ctx).Address)
	if err != nil {
		return false, fmt.Errorf("look for the address: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := rows.Scan(&known); err != nil {
			return false, fmt.Errorf("look for the address: %w", err)
		}
	}
	return known, rows.Err()
}

// codesSpentError is the refusal of a code before it was looked at, since too many were
// tried.
type codesSpentError struct{ error }

// Unwrap returns the answer to the caller.
func (e *codesSpentError) Unwrap() error { return e.error }

// noticeRate is how often an owner is told that codes are guessed.
var noticeRate = ratelimit.Rate{Requests: 1, Period: time.Hour}

// wrongCodeRate is how many wrong codes an owner may have entered: half of what is taken
// at once, over a day, so that who guesses slowly is noticed too.
func (s *Service) wrongCodeRate() ratelimit.Rate {
	return ratelimit.Rate{Requests: (s.config.OTPRate.Requests + 1) / 2, Period: 24 * time.Hour}
}

// tellOfCodes takes the outcome of an operation that asked for password and code, and
// returns it. When wrong codes came too often with the right password it tells the
// owner, whose password another person knows, and the audit log.
func (s *Service) tellOfCodes(ctx context.Context, user *ent.User, outcome error) error {
	id := user.ID.String()
	var spent *codesSpentError
	switch {
	case errors.As(outcome, &spent):
	case errors.Is(outcome, errOTPInvalid), errors.Is(outcome, inOperation.answer(errOTPInvalid)):
		if s.limiter.Allow(ctx, ratelimit.Key{Policy: "otp-wrong", Subject: "otp-wrong:" + id, Rate: s.wrongCodeRate()}).Allowed {
			return outcome
		}
	default:
		return outcome
	}
	if !s.limiter.Allow(ctx, ratelimit.Key{Policy: "otp-notice", Subject: "otp-notice:" + id, Rate: noticeRate}).Allowed {
		return outcome
	}
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := audit.Insert(ctx, tx, audit.Event{Action: audit.CodesGuessed, EntityType: "user", EntityID: user.ID}); err != nil {
			return err
		}
		return s.notify(ctx, tx, user, mail.CodesGuessed)
	})
	if err != nil {
		return err
	}
	return outcome
}
