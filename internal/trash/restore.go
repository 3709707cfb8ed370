package trash

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/mixin"
	entunlock "github.com/picaspot/picaspot/ent/unlock"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/webhook"
)

// batchSize bounds how many rows one statement restores or purges, and how many
// the audit log reads at a time.
const batchSize = 1000

// maxConflicts bounds how many conflicts an answer names.
const maxConflicts = 100

var (
	errConflict = fault.New(fault.Conflict, "restore_conflict", "It can't be restored as things are now. Nothing was restored.")
	// errOvertaken is a name or the like that somebody took between the look for
	// conflicts and the restoration.
	errOvertaken = errConflict.With(fault.Field{Code: "overtaken", Message: "Somebody changed things at the same moment. Try again."})
)

// Restoration says what came back.
type Restoration struct {
	DeletionID uuid.UUID
	Counts
}

// Restore brings back exactly what the deletion of this root took: what was
// deleted before by a deletion of its own stays deleted. What is in the way (a
// name that is taken by now, a parent that is deleted) is a conflict that names
// all of it, and nothing is restored then; so is something that went along with
// something else, which it names. What is not in the trash is a [fault.NotFound]. An
// account whose role is beyond the caller's ([rbac.Governance.RequireReach]) is
// forbidden; one whose role is not in the policy any more comes back with
// [authz.DefaultRole].
func (s *Service) Restore(ctx context.Context, kind Kind, id uuid.UUID) (Restoration, error) {
	// A name that is taken while the restoration runs ends its transaction. The
	// next try finds what took it.
	const tries = 3
	var restored Restoration
	var err error
	for range tries {
		err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			restored, err = s.restore(ctx, tx, kind, id)
			return err
		})
		if !slices.ContainsFunc(uniqueAmongTheLiving, func(index string) bool { return store.IsUnique(err, index) }) {
			return restored, err
		}
	}
	return Restoration{}, errOvertaken.Wrap(err)
}

// uniqueAmongTheLiving are the indexes that a restored row can violate.
var uniqueAmongTheLiving = []string{
	"area_parent_name", "area_root_name", "area_external_id", "landmark_external_id",
	"user_username", "user_email", "unlock_user_id_landmark_id",
}

func (s *Service) restore(ctx context.Context, tx *store.Tx, kind Kind, id uuid.UUID) (Restoration, error) {
	t, err := tableOf(kind)
	if err != nil {
		return Restoration{}, err
	}
	if kind == Area || kind == Landmark {
		// What it comes back to must not move or vanish meanwhile.
		if err := area.LockTree(ctx, tx, area.Shared); err != nil {
			return Restoration{}, err
		}
	}
	found, _, err := lock(ctx, tx, t, id)
	if err != nil {
		return Restoration{}, err
	}
	if found == nil {
		return Restoration{}, kind.notFound()
	}
	if err := authz.RequireOwner(ctx, found.owner, false); err != nil {
		return Restoration{}, err
	}
	switch root, err := rootOf(ctx, tx, found); {
	case err != nil:
		return Restoration{}, err
	case root != nil:
		return Restoration{}, errConflict.With(wentAlong(kind, root))
	}
	had, role := "", ""
	if kind == User {
		if had, role, err = s.restoredRole(ctx, tx, id); err != nil {
			return Restoration{}, err
		}
	}
	conflicts, err := conflictsOf(ctx, tx, found)
	if err != nil {
		return Restoration{}, err
	}
	if len(conflicts) > 0 {
		return Restoration{}, conflictFault(conflicts)
	}
	counts, err := bringBack(ctx, tx, found.deletionID)
	if err != nil {
		return Restoration{}, err
	}
	if role != had {
		if err := tx.User.UpdateOneID(id).SetRole(role).Exec(ctx); err != nil {
			return Restoration{}, fmt.Errorf("set the role: %w", err)
		}
	}
	return Restoration{DeletionID: found.deletionID, Counts: counts}, tell(ctx, tx, kind, id)
}

// restoredRole returns the role that a locked account had, and the one with which it
// comes back, which the caller has to reach. The policy stays locked, so that an edit
// does not drop the role meanwhile.
func (s *Service) restoredRole(ctx context.Context, tx *store.Tx, id uuid.UUID) (had, role string, err error) {
	governance, err := s.policy.Govern(ctx, tx)
	if err != nil {
		return "", "", err
	}
	if had, err = roleOf(ctx, tx, id); err != nil {
		return "", "", err
	}
	role = governance.RestoredRole(had)
	return had, role, governance.RequireReach(role, fault.Field{})
}

// tell emits that something is back.
func tell(ctx context.Context, tx *store.Tx, kind Kind, id uuid.UUID) error {
	switch kind {
	case Area:
		back, err := tx.Area.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("read what was restored: %w", err)
		}
		return webhook.Emit(ctx, tx, webhook.AreaRestored, webhook.OfArea(back))
	case Landmark:
		back, err := tx.Landmark.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("read what was restored: %w", err)
		}
		return webhook.Emit(ctx, tx, webhook.LandmarkRestored, webhook.OfLandmark(back))
	default:
		return nil
	}
}

func wentAlong(kind Kind, root *Entry) fault.Field {
	return fault.Field{
		Parameter: kind.parameter(), Code: "part_of_deletion",
		Message: fmt.Sprintf("It went along with %s.", root),
	}
}

// String names an entry in a sentence.
func (e Entry) String() string { return fmt.Sprintf("the %s %q (%s)", e.Kind, e.Name, e.ID) }

func conflictFault(conflicts []fault.Field) error {
	e := errConflict
	if n := len(conflicts); n > maxConflicts {
		conflicts = conflicts[:maxConflicts]
		e = fault.New(e.Kind, e.Code, fmt.Sprintf("%s %d things are in the way; the first %d are named.", e.Message, n, maxConflicts))
	}
	return e.With(conflicts...)
}

// obstacle is something that can be in the way of a restoration: a statement that
// selects, for the deletion $1, the arguments of the message.
type obstacle struct {
	code, message string
	statement     string
}

// obstacles are all but the parents that are deleted. The indexes of what is
// unique among the living serve them, and those on deletion_id.
var obstacles = []obstacle{
	{"name_taken", "The name %q is taken by another area (%s) beneath the same parent.", `-- name: trash_taken_area_names
SELECT t.name, b.id::text FROM areas t
JOIN areas b ON b.parent_area_id = t.parent_area_id AND name_key(b.name) COLLATE "C" = name_key(t.name) COLLATE "C" AND b.deleted_at IS NULL AND NOT b.name_clashes
WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL AND NOT t.name_clashes
UNION ALL
SELECT t.name, b.id::text FROM areas t
JOIN areas b ON name_key(b.name) COLLATE "C" = name_key(t.name) COLLATE "C" AND b.parent_area_id IS NULL AND b.deleted_at IS NULL AND NOT b.name_clashes
WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL AND t.parent_area_id IS NULL AND NOT t.name_clashes
ORDER BY 1`},
	{"external_id_taken", "The external id %q belongs to another area (%s).", `-- name: trash_taken_area_external_ids
SELECT t.external_id, b.id::text FROM areas t JOIN areas b ON b.external_id = t.external_id AND b.deleted_at IS NULL
WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL ORDER BY 1`},
	{"external_id_taken", "The external id %q belongs to another landmark (%s).", `-- name: trash_taken_landmark_external_ids
SELECT t.external_id, b.id::text FROM landmarks t JOIN landmarks b ON b.external_id = t.external_id AND b.deleted_at IS NULL
WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL ORDER BY 1`},
	{"username_taken", "The name %q belongs to another account (%s).", `-- name: trash_taken_usernames
SELECT t.username::text, b.id::text FROM users t JOIN users b ON b.username = t.username AND b.deleted_at IS NULL
WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL`},
	{"email_taken", "The address %q belongs to another account (%s).", `-- name: trash_taken_emails
SELECT t.email::text, b.id::text FROM users t JOIN users b ON b.email = t.email AND b.deleted_at IS NULL
WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL`},
	{"unlock_exists", "The landmark %q was unlocked again since (%s).", `-- name: trash_repeated_unlocks
SELECT l.name, b.id::text FROM unlocks t JOIN unlocks b ON b.user_id = t.user_id AND b.landmark_id = t.landmark_id AND b.deleted_at IS NULL
JOIN landmarks l ON l.id = t.landmark_id
WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL ORDER BY 1`},
}

// deletedParentsSQL selects what an area or a landmark of a deletion would come
// back to, and is deleted by another deletion.
const deletedParentsSQL = `-- name: trash_deleted_parents
SELECT p.name, p.id, p.deletion_id FROM areas p WHERE p.deleted_at IS NOT NULL AND p.deletion_id <> $1 AND p.id IN (
  SELECT t.parent_area_id FROM areas t WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL
  UNION ALL SELECT t.area_id FROM landmarks t WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL)
ORDER BY p.name, p.id`

// positionsSQL selects, for each area that is a root of a deletion, how deep its
// branch would reach, and whether it would lie beneath itself. Served by
// area_parent_area_id.
const positionsSQL = `-- name: trash_positions
WITH RECURSIVE root AS (
  SELECT t.id, t.name, t.parent_area_id FROM areas t WHERE t.deletion_id = $1 AND t.deleted_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM areas p WHERE p.id = t.parent_area_id AND p.deletion_id = $1 AND p.id <> t.id)
), up AS (
  SELECT root.id AS root, p.id, p.parent_area_id, 1 AS level FROM root JOIN areas p ON p.id = root.parent_area_id
  UNION ALL
  SELECT up.root, p.id, p.parent_area_id, up.level + 1 FROM up JOIN areas p ON p.id = up.parent_area_id
  WHERE up.level < 2 * $2 AND up.id <> up.root
), down AS (
  SELECT root.id AS root, root.id, 1 AS level FROM root
  UNION ALL
  SELECT down.root, c.id, down.level + 1 FROM down JOIN areas c ON c.parent_area_id = down.id
  WHERE c.deletion_id = $1 AND down.level < 2 * $2
)
SELECT root.name,
  coalesce((SELECT max(level) FROM up WHERE up.root = root.id), 0) + (SELECT max(level) FROM down WHERE down.root = root.id),
  EXISTS (SELECT FROM up WHERE up.root = root.id AND up.id = root.id)
FROM root ORDER BY root.name`

// conflictsOf finds all that is in the way of a restoration.
func conflictsOf(ctx context.Context, tx *store.Tx, of *item) ([]fault.Field, error) {
	var conflicts []fault.Field
	add := func(code, format string, args ...any) {
		conflicts = append(conflicts, fault.Field{Parameter: of.kind.parameter(), Code: code, Message: fmt.Sprintf(format, args...)})
	}
	type parent struct {
		name         string
		id, deletion uuid.UUID
	}
	var parents []parent
	err := query(ctx, tx, deletedParentsSQL, []any{of.deletionID}, func(scan scanner) error {
		var p parent
		if err := scan(&p.name, &p.id, &p.deletion); err != nil {
			return err
		}
		parents = append(parents, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range parents {
		first, err := rootOf(ctx, tx, &item{kind: Area, id: p.id, deletionID: p.deletion})
		if err != nil {
			return nil, err
		}
		if first == nil {
			add("parent_deleted", "The area %q (%s) is deleted too, by the deletion %s. Restore it first.", p.name, p.id, p.deletion)
		} else {
			add("parent_deleted", "The area %q (%s) is deleted too, by the deletion %s. Restore %s first.", p.name, p.id, p.deletion, first)
		}
	}
	for _, o := range obstacles {
		err := query(ctx, tx, o.statement, []any{of.deletionID}, func(scan scanner) error {
			var what, by string
			if err := scan(&what, &by); err != nil {
				return err
			}
			add(o.code, o.message, what, by)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	err = query(ctx, tx, positionsSQL, []any{of.deletionID, area.MaxDepth}, func(scan scanner) error {
		var name string
		var depth int
		var circle bool
		if err := scan(&name, &depth, &circle); err != nil {
			return err
		}
		switch {
		case circle:
			add("area_circle", "The area %q would lie beneath itself.", name)
		case depth > area.MaxDepth:
			add("area_too_deep", "The area %q would reach %d levels deep; areas nest %d at most.", name, depth, area.MaxDepth)
		}
		return nil
	})
	return conflicts, err
}

// bringBack restores all that carries a deletion's id, through ent, so that the
// audit log has each as restored.
func bringBack(ctx context.Context, tx *store.Tx, deletion uuid.UUID) (Counts, error) {
	ctx = mixin.WithDeleted(ctx)
	var counts Counts
	for _, of := range []struct {
		table string
		count *int
		clear func(ids []uuid.UUID) (int, error)
	}{
		{"areas", &counts.Areas, func(ids []uuid.UUID) (int, error) {
			return tx.Area.Update().Where(entarea.IDIn(ids...)).ClearDeletedAt().ClearDeletedBy().ClearDeletionID().Save(ctx)
		}},
		{"landmarks", &counts.Landmarks, func(ids []uuid.UUID) (int, error) {
			return tx.Landmark.Update().Where(entlandmark.IDIn(ids...)).ClearDeletedAt().ClearDeletedBy().ClearDeletionID().Save(ctx)
		}},
		{"users", &counts.Users, func(ids []uuid.UUID) (int, error) {
			return tx.User.Update().Where(entuser.IDIn(ids...)).ClearDeletedAt().ClearDeletedBy().ClearDeletionID().Save(ctx)
		}},
		{"unlocks", &counts.Unlocks, func(ids []uuid.UUID) (int, error) {
			return tx.Unlock.Update().Where(entunlock.IDIn(ids...)).ClearDeletedAt().ClearDeletedBy().ClearDeletionID().Save(ctx)
		}},
	} {
		all, err := ids(ctx, tx, "-- name: trash_lock_to_restore\nSELECT id FROM "+of.table+" WHERE deletion_id = $1 AND deleted_at IS NOT NULL ORDER BY id FOR UPDATE", deletion)
		if err != nil {
			return counts, err
		}
		for batch := range slices.Chunk(all, batchSize) {
			n, err := of.clear(batch)
			if err != nil {
				return counts, fmt.Errorf("restore %s: %w", of.table, err)
			}
			*of.count += n
		}
	}
	return counts, nil
}
