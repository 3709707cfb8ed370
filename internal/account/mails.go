package account

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mailtoken"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/ratelimit"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

// How long the links in mails work.
const (
	verificationTTL = 24 * time.Hour
	resetTTL        = time.Hour
	emailChangeTTL  = time.Hour
)

var errMailToken = fault.New(fault.Unprocessable, "mail_token_invalid", "The link is not valid, was used before, or has expired.").
	With(fault.Field{Pointer: "/token", Code: "invalid", Message: "Ask for a new mail."})

// MailArgs are a job that sends one mail. It carries no secret: the link's token
// is made when the mail is sent.
type MailArgs struct {
	Template string `json:"template"`
	To       string `json:"to"`
	Username string `json:"username"`
	// UserID is the account that a token in the mail is for; nil for mails without one.
	UserID *uuid.UUID `json:"user_id,omitempty"`
	// Of a security notice: what happened, when, and from where.
	Event   mail.Event `json:"event,omitempty"`
	At      time.Time  `json:"at,omitzero"`
	Address string     `json:"address,omitempty"`
	Device  string     `json:"device,omitempty"`
}

// Kind names the job.
func (MailArgs) Kind() string { return "mail" }

// RequestArgs are a job that answers a request for a mail: whether there is an
// account that gets it is found out there, so that whoever asked can't tell, not
// even by the time that the answer took.
type RequestArgs struct {
	Purpose mailtoken.Purpose `json:"purpose"`
	Email   string            `json:"email"`
	// UserID is the account that wants the address, for a change of address.
	UserID *uuid.UUID `json:"user_id,omitempty"`
}

// Kind names the job.
func (RequestArgs) Kind() string { return "mail_request" }

// RequestVerification mails the link that proves an address again, if there is an
// account that waits for it.
func (s *Service) RequestVerification(ctx context.Context, email string) error {
	return s.request(ctx, RequestArgs{Purpose: mailtoken.PurposeVerifyEmail, Email: email})
}

// RequestPasswordReset mails a link to set a new password, if there is an account.
func (s *Service) RequestPasswordReset(ctx context.Context, email string) error {
	return s.request(ctx, RequestArgs{Purpose: mailtoken.PurposeResetPassword, Email: email})
}

// request enqueues what was asked for, unless that address got too many mails
// already, of which nobody is told: it is not the asker's affair.
func (s *Service) request(ctx context.Context, args RequestArgs) error {
	if !s.mayMail(ctx, args.Email) {
		return nil
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.Enqueue(ctx, args, nil) })
}

// mayMail counts a mail that a stranger causes to an address, whatever the case of
// its letters.
func (s *Service) mayMail(ctx context.Context, email string) bool {
	key := ratelimit.Key{Policy: "mail-recipient", Subject: anonymous("mail", email), Rate: s.config.MailRate}
	return s.limiter.Allow(ctx, key).Allowed
}

// anonymous is what is counted of a name or an address: however it is spelled, and
// not to be read where it is counted.
func anonymous(kind, text string) string {
	return kind + ":" + hex.EncodeToString(token.HashOpaque(strings.ToLower(strings.TrimSpace(text))))
}

// AnswerRequest is the work of a [RequestArgs] job.
func (s *Service) AnswerRequest(ctx context.Context, args RequestArgs) error {
	user, err := s.FindByEmail(ctx, args.Email)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	switch args.Purpose {
	case mailtoken.PurposeVerifyEmail:
		if user == nil || user.EmailVerifiedAt != nil {
			return nil
		}
		return s.SendMail(ctx, MailArgs{Template: mail.VerifyEmail, To: user.Email, Username: user.Username, UserID: &user.ID})
	case mailtoken.PurposeResetPassword:
		if user == nil {
			return nil
		}
		return s.SendMail(ctx, MailArgs{Template: mail.PasswordReset, To: user.Email, Username: user.Username, UserID: &user.ID})
	case mailtoken.PurposeChangeEmail:
		return s.answerEmailChange(ctx, args, user)
	default:
		return fmt.Errorf("no mail is for %q", args.Purpose)
	}
}

func (s *Service) answerEmailChange(ctx context.Context, args RequestArgs, taken *ent.User) error {
	if args.UserID == nil {
		return fmt.Errorf("a change to %q is of no account", args.Purpose)
	}
	if taken != nil && taken.ID != *args.UserID {
		return s.SendMail(ctx, MailArgs{Template: mail.AccountExists, To: taken.Email, Username: taken.Username})
	}
	user, err := s.Get(ctx, *args.UserID)
	if fault.KindOf(err) == fault.NotFound {
		return nil // Deleted since.
	}
	if err != nil {
		return err
	}
	return s.SendMail(ctx, MailArgs{Template: mail.EmailChange, To: args.Email, Username: user.Username, UserID: &user.ID})
}

// links are the mails with a token: its purpose, its life, and the page that takes it.
var links = map[string]struct {
	purpose mailtoken.Purpose
	ttl     time.Duration
	page    string
}{
	mail.VerifyEmail:   {mailtoken.PurposeVerifyEmail, verificationTTL, "/verify-email"},
	mail.EmailChange:   {mailtoken.PurposeChangeEmail, emailChangeTTL, "/verify-email"},
	mail.PasswordReset: {mailtoken.PurposeResetPassword, resetTTL, "/reset-password"},
}

// SendMail is the work of a [MailArgs] job. A retry makes a new token; the mail
// that arrives last has one that works, and so do earlier ones.
func (s *Service) SendMail(ctx context.Context, args MailArgs) error {
	data := mail.Data{
		To: args.To, Name: args.Username, Link: s.config.PublicURL,
		Event: args.Event, At: args.At, Address: args.Address, Device: args.Device,
	}
	link, ok := links[args.Template]
	switch {
	case ok && args.UserID != nil:
		plain, err := s.newMailToken(ctx, *args.UserID, args.To, link.purpose, link.ttl)
		if err != nil {
			return err
		}
		data.Code, data.ValidFor = plain, link.ttl
		data.Link = s.config.PublicURL + link.page + "?token=" + url.QueryEscape(plain)
	case args.Template == mail.AccountExists, args.Template == mail.SecurityNotice && args.Event.HelpedByReset():
		data.Link = s.config.PublicURL + "/forgot-password"
	}
	message, err := mail.Render(args.Template, data)
	if err != nil {
		return err
	}
	return s.mailer.Send(ctx, message)
}

func (s *Service) newMailToken(ctx context.Context, user uuid.UUID, email string, purpose mailtoken.Purpose, ttl time.Duration) (string, error) {
	plain, hash := token.NewOpaque()
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.MailToken.Create().
			SetUserID(user).SetEmail(email).SetPurpose(purpose).
			SetTokenHash(hash).SetExpiresAt(mixin.Now().Add(ttl)).Exec(ctx)
	})
	if err != nil {
		return "", fmt.Errorf("make a mail token: %w", err)
	}
	return plain, nil
}

// useMailToken takes the token of a mail, once, for one of the purposes.
func useMailToken(ctx context.Context, tx *store.Tx, plain string, purposes ...mailtoken.Purpose) (*ent.MailToken, error) {
	found, err := tx.MailToken.Query().
		Where(mailtoken.TokenHash(token.HashOpaque(plain)), mailtoken.PurposeIn(purposes...)).
		ForUpdate().Only(ctx)
	switch {
	case store.IsNotFound(err):
		return nil, errMailToken
	case err != nil:
		return nil, fmt.Errorf("find the mail token: %w", err)
	case found.UsedAt != nil || mixin.Now().After(found.ExpiresAt):
		return nil, errMailToken
	}
	err = tx.MailToken.UpdateOne(found).SetUsedAt(mixin.Now()).SetUsedFrom(reqctx.From(ctx).Address).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("use the mail token: %w", err)
	}
	return found, nil
}

// notify tells a user by mail what happened to the account's protection.
func (s *Service) notify(ctx context.Context, tx *store.Tx, user *ent.User, event mail.Event) error {
	req := reqctx.From(ctx)
	return tx.Enqueue(ctx, MailArgs{
		Template: mail.SecurityNotice, To: user.Email, Username: user.Username,
		Event: event, At: mixin.Now(), Address: req.Address, Device: req.UserAgent,
	}, nil)
}
