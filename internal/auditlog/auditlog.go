// Package auditlog reads and keeps the audit log that [audit] writes: lists and
// exports of it, the proof that nobody has changed it since, and its months.
package auditlog

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/store"
)

// entityType is what the log calls itself.
const entityType = "audit_log"

// Entry is a row of the log.
type Entry struct {
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

// columns are those of an [Entry], in its order.
const columns = "id, created_at, actor_id, action, entity_type, entity_id, changes, ip_address, user_agent, request_id"

// Service reads and keeps the log. It may be used concurrently.
type Service struct {
	store     *store.Store
	cursors   *page.Codec
	retention time.Duration
	refusals  refusals
}

// NewService makes the service. Months older than retention are dropped by
// [Service.Maintain]; 0 keeps them for ever.
func NewService(s *store.Store, cursors *page.Codec, retention time.Duration) *Service {
	return &Service{store: s, cursors: cursors, retention: retention}
}

// Filter narrows the log; nil does not.
type Filter struct {
	ActorID    *uuid.UUID    `json:"actor_id,omitempty"`
	Action     *audit.Action `json:"action,omitempty"`
	EntityType *string       `json:"entity_type,omitempty"`
	EntityID   *uuid.UUID    `json:"entity_id,omitempty"`
	// From is the first moment that counts, To the first one that does not any more.
	From      *time.Time `json:"from,omitempty"`
	To        *time.Time `json:"to,omitempty"`
	RequestID *string    `json:"request_id,omitempty"`
}

// where is the filter as a condition and its arguments. What does not narrow is
// left out, so that the planner sees which index there is for the rest: each column
// has one of its own (audit_log_actor, _action, _entity, _entity_type, _request) in
// the order of the lists, and the primary key has that order alone. A time leaves
// out the partitions of other months.
func (f Filter) where() (condition string, args []any) {
	terms := []string{"TRUE"}
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, term+" $"+strconv.Itoa(len(args)))
	}
	if f.ActorID != nil {
		add("actor_id =", *f.ActorID)
	}
	if f.Action != nil {
		add("action =", *f.Action)
	}
	if f.EntityType != nil {
		add("entity_type =", *f.EntityType)
	}
	if f.EntityID != nil {
		add("entity_id =", *f.EntityID)
	}
	if f.From != nil {
		add("created_at >=", *f.From)
	}
	if f.To != nil {
		add("created_at <", *f.To)
	}
	if f.RequestID != nil {
		add("request_id =", *f.RequestID)
	}
	return strings.Join(terms, " AND "), args
}

var list = page.List{
	Name: "audit_logs", Default: "created_at",
	SortBy: map[string]page.Column{"created_at": {Name: "created_at", Type: page.Time}},
}

// totalSQL is how many rows the log has, without reading them: as many as the chains
// have links, less those of the months that were dropped.
const totalSQL = `-- name: auditlog_total
SELECT (SELECT sum(seq) FROM audit_chain_heads)::bigint - (SELECT coalesce(sum(dropped), 0) FROM audit_prunings)::bigint`

// List returns a page of the log, the newest first unless params say otherwise.
func (s *Service) List(ctx context.Context, f Filter, params page.Params) (page.Result[Entry], error) {
	q, err := list.Resolve(params, s.cursors, f)
	if err != nil {
		return page.Result[Entry]{}, err
	}
	where, args := f.where()
	return page.Fetch(ctx, q, page.Source[Entry]{
		List: func(ctx context.Context, limit, offset int) ([]Entry, error) {
			after, keys := q.Condition(len(args) + 1)
			return read(ctx, s.store, "-- name: auditlog_list\n", fmt.Sprintf("WHERE %s AND %s ORDER BY %s LIMIT %d OFFSET %d", where, after, q.OrderBy(), limit, offset),
				append(args[:len(args):len(args)], keys...)...)
		},
		Count: func(ctx context.Context) (total int, err error) {
			statement := totalSQL
			if len(args) > 0 {
				statement = "-- name: auditlog_count\nSELECT count(*) FROM audit_logs WHERE " + where
			}
			err = s.store.Pool.QueryRow(ctx, statement, args...).Scan(&total)
			return total, err
		},
		Key: func(e Entry, column string) any {
			if column == "created_at" {
				return e.CreatedAt
			}
			return e.ID
		},
	})
}

// read reads what the rest of a statement selects; the statement begins with the line
// that names it.
func read(ctx context.Context, s *store.Store, name, rest string, args ...any) ([]Entry, error) {
	rows, err := s.Pool.Query(ctx, name+"SELECT "+columns+" FROM audit_logs "+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Entry])
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return entries, nil
}

// About returns what a user did and what was done to the account, the oldest first;
// audit_log_actor and audit_log_entity serve it.
func About(ctx context.Context, s *store.Store, user uuid.UUID) ([]Entry, error) {
	return read(ctx, s, "-- name: auditlog_about\n", "WHERE actor_id = $1 OR (entity_type = 'user' AND entity_id = $1) ORDER BY created_at, id", user)
}

// batch is how many entries [Service.Each] holds at a time.
const batch = 1000

// Each calls fn with all entries, the oldest first, in batches: what is held does
// not grow with the log, and no connection is held while fn works. It ends with
// fn's error or the context's.
func (s *Service) Each(ctx context.Context, f Filter, fn func([]Entry) error) error {
	where, args := f.where()
	after := "TRUE"
	for {
		entries, err := read(ctx, s.store, "-- name: auditlog_export\n", fmt.Sprintf("WHERE %s AND %s ORDER BY created_at, id LIMIT %d", where, after, batch), args...)
		if err != nil || len(entries) == 0 {
			return err
		}
		if err := fn(entries); err != nil || len(entries) < batch {
			return err
		}
		n := len(args)
		if after == "TRUE" {
			after, args = fmt.Sprintf("(created_at, id) > ($%d, $%d)", n+1, n+2), append(args, nil, nil)
			n += 2
		}
		last := entries[len(entries)-1]
		args[n-2], args[n-1] = last.CreatedAt, last.ID
	}
}

// Export puts on record that the caller reads the log, and returns [Service.Each]
// of the entries up to now.
func (s *Service) Export(ctx context.Context, f Filter) (each func(context.Context, func([]Entry) error) error, err error) {
	asked, err := filterChanges(f)
	if err != nil {
		return nil, err
	}
	// Without an end an export would chase what is written meanwhile, itself included.
	if now := time.Now().UTC().Truncate(time.Microsecond); f.To == nil || f.To.After(now) {
		f.To = &now
	}
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return audit.Insert(ctx, tx, audit.Event{Action: audit.Exported, EntityType: entityType, Changes: asked})
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, fn func([]Entry) error) error { return s.Each(ctx, f, fn) }, nil
}

// filterChanges is a filter as the log records it.
func filterChanges(f Filter) (map[string]audit.Change, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("audit filter: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("audit filter: %w", err)
	}
	changes := make(map[string]audit.Change, len(fields))
	for name, value := range fields {
		changes[name] = audit.Change{After: value}
	}
	return changes, nil
}
