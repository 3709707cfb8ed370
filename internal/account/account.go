// Package account is about accounts: registration, proof of an address, login
// and what a session may still do.
package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/password"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

var errNotFound = fault.New(fault.NotFound, "not_found", "There is no such account.")

// Config of accounts.
type Config struct {
	// PublicURL is where people reach the server; links in mails start with it.
	PublicURL string
	// SessionTTL is how long a session lasts at most.
	SessionTTL time.Duration
}

// Service does what can be done with accounts.
type Service struct {
	store  *store.Store
	hasher *password.Hasher
	tokens *token.Authority
	mailer *mail.Sender
	config Config
}

// NewService makes the service.
func NewService(s *store.Store, h *password.Hasher, t *token.Authority, m *mail.Sender, c Config) *Service {
	return &Service{store: s, hasher: h, tokens: t, mailer: m, config: c}
}

// Get returns a living account or [fault.NotFound].
func (s *Service) Get(ctx context.Context, id uuid.UUID) (*ent.User, error) {
	found, err := s.store.Ent.User.Get(ctx, id)
	if store.IsNotFound(err) {
		return nil, errNotFound
	}
	return found, err
}

var errSessionEnded = fault.New(fault.Unauthenticated, "unauthenticated", "The session has ended. Log in again.")

// Authenticate tells who an access token speaks for: its session has not ended
// and its account is active. The role is the account's present one, whatever it
// was when the token was made. A token that does not hold is a
// [fault.Unauthenticated], a database that is away a [fault.Unavailable].
func (s *Service) Authenticate(ctx context.Context, accessToken string) (authz.Caller, error) {
	claims, err := s.tokens.Verify(accessToken)
	if err != nil {
		return authz.Caller{}, err
	}
	caller := authz.Caller{UserID: claims.Subject, SessionID: claims.SessionID}
	// Two look-ups by primary key.
	err = s.store.Pool.QueryRow(ctx, `
SELECT u.role FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.id = $1 AND s.user_id = $2 AND s.ended_at IS NULL AND s.expires_at > now()
  AND u.deleted_at IS NULL AND u.status = 'active'`, claims.SessionID, claims.Subject).Scan(&caller.Role)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return authz.Caller{}, errSessionEnded
	case err != nil:
		// This goes around the handlers' exit, where others are classified.
		return authz.Caller{}, store.Classify(fmt.Errorf("look up the session: %w", err))
	}
	return caller, nil
}
