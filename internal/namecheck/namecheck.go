// Package namecheck finds names from before there was a rule for them: areas that have the
// name of an older one beside them, and names that package name would change or refuse.
// They stay as they are until they are changed.
package namecheck

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/name"
)

// Finding is a name that today's rule would not take as it is.
type Finding struct {
	// Kind is area, landmark or user.
	Kind string    `json:"kind"`
	ID   uuid.UUID `json:"id"`
	Name string    `json:"name"`
	// ClashesWith is the older area that has the name, where that is the matter.
	ClashesWith *uuid.UUID `json:"clashes_with,omitempty"`
	// Becomes is the name as the rule writes it; empty where the rule refuses it.
	Becomes string `json:"becomes,omitempty"`
	// Reason says why the rule refuses it.
	Reason string `json:"reason,omitempty"`
}

// clashesSQL reads the areas that are marked, which a scan of all areas finds: a command
// may take that long.
const clashesSQL = `-- name: namecheck_clashes
SELECT a.id, a.name, older.id FROM areas a CROSS JOIN LATERAL (
  SELECT o.id FROM areas o
  WHERE o.deleted_at IS NULL AND o.id <> a.id AND o.parent_area_id IS NOT DISTINCT FROM a.parent_area_id
    AND name_key(o.name) COLLATE "C" = name_key(a.name) COLLATE "C"
  ORDER BY o.created_at, o.id LIMIT 1) older
WHERE a.name_clashes AND a.deleted_at IS NULL ORDER BY a.name, a.id`

// namesSQL reads every name that is shown.
const namesSQL = `-- name: namecheck_names
SELECT 'area', id, name FROM areas WHERE deleted_at IS NULL
UNION ALL SELECT 'landmark', id, name FROM landmarks WHERE deleted_at IS NULL
UNION ALL SELECT 'user', id, display_name FROM users WHERE deleted_at IS NULL AND display_name IS NOT NULL`

// Find tells report of all findings: clashes first, then the others as they are stored. It
// reads all names, one at a time, and stops at report's first error.
func Find(ctx context.Context, pool *pgxpool.Pool, report func(Finding) error) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return fmt.Errorf("check names: %w", err)
		}
		f := Finding{Kind: "area"}
		if err := each(ctx, tx, clashesSQL, []any{&f.ID, &f.Name, &f.ClashesWith}, func() error { return report(f) }); err != nil {
			return err
		}
		f = Finding{}
		return each(ctx, tx, namesSQL, []any{&f.Kind, &f.ID, &f.Name}, func() error {
			if found, ok := check(f); ok {
				return report(found)
			}
			return nil
		})
	})
}

func each(ctx context.Context, tx pgx.Tx, statement string, into []any, fn func() error) error {
	rows, err := tx.Query(ctx, statement)
	if err != nil {
		return fmt.Errorf("check names: %w", err)
	}
	if _, err := pgx.ForEachRow(rows, into, fn); err != nil {
		return fmt.Errorf("check names: %w", err)
	}
	return nil
}

// check reports whether the rule would not take a name as it is.
func check(f Finding) (Finding, bool) {
	clean, err := name.Clean("/name", f.Name, name.MaxCharacters)
	switch {
	case err != nil:
		f.Reason = err.Error()
		var refused *fault.Error
		if errors.As(err, &refused) && len(refused.Fields) > 0 {
			f.Reason = refused.Fields[0].Message
		}
		return f, true
	case clean != f.Name:
		f.Becomes = clean
		return f, true
	default:
		return f, false
	}
}
