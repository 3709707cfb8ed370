// Package trash is about what was deleted: it can be listed, restored and, by an
// admin or after the retention, removed for good.
//
// A deletion is one act: all that it took carries its id. The root of a deletion
// is what somebody deleted; the rest went along with it.
package trash

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/store"
)

// Kind is what sort of thing was deleted.
type Kind string

// The things that can be in the trash.
const (
	Area     Kind = "area"
	Landmark Kind = "landmark"
	User     Kind = "user"
	Unlock   Kind = "unlock"
)

// Counts say how much there is of each kind.
type Counts struct{ Areas, Landmarks, Unlocks, Users int }

// table is how the things of a kind lie in the database.
type table struct {
	kind Kind
	name string
	// label is what people call a row t.
	label string
	// owner is the column of whose it is.
	owner string
	// root holds for a row t that went along with nothing else.
	root string
}

// tables are all that have the soft deletion of the mixin. The primary keys serve
// their conditions.
var tables = []table{
	{Area, "areas", "t.name", "created_by", "NOT EXISTS (SELECT FROM areas p WHERE p.id = t.parent_area_id AND p.deletion_id = t.deletion_id)"},
	{Landmark, "landmarks", "t.name", "created_by", "NOT EXISTS (SELECT FROM areas p WHERE p.id = t.area_id AND p.deletion_id = t.deletion_id)"},
	{User, "users", "t.username::text", "id", "TRUE"},
	{Unlock, "unlocks", "(SELECT l.name FROM landmarks l WHERE l.id = t.landmark_id)", "user_id", `NOT EXISTS (SELECT FROM users p WHERE p.id = t.user_id AND p.deletion_id = t.deletion_id)
    AND NOT EXISTS (SELECT FROM landmarks p WHERE p.id = t.landmark_id AND p.deletion_id = t.deletion_id)`},
}

func tableOf(kind Kind) (table, error) {
	for _, t := range tables {
		if t.kind == kind {
			return t, nil
		}
	}
	return table{}, fmt.Errorf("there is no trash of the kind %q", kind)
}

// parameter names what a request names a thing of the kind by.
func (k Kind) parameter() string { return string(k) + "_id" }

func (k Kind) notFound() error {
	return fault.New(fault.NotFound, "not_found", "There is no such "+string(k)+" in the trash.")
}

// Service does what can be done with the trash.
type Service struct {
	store     *store.Store
	policy    *rbac.Policy
	cursors   *page.Codec
	retention time.Duration
}

// NewService makes the service; what was deleted stays for the retention.
func NewService(s *store.Store, policy *rbac.Policy, cursors *page.Codec, retention time.Duration) *Service {
	return &Service{store: s, policy: policy, cursors: cursors, retention: retention}
}

// item is a row in the trash.
type item struct {
	kind       Kind
	id         uuid.UUID
	owner      uuid.UUID
	deletionID uuid.UUID
	deletedAt  time.Time
}

// lock returns a deleted row, locked until the transaction ends: of two who
// restore or purge the same thing one waits for the other, and then finds it
// gone. It is nil when there is no such row, and known when there is a living one.
func lock(ctx context.Context, tx *store.Tx, t table, id uuid.UUID) (_ *item, known bool, err error) {
	found := item{kind: t.kind, id: id}
	var deletionID *uuid.UUID
	var deletedAt *time.Time
	err = queryRow(ctx, tx, "-- name: trash_lock\nSELECT "+t.owner+", deletion_id, deleted_at FROM "+t.name+" WHERE id = $1 FOR UPDATE", []any{id},
		&found.owner, &deletionID, &deletedAt)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case deletionID == nil || deletedAt == nil:
		return nil, true, nil
	}
	found.deletionID, found.deletedAt = *deletionID, *deletedAt
	return &found, true, nil
}

// roleOf returns the role of a deleted account.
func roleOf(ctx context.Context, tx *store.Tx, id uuid.UUID) (string, error) {
	found, err := tx.User.Get(mixin.WithDeleted(ctx), id)
	if err != nil {
		return "", fmt.Errorf("read the account: %w", err)
	}
	return found.Role, nil
}

// roots returns the roots of a deletion. Each table's index on deletion_id serves it.
func roots(ctx context.Context, tx *store.Tx, deletion uuid.UUID) ([]Entry, error) {
	selects := make([]string, len(tables))
	for i, t := range tables {
		selects[i] = "(SELECT '" + string(t.kind) + "', t.id, " + t.label + " FROM " + t.name +
			" t WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL AND " + t.root + ")"
	}
	var found []Entry
	err := query(ctx, tx, "-- name: trash_roots\n"+strings.Join(selects, "\nUNION ALL\n"), []any{deletion}, func(scan scanner) error {
		e := Entry{DeletionID: deletion}
		if err := scan(&e.Kind, &e.ID, &e.Name); err != nil {
			return err
		}
		found = append(found, e)
		return nil
	})
	return found, err
}

// rootOf returns the root that a row went along with, or nil when it is one itself.
func rootOf(ctx context.Context, tx *store.Tx, of *item) (*Entry, error) {
	found, err := roots(ctx, tx, of.deletionID)
	if err != nil {
		return nil, err
	}
	for _, root := range found {
		if root.Kind == of.kind && root.ID == of.id {
			return nil, nil //nolint:nilnil // It is a root itself.
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the deletion %s has no root", of.deletionID)
	}
	return &found[0], nil
}

type scanner func(dest ...any) error

// query runs fn for each row of a statement.
func query(ctx context.Context, tx *store.Tx, statement string, args []any, fn func(scanner) error) error {
	rows, err := tx.QueryContext(ctx, statement, args...)
	if err != nil {
		return fmt.Errorf("look into the trash: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return fmt.Errorf("look into the trash: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look into the trash: %w", err)
	}
	return nil
}

// queryRow scans the one row of a statement, or returns [sql.ErrNoRows].
func queryRow(ctx context.Context, tx *store.Tx, statement string, args []any, dest ...any) error {
	none := true
	err := query(ctx, tx, statement, args, func(scan scanner) error {
		none = false
		return scan(dest...)
	})
	if err == nil && none {
		return sql.ErrNoRows
	}
	return err
}

// ids returns the one column that a statement selects.
func ids(ctx context.Context, tx *store.Tx, statement string, args ...any) ([]uuid.UUID, error) {
	var found []uuid.UUID
	err := query(ctx, tx, statement, args, func(scan scanner) error {
		var id uuid.UUID
		if err := scan(&id); err != nil {
			return err
		}
		found = append(found, id)
		return nil
	})
	return found, err
}
