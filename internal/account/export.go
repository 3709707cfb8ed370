package account

import (
	"context"
	"encoding/json"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entattempt "github.com/picaspot/picaspot/ent/attempt"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	entsession "github.com/picaspot/picaspot/ent/session"
	entunlock "github.com/picaspot/picaspot/ent/unlock"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/authz"
)

// Export is all that is kept about a user, but for secrets.
type Export struct {
	User      *ent.User
	Sessions  []*ent.Session
	Areas     []*ent.Area
	Landmarks []*ent.Landmark
	Attempts  []*ent.Attempt
	Unlocks   []*ent.Unlock
	Audit     []auditlog.Entry
}

// Export gathers all that is kept about the caller (GDPR, articles 15 and 20).
func (s *Service) Export(ctx context.Context) (out Export, err error) {
	caller, _ := authz.CallerFrom(ctx)
	id, read := caller.UserID, s.store.Ent
	if out.User, err = s.Get(ctx, id); err != nil {
		return out, err
	}
	oldest := func(s *sql.Selector) { s.OrderBy(s.C("created_at"), s.C("id")) }
	if out.Sessions, err = read.Session.Query().Where(entsession.UserID(id)).Order(oldest).All(ctx); err != nil {
		return out, fmt.Errorf("export sessions: %w", err)
	}
	if out.Areas, err = read.Area.Query().Where(entarea.CreatedBy(id)).Order(oldest).All(ctx); err != nil {
		return out, fmt.Errorf("export areas: %w", err)
	}
	if out.Landmarks, err = read.Landmark.Query().Where(entlandmark.CreatedBy(id)).Order(oldest).All(ctx); err != nil {
		return out, fmt.Errorf("export landmarks: %w", err)
	}
	if out.Attempts, err = read.Attempt.Query().Where(entattempt.UserID(id)).Order(oldest).All(ctx); err != nil {
		return out, fmt.Errorf("export attempts: %w", err)
	}
	if out.Unlocks, err = read.Unlock.Query().Where(entunlock.UserID(id)).Order(oldest).All(ctx); err != nil {
		return out, fmt.Errorf("export unlocks: %w", err)
	}
	if out.Audit, err = auditlog.About(ctx, s.store, id); err != nil {
		return out, err
	}
	for i := range out.Audit {
		withoutOthers(&out.Audit[i], id)
	}
	return out, nil
}

// withoutOthers takes out of an entry what it tells of others: where somebody who
// did something to the account was, and what another account holds that the user
// did something to.
func withoutOthers(e *auditlog.Entry, user uuid.UUID) {
	if e.ActorID != nil && *e.ActorID != user {
		e.Address, e.UserAgent = "", ""
	}
	if e.EntityType == "user" && e.EntityID != nil && *e.EntityID != user {
		e.Changes = json.RawMessage("{}")
	}
}
