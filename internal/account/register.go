package account

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mailtoken"
	"github.com/picaspot/picaspot/ent/mixin"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/password"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

// verificationTTL is how long a link that proves an address works.
const verificationTTL = 24 * time.Hour

var errMailToken = fault.New(fault.Unprocessable, "mail_token_invalid", "The link is not valid, was used before, or has expired.").
	With(fault.Field{Pointer: "/token", Code: "invalid", Message: "Ask for a new mail."})

// Registration is what a new account is made of.
type Registration struct {
	Username string
	Email    string
	Password string
}

// MailArgs are a job that sends one mail. It carries no secret: the link's token
// is made when the mail is sent.
type MailArgs struct {
	Template string `json:"template"`
	To       string `json:"to"`
	Username string `json:"username"`
	// UserID is the account that a token in the mail is for; nil for mails without one.
	UserID *uuid.UUID `json:"user_id,omitempty"`
}

// Kind names the job.
func (MailArgs) Kind() string { return "mail" }

// Register creates an account that can log in once its address is verified.
// Neither the answer nor the time that it takes tell whether the address or the
// name is taken: all cases hash a password and enqueue a mail, and only the
// address's owner learns which it was. A weak password is unprocessable.
func (s *Service) Register(ctx context.Context, in Registration) error {
	in.Email = strings.TrimSpace(in.Email)
	if faults := password.Check("/password", in.Password, in.Username, in.Email); len(faults) > 0 {
		return fault.New(fault.Unprocessable, "password_weak", faults[0].Message).With(faults...)
	}
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return err
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		args := MailArgs{To: in.Email, Username: in.Username}
		id, template, err := s.insertUser(ctx, tx, in, hash)
		if err != nil {
			return err
		}
		args.Template = template
		if id != uuid.Nil {
			args.UserID = &id
		}
		return tx.Enqueue(ctx, args, nil)
	})
}

// insertUser creates the account unless its address or name is taken, and names
// the mail that tells the address's owner which it was.
func (s *Service) insertUser(ctx context.Context, tx *store.Tx, in Registration, hash string) (uuid.UUID, string, error) {
	// One registration of a name or an address at a time: the second sees the first.
	for _, key := range []string{"email:" + strings.ToLower(in.Email), "name:" + strings.ToLower(in.Username)} {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key); err != nil {
			return uuid.Nil, "", fmt.Errorf("lock the registration: %w", err)
		}
	}
	switch taken, err := tx.User.Query().Where(entuser.Email(in.Email)).Exist(ctx); {
	case err != nil:
		return uuid.Nil, "", fmt.Errorf("look for the address: %w", err)
	case taken:
		return uuid.Nil, mail.AccountExists, nil
	}
	switch taken, err := tx.User.Query().Where(entuser.Username(in.Username)).Exist(ctx); {
	case err != nil:
		return uuid.Nil, "", fmt.Errorf("look for the name: %w", err)
	case taken:
		return uuid.Nil, mail.UsernameTaken, nil
	}
	user, err := tx.User.Create().
		SetUsername(in.Username).SetEmail(in.Email).SetPasswordHash(hash).SetRole(authz.DefaultRole).Save(ctx)
	if err != nil {
		return uuid.Nil, "", fmt.Errorf("create the account: %w", err)
	}
	return user.ID, mail.VerifyEmail, nil
}

// SendMail is the work of a [MailArgs] job. A retry makes a new token; the mail
// that arrives last has one that works, and so do earlier ones.
func (s *Service) SendMail(ctx context.Context, args MailArgs) error {
	data := mail.Data{To: args.To, Name: args.Username, Link: s.config.PublicURL}
	if args.UserID != nil {
		plain, err := s.newMailToken(ctx, *args.UserID, args.To)
		if err != nil {
			return err
		}
		data.Code, data.ValidFor = plain, verificationTTL
		data.Link = s.config.PublicURL + "/verify-email?token=" + url.QueryEscape(plain)
	}
	message, err := mail.Render(args.Template, data)
	if err != nil {
		return err
	}
	return s.mailer.Send(ctx, message)
}

func (s *Service) newMailToken(ctx context.Context, userID uuid.UUID, email string) (string, error) {
	plain, hash := token.NewOpaque()
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.MailToken.Create().
			SetUserID(userID).SetEmail(email).SetPurpose(mailtoken.PurposeVerifyEmail).
			SetTokenHash(hash).SetExpiresAt(mixin.Now().Add(verificationTTL)).Exec(ctx)
	})
	if err != nil {
		return "", fmt.Errorf("make a mail token: %w", err)
	}
	return plain, nil
}

// VerifyEmail takes the token of a mail, once: its account can log in from then on.
func (s *Service) VerifyEmail(ctx context.Context, plain string) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.MailToken.Query().
			Where(mailtoken.TokenHash(token.HashOpaque(plain)), mailtoken.PurposeEQ(mailtoken.PurposeVerifyEmail)).
			ForUpdate().Only(ctx)
		switch {
		case store.IsNotFound(err):
			return errMailToken
		case err != nil:
			return fmt.Errorf("find the mail token: %w", err)
		case found.UsedAt != nil || mixin.Now().After(found.ExpiresAt):
			return errMailToken
		}
		if err := tx.MailToken.UpdateOne(found).SetUsedAt(mixin.Now()).Exec(ctx); err != nil {
			return fmt.Errorf("use the mail token: %w", err)
		}
		// The address may have changed, or the account be gone, since the mail was sent.
		err = tx.User.Update().
			Where(entuser.ID(found.UserID), entuser.Email(found.Email), entuser.EmailVerifiedAtIsNil()).
			SetEmailVerifiedAt(mixin.Now()).Exec(ctx)
		if err != nil {
			return fmt.Errorf("verify the address: %w", err)
		}
		return nil
	})
}

// Create adds an account that can log in at once, as operators and the seed do.
func (s *Service) Create(ctx context.Context, in Registration, role string) (*ent.User, error) {
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	var user *ent.User
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		user, err = tx.User.Create().
			SetUsername(in.Username).SetEmail(in.Email).SetPasswordHash(hash).
			SetRole(role).SetEmailVerifiedAt(mixin.Now()).Save(ctx)
		return err
	})
	return user, err
}

// FindByEmail returns the living account with this address, or [fault.NotFound].
func (s *Service) FindByEmail(ctx context.Context, email string) (*ent.User, error) {
	user, err := s.store.Ent.User.Query().Where(entuser.Email(email)).Only(ctx)
	if store.IsNotFound(err) {
		return nil, errNotFound
	}
	return user, err
}
