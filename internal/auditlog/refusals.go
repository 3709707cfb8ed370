package auditlog

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/store"
)

// refusalTimeout bounds how long a refused request waits for its record.
const refusalTimeout = 5 * time.Second

// refusals are those of the present minute that are on record.
type refusals struct {
	mu     sync.Mutex
	minute time.Time
	seen   map[refusal]bool
}

type refusal struct {
	user       uuid.UUID
	permission authz.Permission
}

// first reports whether a refusal is the first of its kind in this minute.
func (r *refusals) first(key refusal, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(r.minute) {
		r.minute, r.seen = minute, map[refusal]bool{}
	}
	if r.seen[key] {
		return false
	}
	r.seen[key] = true
	return true
}

// isAdministrative tells the permissions whose refusal is worth a record: nobody
// asks for them by using an app.
func isAdministrative(p authz.Permission) bool { return p.Action() == "manage" || p == "audit:read" }

// Denied puts on record that a caller was refused something administrative: once a
// minute for each user and permission, on all replicas together, so that a flood of
// refusals does not fill the log. The request is refused whatever becomes of the
// record, so a failure is logged here.
func (s *Service) Denied(ctx context.Context, caller authz.Caller, permission authz.Permission) {
	if !isAdministrative(permission) || !s.refusals.first(refusal{caller.UserID, permission}, time.Now()) {
		return
	}
	// Hanging up does not keep a refusal off the record.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalTimeout)
	defer cancel()
	if err := s.recordRefusal(ctx, caller, permission); err != nil {
		slog.ErrorContext(ctx, "refusal not on record", "error", err, "user_id", caller.UserID, "permission", permission)
	}
}

// recordedSQL looks for the refusal's record within the minute; audit_log_actor
// serves it.
const recordedSQL = `-- name: auditlog_find_refusal
SELECT FROM audit_logs WHERE actor_id = $1 AND action = $2 AND changes->'permission'->>'after' = $3
  AND created_at >= date_trunc('minute', clock_timestamp())`

func (s *Service) recordRefusal(ctx context.Context, caller authz.Caller, permission authz.Permission) error {
	changes := map[string]audit.Change{}
	for name, value := range map[string]string{"permission": string(permission), "role": caller.Role} {
		text, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("refusal: %w", err)
		}
		changes[name] = audit.Change{After: text}
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// Replicas that refuse at the same time look one after the other.
		key := caller.UserID.String() + " " + string(permission)
		if _, err := tx.ExecContext(ctx, "-- name: auditlog_lock_refusal\nSELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key); err != nil {
			return fmt.Errorf("refusal: %w", err)
		}
		found, err := tx.ExecContext(ctx, recordedSQL, caller.UserID, string(audit.PermissionDenied), string(permission))
		if err != nil {
			return fmt.Errorf("refusal: %w", err)
		}
		if recorded, err := found.RowsAffected(); err != nil || recorded > 0 {
			return err
		}
		return audit.Insert(ctx, tx, audit.Event{
			Action: audit.PermissionDenied, EntityType: "policy", Actor: caller.UserID, Changes: changes,
		})
	})
}
