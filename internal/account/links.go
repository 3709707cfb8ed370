package account

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/authenticator"
	"github.com/picaspot/picaspot/ent/mailtoken"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/ent/predicate"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

// How long the links in mails work, from when the mail is sent.
const (
	verificationTTL = 24 * time.Hour
	resetTTL        = time.Hour
	emailChangeTTL  = time.Hour
	// unsentTTL is how long a mail with a link may wait until it can be sent.
	unsentTTL = 24 * time.Hour
)

var errMailToken = fault.New(fault.Unprocessable, "mail_token_invalid", "The link is not valid, was used before, or has expired.").
	With(fault.Field{Pointer: "/token", Code: "invalid", Message: "Ask for a new mail."})

// link is the link of a mail: what its token is for, how long it works, and the page
// that takes it.
type link struct {
	purpose mailtoken.Purpose
	ttl     time.Duration
	page    string
}

// links are the mails with a link that takes a token.
var links = map[string]link{
	mail.VerifyEmail:   {mailtoken.PurposeVerifyEmail, verificationTTL, "/verify-email"},
	mail.EmailChange:   {mailtoken.PurposeChangeEmail, emailChangeTTL, "/verify-email"},
	mail.PasswordReset: {mailtoken.PurposeResetPassword, resetTTL, "/reset-password"},
}

// openLink adds the row of a link whose mail is not sent yet, and returns its id. The
// hash is that of a token that is in no mail: [Service.linkToken] replaces it.
func openLink(ctx context.Context, tx *store.Tx, user uuid.UUID, email string, purpose mailtoken.Purpose) (uuid.UUID, error) {
	id := mixin.NewID()
	_, hash := token.NewOpaque()
	err := tx.MailToken.Create().
		SetID(id).SetUserID(user).SetEmail(email).SetPurpose(purpose).
		SetTokenHash(hash).SetExpiresAt(mixin.Now().Add(unsentTTL)).Exec(ctx)
	if err != nil {
		return uuid.Nil, fmt.Errorf("open a link: %w", err)
	}
	return id, nil
}

// isOpen reports whether a link has neither been followed nor ended nor expired.
func isOpen(now time.Time) predicate.MailToken {
	return mailtoken.And(mailtoken.UsedAtIsNil(), mailtoken.ExpiresAtGT(now))
}

// linkToken makes the token of a mail that is about to be sent. It reports false when
// the link was ended while the mail waited. A second try makes another token, which
// takes the place of the first.
func (s *Service) linkToken(ctx context.Context, args MailArgs, l link) (plain string, open bool, err error) {
	plain, hash := token.NewOpaque()
	now := mixin.Now()
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		id := args.TokenID
		if id == nil { // A registration, or a job of a release that opened no link before.
			made, err := openLink(ctx, tx, *args.UserID, args.To, l.purpose)
			if err != nil {
				return err
			}
			id = &made
		}
		n, err := tx.MailToken.Update().
			Where(mailtoken.ID(*id), mailtoken.UserID(*args.UserID), mailtoken.PurposeEQ(l.purpose), isOpen(now)).
			SetTokenHash(hash).SetExpiresAt(now.Add(l.ttl)).Save(ctx)
		open = n > 0
		return err
	})
	if err != nil {
		return "", false, fmt.Errorf("make a mail token: %w", err)
	}
	return plain, open, nil
}

// useMailToken takes the token of a mail, once, for one of the purposes. It returns it
// with its account, which stays locked until the transaction ends.
func useMailToken(ctx context.Context, tx *store.Tx, plain string, purposes ...mailtoken.Purpose) (*ent.MailToken, *ent.User, error) {
	found, err := tx.MailToken.Query().
		Where(mailtoken.TokenHash(token.HashOpaque(plain)), mailtoken.PurposeIn(purposes...)).Only(ctx)
	switch {
	case store.IsNotFound(err):
		return nil, nil, errMailToken
	case err != nil:
		return nil, nil, fmt.Errorf("find the mail token: %w", err)
	}
	// The account before the token, as in everything that ends links.
	user, err := lock(ctx, tx, found.UserID)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return nil, nil, errMailToken
	case err != nil:
		return nil, nil, err
	}
	now := mixin.Now()
	// The hash once more: another try of the mail may have replaced it.
	n, err := tx.MailToken.Update().Where(mailtoken.ID(found.ID), mailtoken.TokenHash(found.TokenHash), isOpen(now)).
		SetUsedAt(now).SetUsedFrom(reqctx.From(ctx).Address).Save(ctx)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("use the mail token: %w", err)
	case n == 0:
		return nil, nil, errMailToken
	}
	return found, user, nil
}

// endPending ends what was begun for an account and not finished: the open links of
// mails, also where the mail is not sent yet, and an authenticator app that was not
// confirmed. It is part of every event after which earlier proofs do not count any
// more: another password, address or second factor, a logout everywhere, a suspension,
// the account's deletion. The account has to be locked, so that nothing is begun at the
// same time by a request that was let in before.
func endPending(ctx context.Context, tx *store.Tx, user uuid.UUID) error {
	if err := endLinks(ctx, tx, user); err != nil {
		return err
	}
	_, err := tx.Authenticator.Delete().Where(authenticator.UserID(user), authenticator.ConfirmedAtIsNil()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("end the enrolment of an app: %w", err)
	}
	return nil
}

// endLinks ends a user's open links, all or those that where says. Served by
// mailtoken_user_id.
func endLinks(ctx context.Context, tx *store.Tx, user uuid.UUID, where ...predicate.MailToken) error {
	err := tx.MailToken.Update().Where(append(where, mailtoken.UserID(user), mailtoken.UsedAtIsNil())...).
		SetUsedAt(mixin.Now()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("end the links of mails: %w", err)
	}
	return nil
}
