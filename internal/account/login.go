package account

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

// errBadCredentials is the one answer to every login that does not succeed: it
// tells nobody whether there is such an account, or in what state it is.
var errBadCredentials = fault.New(fault.Unauthenticated, "bad_credentials", "The name or the password is wrong, or the address is not verified yet.")

// clientID is the OAuth 2.0 client of tokens that a password was exchanged for;
// RFC 9068 wants one named.
const clientID = "picaspot"

// AccessToken is what a login answers with.
type AccessToken struct {
	Token     string
	ExpiresIn time.Duration
}

// Login starts a session for a user name or e-mail address and a password. It
// takes as long for an unknown user as for a known one: each costs one Argon2id.
func (s *Service) Login(ctx context.Context, identifier, plain string) (AccessToken, error) {
	user, err := s.find(ctx, identifier)
	if err != nil {
		return AccessToken{}, err
	}
	if user == nil {
		if err := s.hasher.VerifyDummy(ctx, plain); err != nil {
			return AccessToken{}, err
		}
		return AccessToken{}, s.loginFailed(ctx, nil)
	}
	ok, needsRehash, err := s.hasher.Verify(ctx, user.PasswordHash, plain)
	if err != nil {
		return AccessToken{}, err
	}
	if !ok || user.EmailVerifiedAt == nil || user.Status != entuser.StatusActive {
		return AccessToken{}, s.loginFailed(ctx, user)
	}
	rehashed := ""
	if needsRehash {
		if rehashed, err = s.hasher.Hash(ctx, plain); err != nil {
			return AccessToken{}, err
		}
	}
	return s.startSession(ctx, user, rehashed)
}

// find returns the living account with this name or address, or nil. A name
// can't contain an @, so the two never meet.
func (s *Service) find(ctx context.Context, identifier string) (*ent.User, error) {
	where := entuser.Username(identifier)
	if strings.Contains(identifier, "@") {
		where = entuser.Email(identifier)
	}
	user, err := s.store.Ent.User.Query().Where(where).Only(ctx)
	if store.IsNotFound(err) {
		return nil, nil //nolint:nilnil // No such account is an ordinary answer here.
	}
	return user, err
}

func (s *Service) startSession(ctx context.Context, user *ent.User, rehashed string) (AccessToken, error) {
	req := reqctx.From(ctx)
	var started *ent.Session
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		started, err = tx.Session.Create().
			SetUserID(user.ID).SetUserAgent(req.UserAgent).SetIPAddress(req.Address).
			SetExpiresAt(mixin.Now().Add(s.config.SessionTTL)).Save(ctx)
		if err != nil {
			return fmt.Errorf("start a session: %w", err)
		}
		if rehashed != "" {
			if err := tx.User.UpdateOneID(user.ID).SetPasswordHash(rehashed).Exec(ctx); err != nil {
				return fmt.Errorf("renew the password's hash: %w", err)
			}
		}
		return audit.Insert(ctx, tx, audit.Event{
			Action: audit.Login, EntityType: "session", EntityID: started.ID, Actor: user.ID,
		})
	})
	if err != nil {
		return AccessToken{}, err
	}
	issued, expiresAt, err := s.tokens.Issue(token.Claims{Subject: user.ID, SessionID: started.ID, ClientID: clientID})
	if err != nil {
		return AccessToken{}, fmt.Errorf("issue a token: %w", err)
	}
	return AccessToken{Token: issued, ExpiresIn: time.Until(expiresAt).Round(time.Second)}, nil
}

// loginFailed records the failure and returns the answer. A failure without an
// account is recorded too, so that both take the same way to the database.
func (s *Service) loginFailed(ctx context.Context, user *ent.User) error {
	event := audit.Event{Action: audit.LoginFailed, EntityType: "user"}
	if user != nil {
		event.EntityID = user.ID
	}
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return audit.Insert(ctx, tx, event)
	})
	if err != nil {
		return err
	}
	return errBadCredentials
}
