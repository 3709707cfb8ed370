package account

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entattempt "github.com/picaspot/picaspot/ent/attempt"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	entsession "github.com/picaspot/picaspot/ent/session"
	entunlock "github.com/picaspot/picaspot/ent/unlock"
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
	Audit     []AuditEntry
}

// AuditEntry is a row of the audit log about a user.
type AuditEntry struct {
	ID         uuid.UUID
	CreatedAt  time.Time
	ActorID    *uuid.UUID
	Action     string
	EntityType string
	EntityID   *uuid.UUID
	Changes    json.RawMessage
	Address    string
	UserAgent  string
	RequestID  string
}

// auditSQL finds what a user did and what was done to the account; the indexes
// audit_log_actor and audit_log_entity serve it.
const auditSQL = `
SELECT id, created_at, actor_id, action, entity_type, entity_id, changes, ip_address, user_agent, request_id
FROM audit_logs WHERE actor_id = $1 OR (entity_type = 'user' AND entity_id = $1)
ORDER BY created_at, id`

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
	rows, err := s.store.Pool.Query(ctx, auditSQL, id)
	if err != nil {
		return out, fmt.Errorf("export the audit log: %w", err)
	}
	out.Audit, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AuditEntry])
	if err != nil {
		return out, fmt.Errorf("export the audit log: %w", err)
	}
	return out, nil
}
