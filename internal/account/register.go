package account

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mailtoken"
	"github.com/picaspot/picaspot/ent/mixin"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/password"
	"github.com/picaspot/picaspot/internal/store"
)

// productName is a word that everybody would guess in a password.
const productName = "picaspot"

// Registration is what a new account is made of.
type Registration struct {
	Username string
	Email    string
	Password string
}

// Register creates an account that can log in once its address is verified.
// Neither the answer nor the time that it takes tell whether the address or the
// name is taken: all cases hash a password and enqueue a mail, and only the
// address's owner learns which it was. An address that got too many mails already
// gets none, in all cases; a new account can ask for its own again later. A weak
// password is unprocessable.
func (s *Service) Register(ctx context.Context, in Registration) error {
	in.Email = strings.TrimSpace(in.Email)
	if faults := password.Check("/password", in.Password, in.Username, in.Email, productName); len(faults) > 0 {
		return fault.New(fault.Unprocessable, "password_weak", faults[0].Message).With(faults...)
	}
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return err
	}
	allowed := s.mayMail(ctx, "registration", in.Email)
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		args := MailArgs{To: in.Email, Username: in.Username}
		id, template, err := s.insertUser(ctx, tx, in, hash)
		if err != nil {
			return err
		}
		args.Template = template
		switch template {
		case mail.VerifyEmail:
			args.UserID = &id
		case mail.AccountExists:
			args.Username = "" // The name was made up by somebody who may not be the owner.
		}
		if !allowed {
			return nil
		}
		return tx.Enqueue(ctx, args, nil)
	})
}

// insertUser creates the account unless its address or name is taken, and names
// the mail that tells the address's owner which it was.
func (s *Service) insertUser(ctx context.Context, tx *store.Tx, in Registration, hash string) (uuid.UUID, string, error) {
	// One registration of a name or an address at a time: the second sees the first.
	for _, key := range []string{"email:" + strings.ToLower(in.Email), "name:" + strings.ToLower(in.Username)} {
		if _, err := tx.ExecContext(ctx, "-- name: account_lock_registration\nSELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key); err != nil {
			return uuid.Nil, "", fmt.Errorf("lock the registration: %w", err)
		}
	}
	switch taken, err := tx.User.Query().Where(entuser.Email(in.Email)).Exist(ctx); {
	case err != nil:
		return uuid.Nil, "", fmt.Errorf("look for the address: %w", err)
	case taken:
		return uuid.Nil, mail.AccountExists, decoy(ctx, tx, hash)
	}
	switch taken, err := tx.User.Query().Where(entuser.Username(in.Username)).Exist(ctx); {
	case err != nil:
		return uuid.Nil, "", fmt.Errorf("look for the name: %w", err)
	case taken:
		return uuid.Nil, mail.UsernameTaken, decoy(ctx, tx, hash)
	}
	user, err := tx.User.Create().
		SetUsername(in.Username).SetEmail(in.Email).SetPasswordHash(hash).SetRole(authz.DefaultRole).Save(ctx)
	if err != nil {
		return uuid.Nil, "", fmt.Errorf("create the account: %w", err)
	}
	return user.ID, mail.VerifyEmail, nil
}

// decoy costs what creating the account would have cost, and leaves nothing.
func decoy(ctx context.Context, tx *store.Tx, hash string) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT decoy"); err != nil {
		return fmt.Errorf("decoy: %w", err)
	}
	name := rand.Text()
	err := tx.User.Create().
		SetUsername(name).SetEmail(name + "@invalid").SetPasswordHash(hash).SetRole(authz.DefaultRole).Exec(ctx)
	if err != nil {
		return fmt.Errorf("decoy: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT decoy"); err != nil {
		return fmt.Errorf("decoy: %w", err)
	}
	return nil
}

// VerifyEmail takes the token of a mail, once: the new account can log in from
// then on, or the account has its new address. An address that somebody else has
// taken since is a [fault.Conflict].
func (s *Service) VerifyEmail(ctx context.Context, plain string) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, user, err := useMailToken(ctx, tx, plain, mailtoken.PurposeVerifyEmail, mailtoken.PurposeChangeEmail)
		if err != nil {
			return err
		}
		if found.Purpose == mailtoken.PurposeChangeEmail {
			return s.takeEmail(ctx, tx, user, found)
		}
		// The address may have been proven another way since the mail was sent.
		err = tx.User.Update().
			Where(entuser.ID(found.UserID), entuser.Email(found.Email), entuser.EmailVerifiedAtIsNil()).
			SetEmailVerifiedAt(mixin.Now()).Exec(ctx)
		if err != nil {
			return fmt.Errorf("verify the address: %w", err)
		}
		return nil
	})
}
