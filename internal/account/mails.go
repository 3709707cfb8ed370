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
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/ratelimit"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

// MailArgs are a job that sends one mail. It carries no secret: the link's token
// is made when the mail is sent.
type MailArgs struct {
	Template string `json:"template"`
	To       string `json:"to"`
	Username string `json:"username"`
	// UserID is the account that a token in the mail is for; nil for mails without one.
	UserID *uuid.UUID `json:"user_id,omitempty"`
	// TokenID is the link that was opened for the mail. Once that has ended the mail is
	// not sent. It is nil where the link is opened when the mail is sent.
	TokenID *uuid.UUID `json:"token_id,omitempty"`
	// Of a security notice: what happened, when, and from where.
	Event   mail.Event `json:"event,omitempty"`
	At      time.Time  `json:"at,omitzero"`
	Address string     `json:"address,omitempty"`
	Device  string     `json:"device,omitempty"`
}

// Kind names the job.
func (MailArgs) Kind() string { return "mail" }

// RequestArgs are a job that answers a request for a mail: whether there is an
// account that gets it is found out there, so that the caller can't tell, not even by
// the time that the answer took.
type RequestArgs struct {
	Purpose mailtoken.Purpose `json:"purpose"`
	Email   string            `json:"email"`
	// UserID is the account that wants the address, for a change of address, and TokenID
	// the link that was opened with the request.
	UserID  *uuid.UUID `json:"user_id,omitempty"`
	TokenID *uuid.UUID `json:"token_id,omitempty"`
	// Where the request came from, for the audit log.
	RequestID string `json:"request_id,omitempty"`
	Address   string `json:"address,omitempty"`
	Device    string `json:"device,omitempty"`
}

// Kind names the job.
func (RequestArgs) Kind() string { return "mail_request" }

// RequestVerification mails the link that proves an address again, if there is an
// account that waits for it.
func (s *Service) RequestVerification(ctx context.Context, email string) error {
	return s.request(ctx, mailtoken.PurposeVerifyEmail, email)
}

// RequestPasswordReset mails a link to set a new password, if there is an account.
func (s *Service) RequestPasswordReset(ctx context.Context, email string) error {
	return s.request(ctx, mailtoken.PurposeResetPassword, email)
}

func (s *Service) request(ctx context.Context, purpose mailtoken.Purpose, email string) error {
	req := reqctx.From(ctx)
	args := RequestArgs{Purpose: purpose, Email: email, RequestID: req.ID, Address: req.Address, Device: req.UserAgent}
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.Enqueue(ctx, args, nil) })
}

// mayMail counts a mail that is about to leave. Each kind of mail has a rate of its
// own for each subject, so that one kind does not use up what another needs. A request
// that leads to no mail does not count.
func (s *Service) mayMail(ctx context.Context, kind, subject string) bool {
	key := ratelimit.Key{Policy: "mail-recipient", Subject: anonymous("mail:"+kind, subject), Rate: s.config.MailRate}
	return s.limiter.Allow(ctx, key).Allowed
}

// anonymous is what is counted of a name or an address: however it is spelled, and
// not to be read where it is counted.
func anonymous(kind, text string) string {
	return kind + ":" + hex.EncodeToString(token.HashOpaque(strings.ToLower(strings.TrimSpace(text))))
}

// AnswerRequest is the work of a [RequestArgs] job. A mail that the address got too
// often already is dropped without a word: that is not the caller's business.
func (s *Service) AnswerRequest(ctx context.Context, args RequestArgs) error {
	ctx = reqctx.With(ctx, reqctx.Request{ID: args.RequestID, Address: args.Address, UserAgent: args.Device})
	user, err := s.FindByEmail(ctx, args.Email)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	switch args.Purpose {
	case mailtoken.PurposeVerifyEmail:
		if user == nil || user.EmailVerifiedAt != nil {
			return nil
		}
		return s.mailLink(ctx, user, mail.VerifyEmail, audit.VerificationRequested)
	case mailtoken.PurposeResetPassword:
		if user == nil {
			return nil
		}
		return s.mailLink(ctx, user, mail.PasswordReset, audit.PasswordResetRequested)
	case mailtoken.PurposeChangeEmail:
		return s.answerEmailChange(ctx, args, user)
	default:
		return fmt.Errorf("no mail is for %q", args.Purpose)
	}
}

// mailLink records that a link was asked for, opens it, and has it mailed to the
// account's address. Earlier links stay valid: the client that asks need not be the owner's, and must
// not be able to end what the owner has in the mailbox.
func (s *Service) mailLink(ctx context.Context, user *ent.User, template string, action audit.Action) error {
	allowed := s.mayMail(ctx, template, user.Email)
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := audit.Insert(ctx, tx, audit.Event{Action: action, EntityType: "user", EntityID: user.ID}); err != nil {
			return err
		}
		if !allowed {
			return nil
		}
		id, err := openLink(ctx, tx, user.ID, user.Email, links[template].purpose)
		if err != nil {
			return err
		}
		return tx.Enqueue(ctx, MailArgs{Template: template, To: user.Email, Username: user.Username, UserID: &user.ID, TokenID: &id}, nil)
	})
}

// answerEmailChange mails the link to the address that an account wants to have, or
// tells the account that has it.
func (s *Service) answerEmailChange(ctx context.Context, args RequestArgs, taken *ent.User) error {
	if args.UserID == nil {
		return fmt.Errorf("a change to %q is of no account", args.Purpose)
	}
	user, err := s.Get(ctx, *args.UserID)
	if fault.KindOf(err) == fault.NotFound {
		return nil // Deleted since.
	}
	if err != nil {
		return err
	}
	if args.TokenID != nil {
		switch open, err := s.store.Ent.MailToken.Query().Where(mailtoken.ID(*args.TokenID), isOpen(mixin.Now())).Exist(ctx); {
		case err != nil:
			return fmt.Errorf("look for the link: %w", err)
		case !open:
			return nil
		}
	}
	// Counted for the account that asks and not for the recipient: others must not use
	// up what an owner needs to get a new address.
	if !s.mayMail(ctx, mail.EmailChange, user.ID.String()) {
		return nil
	}
	send := MailArgs{Template: mail.EmailChange, To: args.Email, Username: user.Username, UserID: &user.ID, TokenID: args.TokenID}
	if taken != nil && taken.ID != user.ID {
		send = MailArgs{Template: mail.AccountExists, To: taken.Email, Username: taken.Username}
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.Enqueue(ctx, send, nil) })
}

// SendMail is the work of a [MailArgs] job. A retry makes a new token: the mail that
// arrives last has the link that works.
func (s *Service) SendMail(ctx context.Context, args MailArgs) error {
	data := mail.Data{
		To: args.To, Name: args.Username, Link: s.config.PublicURL,
		Event: args.Event, At: args.At, Address: args.Address, Device: args.Device,
	}
	link, ok := links[args.Template]
	switch {
	case ok && args.UserID != nil:
		plain, open, err := s.linkToken(ctx, args, link)
		if err != nil || !open {
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

// notify tells a user by mail what happened to the account's protection.
func (s *Service) notify(ctx context.Context, tx *store.Tx, user *ent.User, event mail.Event) error {
	req := reqctx.From(ctx)
	return tx.Enqueue(ctx, MailArgs{
		Template: mail.SecurityNotice, To: user.Email, Username: user.Username,
		Event: event, At: mixin.Now(), Address: req.Address, Device: req.UserAgent,
	}, nil)
}
