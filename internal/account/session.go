package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/ent/predicate"
	entsession "github.com/picaspot/picaspot/ent/session"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/seal"
	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

// clientID is the OAuth 2.0 client of tokens that a password was exchanged for;
// RFC 9068 wants one named.
const clientID = "picaspot"

// refreshGrace is how long a refresh token that was used gets its successor
// again: an honest client may send it twice, from two tabs or after a lost answer.
const refreshGrace = 10 * time.Second

// successorPurpose separates the keys that seal a successor from others.
const successorPurpose = "picaspot refresh successor v1"

var (
	errRefreshToken = fault.New(fault.Unauthenticated, "refresh_token_invalid", "The refresh token is not valid any more. Log in again.")
	errNoSession    = fault.New(fault.NotFound, "not_found", "There is no such session.")
)

// Tokens are what a session lives on.
type Tokens struct {
	AccessToken string
	ExpiresIn   time.Duration
	// RefreshToken gets the next tokens, once.
	RefreshToken     string
	RefreshExpiresIn time.Duration
	// Remember tells that the session outlives the browser's.
	Remember bool
}

func (s *Service) lifetime(remember bool) Lifetime {
	if remember {
		return s.config.Remembered
	}
	return s.config.Session
}

// startSession starts a session of a user who has proven who they are.
func (s *Service) startSession(ctx context.Context, tx *store.Tx, user uuid.UUID, remember, secondFactor bool) (Tokens, error) {
	req, life, now, id := reqctx.From(ctx), s.lifetime(remember), mixin.Now(), mixin.NewID()
	refresh, hash := s.refresh.New(id)
	started, err := tx.Session.Create().
		SetID(id).SetUserID(user).SetUserAgent(req.UserAgent).SetIPAddress(req.Address).
		SetRemember(remember).SetSecondFactor(secondFactor).SetRefreshHash(hash).SetLastUsedAt(now).
		SetIdleExpiresAt(now.Add(min(life.Idle, life.Absolute))).SetExpiresAt(now.Add(life.Absolute)).Save(ctx)
	if err != nil {
		return Tokens{}, fmt.Errorf("start a session: %w", err)
	}
	err = audit.Insert(ctx, tx, audit.Event{Action: audit.Login, EntityType: "session", EntityID: id, Actor: user})
	if err != nil {
		return Tokens{}, err
	}
	return s.issue(started, refresh)
}

func (s *Service) issue(of *ent.Session, refresh string) (Tokens, error) {
	access, expiresAt, err := s.tokens.Issue(token.Claims{Subject: of.UserID, SessionID: of.ID, ClientID: clientID})
	if err != nil {
		return Tokens{}, fmt.Errorf("issue a token: %w", err)
	}
	return Tokens{
		AccessToken: access, ExpiresIn: time.Until(expiresAt).Round(time.Second),
		RefreshToken: refresh, RefreshExpiresIn: time.Until(of.IdleExpiresAt).Round(time.Second), Remember: of.Remember,
	}, nil
}

// Refresh exchanges a refresh token for new tokens and its successor (RFC 6749,
// section 6; rotation and reuse detection as RFC 9700, section 4.14.2). The token
// before the current one gets the current one again for [refreshGrace]; every
// other old token ends the session, because two parties have it.
func (s *Service) Refresh(ctx context.Context, presented string) (Tokens, error) {
	id, hash, ok := s.refresh.Session(presented)
	if !ok {
		return Tokens{}, errRefreshToken
	}
	var made Tokens
	reused := false
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, user, err := s.lockSession(ctx, tx, id)
		if err != nil {
			return err
		}
		now := mixin.Now()
		switch {
		case bytes.Equal(hash, found.RefreshHash):
			made, err = s.rotate(ctx, tx, found, presented, now)
			return err
		case bytes.Equal(hash, found.PreviousRefreshHash) && now.Sub(found.LastUsedAt) <= refreshGrace:
			current, err := openSuccessor(presented, found)
			if err != nil {
				return err
			}
			made, err = s.issue(found, current)
			return err
		default:
			reused = true
			return s.endReused(ctx, tx, user, found)
		}
	})
	if err == nil && reused {
		err = errRefreshToken
	}
	return made, err
}

// lockSession returns a session that goes on, locked, and its active user.
func (s *Service) lockSession(ctx context.Context, tx *store.Tx, id uuid.UUID) (*ent.Session, *ent.User, error) {
	now := mixin.Now()
	found, err := tx.Session.Query().Where(entsession.ID(id), goesOn(now)).ForUpdate().Only(ctx)
	switch {
	case store.IsNotFound(err):
		return nil, nil, errRefreshToken
	case err != nil:
		return nil, nil, fmt.Errorf("lock the session: %w", err)
	}
	user, err := tx.User.Query().Where(entuser.ID(found.UserID), entuser.StatusEQ(entuser.StatusActive)).Only(ctx)
	if store.IsNotFound(err) {
		return nil, nil, errRefreshToken
	}
	return found, user, err
}

// goesOn limits sessions to those that have neither ended nor expired.
func goesOn(now time.Time) predicate.Session {
	return entsession.And(entsession.EndedAtIsNil(), entsession.ExpiresAtGT(now), entsession.IdleExpiresAtGT(now))
}

func (s *Service) rotate(ctx context.Context, tx *store.Tx, found *ent.Session, presented string, now time.Time) (Tokens, error) {
	next, hash := s.refresh.New(found.ID)
	sealer, err := seal.New([]byte(presented), successorPurpose)
	if err != nil {
		return Tokens{}, fmt.Errorf("seal the refresh token: %w", err)
	}
	idle := now.Add(s.lifetime(found.Remember).Idle)
	if idle.After(found.ExpiresAt) {
		idle = found.ExpiresAt
	}
	rotated, err := tx.Session.UpdateOne(found).
		SetRefreshHash(hash).SetPreviousRefreshHash(found.RefreshHash).
		SetSealedRefreshToken(sealer.Seal(found.ID.String(), []byte(next))).
		SetLastUsedAt(now).SetIdleExpiresAt(idle).SetIPAddress(reqctx.From(ctx).Address).Save(ctx)
	if err != nil {
		return Tokens{}, fmt.Errorf("rotate the refresh token: %w", err)
	}
	return s.issue(rotated, next)
}

func openSuccessor(presented string, found *ent.Session) (string, error) {
	sealer, err := seal.New([]byte(presented), successorPurpose)
	if err != nil {
		return "", fmt.Errorf("open the refresh token: %w", err)
	}
	if len(found.SealedRefreshToken) == 0 {
		return "", errors.New("the session has no sealed refresh token")
	}
	current, err := sealer.Open(found.ID.String(), found.SealedRefreshToken)
	if err != nil {
		return "", fmt.Errorf("open the refresh token: %w", err)
	}
	return string(current), nil
}

// endReused ends the session of a refresh token that was used before.
func (s *Service) endReused(ctx context.Context, tx *store.Tx, user *ent.User, found *ent.Session) error {
	err := audit.Insert(ctx, tx, audit.Event{Action: audit.RefreshTokenReused, EntityType: "session", EntityID: found.ID, Actor: user.ID})
	if err != nil {
		return err
	}
	if _, err := s.endSessions(ctx, tx, user.ID, entsession.EndReasonRefreshTokenReused, entsession.ID(found.ID)); err != nil {
		return err
	}
	return s.notify(ctx, tx, user, mail.RefreshTokenReused)
}

// endSessions ends those sessions of a user that go on, and returns how many.
func (s *Service) endSessions(ctx context.Context, tx *store.Tx, user uuid.UUID, reason entsession.EndReason, where ...predicate.Session) (int, error) {
	now := mixin.Now()
	n, err := tx.Session.Update().
		Where(append(where, entsession.UserID(user), entsession.EndedAtIsNil())...).
		SetEndedAt(now).SetEndReason(reason).ClearSealedRefreshToken().Save(ctx)
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	s.sessions.Changed(ctx, tx, user)
	return n, nil
}

// Logout ends the caller's present session.
func (s *Service) Logout(ctx context.Context) error {
	caller, _ := authz.CallerFrom(ctx)
	return s.end(ctx, caller.SessionID, entsession.EndReasonLogout, audit.Logout)
}

// LogoutAll ends all of the caller's sessions, and what was begun in them.
func (s *Service) LogoutAll(ctx context.Context) error {
	caller, _ := authz.CallerFrom(ctx)
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		switch _, err := lock(ctx, tx, caller.UserID); {
		case fault.KindOf(err) == fault.NotFound: // Deleted since the request was let in.
			return session.ErrEnded
		case err != nil:
			return err
		}
		if err := endPending(ctx, tx, caller.UserID); err != nil {
			return err
		}
		if _, err := s.endSessions(ctx, tx, caller.UserID, entsession.EndReasonLogoutAll); err != nil {
			return err
		}
		return audit.Insert(ctx, tx, audit.Event{Action: audit.LogoutAll, EntityType: "user", EntityID: caller.UserID})
	})
}

// EndSession ends one of the caller's sessions. One that is not the caller's is a
// [fault.NotFound], as is one that has ended.
func (s *Service) EndSession(ctx context.Context, id uuid.UUID) error {
	return s.end(ctx, id, entsession.EndReasonRevoked, audit.SessionEnded)
}

func (s *Service) end(ctx context.Context, id uuid.UUID, reason entsession.EndReason, action audit.Action) error {
	caller, _ := authz.CallerFrom(ctx)
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		switch n, err := s.endSessions(ctx, tx, caller.UserID, reason, entsession.ID(id)); {
		case err != nil:
			return err
		case n == 0:
			return errNoSession
		}
		return audit.Insert(ctx, tx, audit.Event{Action: action, EntityType: "session", EntityID: id})
	})
}

var sessionList = page.List{
	Name: "sessions", Default: "last_used_at",
	SortBy: map[string]page.Column{
		"last_used_at": {Name: entsession.FieldLastUsedAt, Type: page.Time},
		"created_at":   {Name: entsession.FieldCreatedAt, Type: page.Time},
	},
}

// Sessions returns a page of the caller's sessions that go on.
func (s *Service) Sessions(ctx context.Context, params page.Params) (page.Result[*ent.Session], error) {
	caller, _ := authz.CallerFrom(ctx)
	q, err := sessionList.Resolve(params, s.cursors, caller.UserID)
	if err != nil {
		return page.Result[*ent.Session]{}, err
	}
	where := []predicate.Session{entsession.UserID(caller.UserID), goesOn(mixin.Now())}
	return page.Fetch(ctx, q, page.Source[*ent.Session]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.Session, error) {
			return s.store.Ent.Session.Query().Where(append(where, q.Where)...).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) {
			return s.store.Ent.Session.Query().Where(where...).Count(ctx)
		},
		Key: func(found *ent.Session, column string) any {
			switch column {
			case entsession.FieldID:
				return found.ID
			case entsession.FieldCreatedAt:
				return found.CreatedAt
			default:
				return found.LastUsedAt
			}
		},
	})
}
