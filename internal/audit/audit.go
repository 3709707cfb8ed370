// Package audit writes the record of who changed what. Rows are written in the
// transaction of the change that they tell of, so that neither is there without
// the other; the database refuses to alter them afterwards.
package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// Action names what was done.
type Action string

// The actions on rows, and the events that services record.
const (
	Create      Action = "create"
	Update      Action = "update"
	Delete      Action = "delete"
	Restore     Action = "restore"
	Purge       Action = "purge"
	Login       Action = "login"
	LoginFailed Action = "login_failed"
	Logout      Action = "logout"
	LogoutAll   Action = "logout_all"
	// SessionEnded is the end of one session by its owner from another one.
	SessionEnded Action = "session_ended"
	// RefreshTokenReused is the end of a session of which two parties had a token.
	RefreshTokenReused Action = "refresh_token_reused"
	PasswordChanged    Action = "password_changed"
	PasswordReset      Action = "password_reset"
	// PasswordResetRequested is the request for a mail with a link to set a new
	// password, of an account that there is.
	PasswordResetRequested Action = "password_reset_requested"
	// VerificationRequested is the request for another mail that proves the address of
	// a new account.
	VerificationRequested Action = "verification_requested"
	EmailChanged          Action = "email_changed"
	// EmailChangeRequested is the request to change the address; the account keeps the
	// old one until a link that is mailed to the new one was followed.
	EmailChangeRequested Action = "email_change_requested"
	// EmailChangeWithdrawn is the end of such requests by asking for the present address.
	EmailChangeWithdrawn Action = "email_change_withdrawn"
	// PasswordRefused is a wrong password or code where one is asked for again.
	PasswordRefused Action = "password_refused"
	// SecondFactorStarted is a new secret for an authenticator app. It counts once a
	// code of it was confirmed.
	SecondFactorStarted Action = "second_factor_started"
	SecondFactorOn      Action = "second_factor_on"
	SecondFactorOff     Action = "second_factor_off"
	// CodesGuessed tells that wrong codes came too often with the right password. It is
	// recorded once an hour at most.
	CodesGuessed         Action = "codes_guessed"
	RecoveryCodeUsed     Action = "recovery_code_used"
	RecoveryCodesRenewed Action = "recovery_codes_renewed"
	Suspended            Action = "suspended"
	Activated            Action = "activated"
	// WebhookTested is a test event to a webhook, DeliveryReplayed a delivery that is
	// made again.
	WebhookTested    Action = "webhook_tested"
	DeliveryReplayed Action = "delivery_replayed"
	KeysRotated      Action = "keys_rotated"
	PolicyChanged    Action = "policy_changed"
	// PermissionDenied is the refusal of something administrative.
	PermissionDenied Action = "permission_denied"
	// Exported is a look at the audit log as a whole.
	Exported Action = "audit_exported"
	// Pruned is written by the database: months of the audit log were dropped.
	Pruned Action = "audit_pruned"
)

// Change is a field's value before and after, as JSON. A created row has no
// before, a purged one no after.
type Change struct {
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// Event is one row of the record. The actor, the address, the user agent and
// the request id come from the context.
type Event struct {
	Action     Action
	EntityType string
	EntityID   uuid.UUID
	Changes    map[string]Change
	// Actor overrides the context's caller, as for a login, which has none yet.
	Actor uuid.UUID
}

// Execer runs a statement inside a transaction: an ent client on one, a *sql.Tx.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Statement inserts the rows that [Encode] makes; it has that one parameter.
// Importing tools that hold a driver's own transaction use the two directly.
const Statement = `-- name: audit_insert
INSERT INTO audit_logs (id, created_at, actor_id, action, entity_type, entity_id, changes, ip_address, user_agent, request_id)
SELECT id, created_at, actor_id, action, entity_type, entity_id, changes, ip_address, user_agent, request_id
FROM jsonb_to_recordset($1::jsonb) AS r(
  id uuid, created_at timestamptz, actor_id uuid, action text, entity_type text, entity_id uuid,
  changes jsonb, ip_address text, user_agent text, request_id text)`

type row struct {
	ID         uuid.UUID         `json:"id"`
	CreatedAt  time.Time         `json:"created_at"`
	ActorID    *uuid.UUID        `json:"actor_id"`
	Action     Action            `json:"action"`
	EntityType string            `json:"entity_type"`
	EntityID   *uuid.UUID        `json:"entity_id"`
	Changes    map[string]Change `json:"changes"`
	Address    string            `json:"ip_address"`
	UserAgent  string            `json:"user_agent"`
	RequestID  string            `json:"request_id"`
}

// Insert records the events through ex, which has to be the transaction of the change.
func Insert(ctx context.Context, ex Execer, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	rows, err := Encode(ctx, events...)
	if err != nil {
		return err
	}
	if _, err := ex.ExecContext(ctx, Statement, rows); err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	return nil
}

// Encode makes the parameter of [Statement].
func Encode(ctx context.Context, events ...Event) (string, error) {
	req := reqctx.From(ctx)
	now := time.Now().UTC().Truncate(time.Microsecond)
	caller, _ := authz.CallerFrom(ctx)
	rows := make([]row, len(events))
	for i, e := range events {
		id, err := uuid.NewV7()
		if err != nil {
			return "", fmt.Errorf("audit id: %w", err)
		}
		actor := e.Actor
		if actor == uuid.Nil {
			actor = caller.UserID
		}
		changes := e.Changes
		if changes == nil {
			changes = map[string]Change{}
		}
		rows[i] = row{
			ID: id, CreatedAt: now, ActorID: known(actor), Action: e.Action,
			EntityType: e.EntityType, EntityID: known(e.EntityID), Changes: changes,
			Address: req.Address, UserAgent: req.UserAgent, RequestID: req.ID,
		}
	}
	data, err := json.Marshal(rows)
	if err != nil {
		return "", fmt.Errorf("encode audit log: %w", err)
	}
	return string(data), nil
}

func known(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}
