package account

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mailtoken"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/store"
)

// ChangeEmail mails a link to an address that the caller wants to have; the account
// gets it once the link was followed. The present address hears of it at once. A
// request ends the ones before it; one for the present address does nothing else, and
// ChangeEmail then reports false. Whether the address is taken only its owner learns,
// by mail.
func (s *Service) ChangeEmail(ctx context.Context, email, plain, code string) (mailed bool, err error) {
	confirmed, err := s.confirm(ctx, "/password", plain)
	if err != nil {
		return false, err
	}
	email = strings.TrimSpace(email)
	err = s.proven(ctx, confirmed, code, func(ctx context.Context, tx *store.Tx, user *ent.User) error {
		if err := endLinks(ctx, tx, user.ID, mailtoken.PurposeEQ(mailtoken.PurposeChangeEmail)); err != nil {
			return err
		}
		mailed = email != user.Email
		if !mailed {
			return audit.Insert(ctx, tx, audit.Event{Action: audit.EmailChangeWithdrawn, EntityType: "user", EntityID: user.ID})
		}
		return s.requestEmail(ctx, tx, user, email)
	})
	return mailed, err
}

// requestEmail opens the link to a new address, on record, and tells the old one.
func (s *Service) requestEmail(ctx context.Context, tx *store.Tx, user *ent.User, email string) error {
	id, err := openLink(ctx, tx, user.ID, email, mailtoken.PurposeChangeEmail)
	if err != nil {
		return err
	}
	change, err := changeOf(user.Email, email)
	if err != nil {
		return err
	}
	err = audit.Insert(ctx, tx, audit.Event{
		Action: audit.EmailChangeRequested, EntityType: "user", EntityID: user.ID, Changes: map[string]audit.Change{"email": change},
	})
	if err != nil {
		return err
	}
	if err := s.notify(ctx, tx, user, mail.EmailChangeRequested); err != nil {
		return err
	}
	req := reqctx.From(ctx)
	return tx.Enqueue(ctx, RequestArgs{
		Purpose: mailtoken.PurposeChangeEmail, Email: email, UserID: &user.ID, TokenID: &id,
		RequestID: req.ID, Address: req.Address, Device: req.UserAgent,
	}, nil)
}

func changeOf(before, after string) (c audit.Change, err error) {
	if c.Before, err = json.Marshal(before); err != nil {
		return c, fmt.Errorf("encode a change: %w", err)
	}
	if c.After, err = json.Marshal(after); err != nil {
		return c, fmt.Errorf("encode a change: %w", err)
	}
	return c, nil
}

// takeEmail gives a locked account the address that a token has proven.
func (s *Service) takeEmail(ctx context.Context, tx *store.Tx, user *ent.User, proven *ent.MailToken) error {
	if err := s.notify(ctx, tx, user, mail.EmailChanged); err != nil { // To the old address.
		return err
	}
	err := tx.User.UpdateOne(user).SetEmail(proven.Email).SetEmailVerifiedAt(mixin.Now()).Exec(ctx)
	switch {
	case store.IsUnique(err, "user_email"):
		return errEmailTaken
	case err != nil:
		return fmt.Errorf("change the address: %w", err)
	}
	// What was mailed to the old address has no power any more.
	if err := endPending(ctx, tx, user.ID); err != nil {
		return err
	}
	return audit.Insert(ctx, tx, audit.Event{Action: audit.EmailChanged, EntityType: "user", EntityID: user.ID, Actor: user.ID})
}
