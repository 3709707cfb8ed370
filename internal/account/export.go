package account

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

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
	out.Audit, err = auditlog.About(ctx, s.store, id)
	return out, err
}
