// Package account is about accounts: registration, proof of an address, login,
// sessions, second factors, and what becomes of an account.
package account

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/password"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/ratelimit"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/seal"
	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

var errNotFound = fault.New(fault.NotFound, "not_found", "There is no such account.")

// Lifetime of a session: it ends when it was not used for Idle, and after
// Absolute in any case.
type Lifetime struct{ Idle, Absolute time.Duration }

// Config of accounts.
type Config struct {
	// PublicURL is where people reach the server; links in mails start with it.
	PublicURL string
	// Secret is the installation's; keys of second factors and refresh tokens are
	// derived from it.
	Secret []byte
	// Session is the lifetime of ordinary sessions, Remembered of those that were
	// asked to last.
	Session, Remembered Lifetime
	// LoginRate bounds the attempts at one account from addresses that are not
	// known to be its owner's; OTPRate the codes that are tried at one second factor;
	// MailRate the mails that strangers can cause to one address.
	LoginRate, OTPRate, MailRate ratelimit.Rate
	// Retention is how long somebody who deleted their account can have it back by
	// logging in.
	Retention time.Duration
}

// Service does what can be done with accounts.
type Service struct {
	store    *store.Store
	hasher   *password.Hasher
	tokens   *token.Authority
	refresh  *token.Refresher
	factors  *seal.Sealer
	sessions *session.Registry
	limiter  *ratelimit.Limiter
	policy   *rbac.Policy
	pictures *picture.Gallery
	mailer   *mail.Sender
	cursors  *page.Codec
	config   Config
}

// Parts are what accounts are built on.
type Parts struct {
	Store    *store.Store
	Hasher   *password.Hasher
	Tokens   *token.Authority
	Sessions *session.Registry
	Limiter  *ratelimit.Limiter
	Policy   *rbac.Policy
	Pictures *picture.Gallery
	Mailer   *mail.Sender
	Cursors  *page.Codec
}

// factorPurpose separates the key of second factors from others of the same secret.
const factorPurpose = "picaspot totp secret v1"

// NewService makes the service.
func NewService(p Parts, c Config) (*Service, error) {
	refresh, err := token.NewRefresher(c.Secret)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	factors, err := seal.New(c.Secret, factorPurpose)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return &Service{
		store: p.Store, hasher: p.Hasher, tokens: p.Tokens, refresh: refresh, factors: factors, sessions: p.Sessions,
		limiter: p.Limiter, policy: p.Policy, pictures: p.Pictures, mailer: p.Mailer, cursors: p.Cursors, config: c,
	}, nil
}

// Get returns a living account or [fault.NotFound].
func (s *Service) Get(ctx context.Context, id uuid.UUID) (*ent.User, error) {
	found, err := s.store.Ent.User.Get(ctx, id)
	if store.IsNotFound(err) {
		return nil, errNotFound
	}
	return found, err
}

// lock returns a living account, locked until the transaction ends, or [fault.NotFound].
func lock(ctx context.Context, tx *store.Tx, id uuid.UUID) (*ent.User, error) {
	found, err := tx.User.Query().Where(entuser.ID(id)).ForUpdate().Only(ctx)
	switch {
	case store.IsNotFound(err):
		return nil, errNotFound
	case err != nil:
		return nil, fmt.Errorf("lock the account: %w", err)
	}
	return found, nil
}

// Me returns the caller's account.
func (s *Service) Me(ctx context.Context) (*ent.User, error) {
	caller, _ := authz.CallerFrom(ctx)
	return s.Get(ctx, caller.UserID)
}

// FindByEmail returns the living account with this address, or [fault.NotFound].
func (s *Service) FindByEmail(ctx context.Context, email string) (*ent.User, error) {
	user, err := s.store.Ent.User.Query().Where(entuser.Email(email)).Only(ctx)
	if store.IsNotFound(err) {
		return nil, errNotFound
	}
	return user, err
}
