package trash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/mixin"
	entunlock "github.com/picaspot/picaspot/ent/unlock"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
)

var (
	errLiving = fault.New(fault.Conflict, "not_in_trash", "It is not in the trash. Delete it first.")
	errPart   = fault.New(fault.Conflict, "part_of_deletion", "It went along with something else. Delete that for good.")
)

// Purge removes what the deletion of this root took for good, with all that
// hangs on it, files included. What is not in the trash is a conflict, and so is
// something that went along with something else, which it names. An account whose role
// is beyond the caller's ([rbac.Governance.RequireReach]) is forbidden.
func (s *Service) Purge(ctx context.Context, kind Kind, id uuid.UUID) error {
	t, err := tableOf(kind)
	if err != nil {
		return err
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, known, err := lock(ctx, tx, t, id)
		switch {
		case err != nil:
			return err
		case known && found == nil:
			return errLiving
		case found == nil:
			return kind.notFound()
		}
		if err := authz.RequireOwner(ctx, found.owner, false); err != nil {
			return err
		}
		switch root, err := rootOf(ctx, tx, found); {
		case err != nil:
			return err
		case root != nil:
			return errPart.With(wentAlong(kind, root))
		}
		if kind == User {
			if err := s.requireReach(ctx, tx, id); err != nil {
				return err
			}
		}
		return remove(ctx, tx, found.deletionID)
	})
}

// requireReach demands that the caller may act on an account of its role. Without the
// policy lock: no decision about roles relies on an account that is deleted, and the
// purge of one with many files takes long.
func (s *Service) requireReach(ctx context.Context, tx *store.Tx, id uuid.UUID) error {
	governance, err := s.policy.ReadGovernance(ctx, tx)
	if err != nil {
		return err
	}
	role, err := roleOf(ctx, tx, id)
	if err != nil {
		return err
	}
	return governance.RequireReach(role, fault.Field{})
}

// PurgeArgs are the periodic job that purges what was deleted longer ago than the
// retention.
type PurgeArgs struct{}

// Kind names the job.
func (PurgeArgs) Kind() string { return "trash_purge" }

// expiredBatch bounds how many deletions are looked up at a time.
const expiredBatch = 100

// PurgeExpired is the work of a [PurgeArgs] job. Each deletion is a transaction of
// its own, the oldest first; where one fails, the others go on.
func (s *Service) PurgeExpired(ctx context.Context) error {
	var faults []error
	var last Entry
	before := mixin.Now().Add(-s.retention)
	for {
		expired, err := s.expired(ctx, before, last)
		if err != nil {
			return errors.Join(append(faults, err)...)
		}
		for _, root := range expired {
			err := s.purgeExpired(ctx, root)
			if ctx.Err() != nil {
				return errors.Join(append(faults, err, ctx.Err())...)
			}
			if err != nil {
				faults = append(faults, fmt.Errorf("purge %s: %w", root, err))
			}
			last = root
		}
		if len(expired) < expiredBatch {
			return errors.Join(faults...)
		}
	}
}

// expired returns the next roots that were deleted before a time. Each table's
// index on deleted_at and id serves it.
func (s *Service) expired(ctx context.Context, before time.Time, last Entry) ([]Entry, error) {
	selects, args := Filter{To: &before}.selects(nil, nil, "(t.deleted_at, t.id) > ($1, $2)", []any{last.DeletedAt, last.ID},
		fmt.Sprintf(" ORDER BY t.deleted_at, t.id LIMIT %d", expiredBatch))
	rows, err := s.store.Pool.Query(ctx,
		fmt.Sprintf("-- name: trash_expired\nSELECT kind, id, name, deletion_id, deleted_at FROM (%s) merged ORDER BY deleted_at, id LIMIT %d", strings.Join(selects, " UNION ALL "), expiredBatch), args...)
	if err != nil {
		return nil, fmt.Errorf("look for what has expired: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Entry, err error) {
		err = row.Scan(&e.Kind, &e.ID, &e.Name, &e.DeletionID, &e.DeletedAt)
		return e, err
	})
}

// purgeExpired purges a deletion, unless its root was restored or purged since.
func (s *Service) purgeExpired(ctx context.Context, root Entry) error {
	t, err := tableOf(root.Kind)
	if err != nil {
		return err
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, _, err := lock(ctx, tx, t, root.ID)
		if err != nil || found == nil || found.deletionID != root.DeletionID {
			return err
		}
		return remove(ctx, tx, root.DeletionID)
	})
}

// branchSQL selects the areas of a deletion and all that lies beneath them, by
// whatever deletion it is deleted, the deepest first. Served by area_parent_area_id.
const branchSQL = `-- name: trash_branch
WITH RECURSIVE branch AS (
  SELECT id, 1 AS level FROM areas WHERE deletion_id = $1 AND deleted_at IS NOT NULL
  UNION
  SELECT a.id, b.level + 1 FROM areas a JOIN branch b ON a.parent_area_id = b.id WHERE b.level < 2 * $2
)
SELECT id FROM branch GROUP BY id ORDER BY max(level) DESC, id`

// attemptFiles selects the files of attempts, and locks these: a photo that is
// being developed is either listed or its picture never recorded.
const attemptFiles = `-- name: trash_attempt_files
SELECT unnest(keys) FROM (SELECT ARRAY[photo->>'key', image->>'key'] AS keys FROM attempts WHERE %s = ANY($1) FOR UPDATE) locked`

// remove removes for good what a deletion took. What was deleted before beneath an
// area of it can't stay without that area and goes too. Attempts, unlocks, sessions
// and the like go by their foreign keys; the ids of users that stand elsewhere
// stay, and name nobody any more. The files go by jobs of the same transaction.
func remove(ctx context.Context, tx *store.Tx, deletion uuid.UUID) error {
	ctx = mixin.WithDeleted(ctx)
	branch, err := ids(ctx, tx, branchSQL, deletion, area.MaxDepth)
	if err != nil {
		return err
	}
	const ofDeletion = "deletion_id = $1 AND deleted_at IS NOT NULL"
	for _, step := range []struct {
		table string
		// which selects the rows.
		which string
		args  []any
		// files select the keys of the files of the rows $1.
		files []string
		// beneath is the prefix of all files of a row, if what no row names has to go too.
		beneath func(id uuid.UUID) string
		delete  func(ids []uuid.UUID) (int, error)
	}{
		{
			"landmarks", ofDeletion + " OR area_id = ANY($2)", []any{deletion, pgtype.FlatArray[uuid.UUID](branch)},
			[]string{"-- name: trash_landmark_files\nSELECT image->>'key' FROM landmarks WHERE id = ANY($1)", fmt.Sprintf(attemptFiles, "landmark_id")}, nil,
			func(ids []uuid.UUID) (int, error) {
				return tx.Landmark.Delete().Where(entlandmark.IDIn(ids...)).Exec(ctx)
			},
		},
		{
			"areas", "id = ANY($1)", []any{pgtype.FlatArray[uuid.UUID](branch)},
			[]string{"-- name: trash_area_files\nSELECT image->>'key' FROM areas WHERE id = ANY($1)"}, nil,
			func(ids []uuid.UUID) (int, error) { return tx.Area.Delete().Where(entarea.IDIn(ids...)).Exec(ctx) },
		},
		{
			"users", ofDeletion, []any{deletion},
			[]string{"-- name: trash_user_files\nSELECT avatar->>'key' FROM users WHERE id = ANY($1)", fmt.Sprintf(attemptFiles, "user_id")}, picture.UserPrefix,
			func(ids []uuid.UUID) (int, error) { return tx.User.Delete().Where(entuser.IDIn(ids...)).Exec(ctx) },
		},
		{
			"unlocks", ofDeletion, []any{deletion}, nil, nil,
			func(ids []uuid.UUID) (int, error) { return tx.Unlock.Delete().Where(entunlock.IDIn(ids...)).Exec(ctx) },
		},
	} {
		rows, err := lockDeleted(ctx, tx, "-- name: trash_lock_deleted\nSELECT id, deleted_at IS NULL FROM "+step.table+" WHERE "+step.which+" ORDER BY id FOR UPDATE", step.args)
		if err != nil {
			return fmt.Errorf("purge %s: %w", step.table, err)
		}
		if step.table == "areas" {
			rows = branch // An area that goes before its children would take them, unrecorded.
		}
		for batch := range slices.Chunk(rows, batchSize) {
			if err := removeFiles(ctx, tx, step.files, batch); err != nil {
				return err
			}
			if err := removeBeneath(ctx, tx, step.beneath, batch); err != nil {
				return err
			}
			if _, err := step.delete(batch); err != nil {
				return fmt.Errorf("purge %s: %w", step.table, err)
			}
		}
	}
	return nil
}

// lockDeleted locks rows that are to be purged and returns their ids. A living one
// among them is a fault of ours, and better found than lost.
func lockDeleted(ctx context.Context, tx *store.Tx, statement string, args []any) ([]uuid.UUID, error) {
	var found []uuid.UUID
	err := query(ctx, tx, statement, args, func(scan scanner) error {
		var id uuid.UUID
		var living bool
		if err := scan(&id, &living); err != nil {
			return err
		}
		if living {
			return fmt.Errorf("%s lives beneath what was deleted", id)
		}
		found = append(found, id)
		return nil
	})
	return found, err
}

// removalBatch bounds the files of one job, so that one that fails repeats little.
const removalBatch = 200

// removeFiles enqueues the removal of files once the transaction has committed.
func removeFiles(ctx context.Context, tx *store.Tx, statements []string, of []uuid.UUID) error {
	var keys []string
	for _, statement := range statements {
		err := query(ctx, tx, statement, []any{pgtype.FlatArray[uuid.UUID](of)}, func(scan scanner) error {
			var key *string
			if err := scan(&key); err != nil || key == nil {
				return err
			}
			keys = append(keys, *key)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(keys, removalBatch) {
		if err := tx.Enqueue(ctx, storage.RemovalArgs{Keys: batch}, nil); err != nil {
			return err
		}
	}
	return nil
}

// removeBeneath enqueues the removal of all files of rows, one job each: listing them
// may take long. A nil prefix removes none.
func removeBeneath(ctx context.Context, tx *store.Tx, prefix func(uuid.UUID) string, of []uuid.UUID) error {
	if prefix == nil {
		return nil
	}
	for _, id := range of {
		if err := tx.Enqueue(ctx, storage.RemovalArgs{Beneath: []string{prefix(id)}}, nil); err != nil {
			return err
		}
	}
	return nil
}
