package mixin

import (
	"context"
	stdsql "database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"entgo.io/ent"
	"entgo.io/ent/schema/mixin"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	gen "github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/audit"
)

// Audit records every change of an entity, single and bulk, in the transaction
// of the change. It reads rows as PostgreSQL's to_jsonb sees them, before and
// after, so a new field is on record without anybody thinking of it.
type Audit struct {
	mixin.Schema
	// Table and Entity name the table and what the record calls its rows.
	Table, Entity string
	// Secret columns are recorded as changed, without their values.
	Secret []string
	// Personal columns are recorded without their values when a row is purged: what is
	// gone for good does not live on in the record of that.
	Personal []string
}

type inTxKey struct{}

// InTx marks a context as belonging to a transaction. The audit hook refuses
// changes outside of one: the record could be lost while the change is kept.
func InTx(ctx context.Context) context.Context {
	return context.WithValue(ctx, inTxKey{}, true)
}

var errNoTransaction = errors.New("audited entities change inside of a transaction only")

// audited is what ent generates on every mutation of an entity with a UUID key.
type audited interface {
	ent.Mutation
	Client() *gen.Client
	ID() (uuid.UUID, bool)
	IDs(context.Context) ([]uuid.UUID, error)
}

// Hooks of the mixin.
func (a Audit) Hooks() []ent.Hook {
	return []ent.Hook{func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			if in, _ := ctx.Value(inTxKey{}).(bool); !in {
				return nil, errNoTransaction
			}
			am, ok := m.(audited)
			if !ok {
				return nil, fmt.Errorf("audit: unexpected mutation of %s", m.Type())
			}
			if m.Op().Is(ent.OpCreate) {
				return a.create(ctx, next, am)
			}
			return a.change(ctx, next, am)
		})
	}}
}

func (a Audit) create(ctx context.Context, next ent.Mutator, m audited) (ent.Value, error) {
	value, err := next.Mutate(ctx, m)
	if err != nil {
		return nil, err
	}
	id, ok := m.ID()
	if !ok {
		return nil, fmt.Errorf("audit: created %s has no id", a.Entity)
	}
	return value, a.record(ctx, m.Client(), []uuid.UUID{id}, nil)
}

func (a Audit) change(ctx context.Context, next ent.Mutator, m audited) (ent.Value, error) {
	ids, err := m.IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	before, err := a.rows(ctx, m.Client(), ids, true)
	if err != nil {
		return nil, err
	}
	value, err := next.Mutate(ctx, m)
	if err != nil {
		return nil, err
	}
	return value, a.record(ctx, m.Client(), ids, before)
}

// rows reads rows as JSON; lock keeps others from changing them in between.
func (a Audit) rows(ctx context.Context, client *gen.Client, ids []uuid.UUID, lock bool) (_ map[uuid.UUID]audit.Row, err error) {
	if len(ids) == 0 {
		return map[uuid.UUID]audit.Row{}, nil
	}
	query := "-- name: mixin_rows_before\nSELECT id, to_jsonb(t) FROM " + a.Table + " t WHERE id = ANY($1) ORDER BY id"
	if lock {
		query += " FOR UPDATE"
	}
	result, err := client.QueryContext(ctx, query, pgtype.FlatArray[uuid.UUID](ids))
	if err != nil {
		return nil, fmt.Errorf("audit: read %s: %w", a.Table, err)
	}
	defer func() { err = errors.Join(err, result.Close()) }()
	return a.scan(result)
}

func (a Audit) scan(result *stdsql.Rows) (map[uuid.UUID]audit.Row, error) {
	found := map[uuid.UUID]audit.Row{}
	for result.Next() {
		var id uuid.UUID
		var data []byte
		if err := result.Scan(&id, &data); err != nil {
			return nil, fmt.Errorf("audit: scan %s: %w", a.Table, err)
		}
		var row audit.Row
		if err := json.Unmarshal(data, &row); err != nil {
			return nil, fmt.Errorf("audit: decode %s: %w", a.Table, err)
		}
		found[id] = row
	}
	return found, result.Err()
}

func (a Audit) record(ctx context.Context, client *gen.Client, ids []uuid.UUID, before map[uuid.UUID]audit.Row) error {
	after, err := a.rows(ctx, client, ids, false)
	if err != nil {
		return err
	}
	events := make([]audit.Event, 0, len(ids))
	for _, id := range ids {
		hidden := a.Secret
		if after[id] == nil {
			hidden = slices.Concat(a.Secret, a.Personal)
		}
		if event, changed := audit.Compare(a.Entity, id, before[id], after[id], hidden...); changed {
			events = append(events, event)
		}
	}
	return audit.Insert(ctx, client, events...)
}

// Interface guard: an ent client on a transaction takes the record.
var _ audit.Execer = (*gen.Client)(nil)
