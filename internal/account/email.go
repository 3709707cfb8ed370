package account

import (
	"context"
	"fmt"
	"strings"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mailtoken"
	"github.com/picaspot/picaspot/ent/mixin"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/store"
)

// ChangeEmail mails a link to an address that the caller wants to have; the
// account gets it once the link was followed. Whether the address is taken only
// its owner learns, by mail.
func (s *Service) ChangeEmail(ctx context.Context, email, plain, code string) error {
	user, err := s.confirm(ctx, "/password", plain)
	if err != nil {
		return err
	}
	args := RequestArgs{Purpose: mailtoken.PurposeChangeEmail, Email: strings.TrimSpace(email), UserID: &user.ID}
	return s.proven(ctx, user, code, func(ctx context.Context, tx *store.Tx) error {
		if !s.mayMail(ctx, args.Email) {
			return nil
		}
		return tx.Enqueue(ctx, args, nil)
	})
}

// takeEmail gives an account the address that a token has proven.
func (s *Service) takeEmail(ctx context.Context, tx *store.Tx, proven *ent.MailToken) error {
	user, err := tx.User.Query().Where(entuser.ID(proven.UserID)).ForUpdate().Only(ctx)
	switch {
	case store.IsNotFound(err):
		return errMailToken
	case err != nil:
		return fmt.Errorf("lock the account: %w", err)
	}
	if err := s.notify(ctx, tx, user, mail.EmailChanged); err != nil { // To the old address.
		return err
	}
	err = tx.User.UpdateOne(user).SetEmail(proven.Email).SetEmailVerifiedAt(mixin.Now()).Exec(ctx)
	switch {
	case store.IsUnique(err, "user_email"):
		return errEmailTaken
	case err != nil:
		return fmt.Errorf("change the address: %w", err)
	}
	// What was mailed to the old address has no power any more.
	err = tx.MailToken.Update().
		Where(mailtoken.UserID(user.ID), mailtoken.UsedAtIsNil()).SetUsedAt(mixin.Now()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("end the links in earlier mails: %w", err)
	}
	return audit.Insert(ctx, tx, audit.Event{Action: audit.EmailChanged, EntityType: "user", EntityID: user.ID, Actor: user.ID})
}
