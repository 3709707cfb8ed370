package area

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/store"
)

// TreeLock says how a transaction depends on the shape of the tree of areas.
type TreeLock int

const (
	// None does not depend on it.
	None TreeLock = iota
	// Shared adds something to the tree, which must not move or vanish meanwhile.
	Shared
	// Exclusive moves or deletes a part of it.
	Exclusive
)

// treeLockKey is the advisory lock of the tree of areas.
const treeLockKey = 0x7069636100000001

// LockTree takes the lock on the tree of areas until the transaction ends.
// Additions wait for moves and deletions, and those for everything: without it
// an area could be added beneath one that is being deleted, or two moves could
// make a circle.
func LockTree(ctx context.Context, tx *store.Tx, lock TreeLock) error {
	statement := map[TreeLock]string{
		Shared:    "-- name: area_lock_tree_shared\nSELECT pg_advisory_xact_lock_shared($1)",
		Exclusive: "-- name: area_lock_tree\nSELECT pg_advisory_xact_lock($1)",
	}[lock]
	if statement == "" {
		return nil
	}
	if _, err := tx.ExecContext(ctx, statement, int64(treeLockKey)); err != nil {
		return fmt.Errorf("lock the tree of areas: %w", err)
	}
	return nil
}

// Descendants returns the ids of a living area and of all living areas beneath
// it. Served by area_parent_area_id_created_at_id.
func Descendants(ctx context.Context, client *ent.Client, id uuid.UUID) ([]uuid.UUID, error) {
	return ids(ctx, client, `-- name: area_descendants
WITH RECURSIVE tree AS (
  SELECT id, 1 AS level FROM areas WHERE id = $1 AND deleted_at IS NULL
  UNION ALL
  SELECT a.id, t.level + 1 FROM areas a JOIN tree t ON a.parent_area_id = t.id
  WHERE a.deleted_at IS NULL AND t.level < 2 * $2
)
SELECT id FROM tree`, id, MaxDepth)
}

// Paths returns, for those of some areas that are there, the names of the areas from the
// top of the tree down to each and its own. Served by the primary key.
func Paths(ctx context.Context, client *ent.Client, of []uuid.UUID) (map[uuid.UUID][]string, error) {
	rows, err := client.QueryContext(ctx, `-- name: area_paths
WITH RECURSIVE above AS (
  SELECT id AS of, parent_area_id, name, 1 AS level FROM areas WHERE id = ANY($1) AND deleted_at IS NULL
  UNION ALL
  SELECT b.of, a.parent_area_id, a.name, b.level + 1 FROM areas a JOIN above b ON a.id = b.parent_area_id
  WHERE a.deleted_at IS NULL AND b.level < 2 * $2
)
SELECT of, name FROM above ORDER BY of, level DESC`, pgtype.FlatArray[uuid.UUID](of), MaxDepth)
	if err != nil {
		return nil, fmt.Errorf("walk the tree of areas: %w", err)
	}
	defer rows.Close()
	paths := map[uuid.UUID][]string{}
	for rows.Next() {
		var id uuid.UUID
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, fmt.Errorf("walk the tree of areas: %w", err)
		}
		paths[id] = append(paths[id], name)
	}
	return paths, rows.Err()
}

// ancestors returns the ids of a living area and of the living areas above it,
// nearest first. Served by the primary key.
func ancestors(ctx context.Context, client *ent.Client, id uuid.UUID) ([]uuid.UUID, error) {
	return ids(ctx, client, `-- name: area_ancestors
WITH RECURSIVE chain AS (
  SELECT id, parent_area_id, 1 AS level FROM areas WHERE id = $1 AND deleted_at IS NULL
  UNION ALL
  SELECT a.id, a.parent_area_id, c.level + 1 FROM areas a JOIN chain c ON a.id = c.parent_area_id
  WHERE a.deleted_at IS NULL AND c.level < 2 * $2
)
SELECT id FROM chain ORDER BY level`, id, MaxDepth)
}

// height returns how many levels an area and what lies beneath it take.
func height(ctx context.Context, tx *store.Tx, id uuid.UUID) (int, error) {
	levels, err := query[int](ctx, tx.Client, `-- name: area_height
WITH RECURSIVE tree AS (
  SELECT id, 1 AS level FROM areas WHERE id = $1 AND deleted_at IS NULL
  UNION ALL
  SELECT a.id, t.level + 1 FROM areas a JOIN tree t ON a.parent_area_id = t.id
  WHERE a.deleted_at IS NULL AND t.level < 2 * $2
)
SELECT max(level) FROM tree`, id, MaxDepth)
	if err != nil {
		return 0, err
	}
	return levels[0], nil
}

// CheckParent asks whether an area that takes some levels may lie beneath parent.
// moving is the area's own id, or nil when it is new.
func CheckParent(ctx context.Context, tx *store.Tx, moving, parent uuid.UUID, levels int) error {
	chain, err := ancestors(ctx, tx.Client, parent)
	if err != nil {
		return err
	}
	if len(chain) == 0 {
		return errParentUnknown
	}
	for _, above := range chain {
		if above == moving {
			return errCircle
		}
	}
	if len(chain)+levels > MaxDepth {
		return ErrTooDeep
	}
	return nil
}

func ids(ctx context.Context, client *ent.Client, statement string, args ...any) ([]uuid.UUID, error) {
	return query[uuid.UUID](ctx, client, statement, args...)
}

// query returns the one column that a statement selects.
func query[T any](ctx context.Context, client *ent.Client, statement string, args ...any) ([]T, error) {
	rows, err := client.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("walk the tree of areas: %w", err)
	}
	defer rows.Close()
	var found []T
	for rows.Next() {
		var value T
		if err := rows.Scan(&value); err != nil {
			return nil, fmt.Errorf("walk the tree of areas: %w", err)
		}
		found = append(found, value)
	}
	return found, rows.Err()
}
