package seed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
)

// Statements take rows as JSON. The triggers of the tables see to the search, the cells
// of the map and the totals, as for any other row.
const (
	insertUsers = `-- name: seed_users
INSERT INTO users (id, created_at, updated_at, username, email, email_verified_at, password_hash, password_changed_at, role, status, display_name, bio)
SELECT id, created_at, created_at, username, email, created_at, $2, created_at, $3, 'active', display_name, bio
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, created_at timestamptz, username text, email text, display_name text, bio text)`
	insertAreas = `-- name: seed_areas
INSERT INTO areas (id, created_at, updated_at, name, description, parent_area_id, created_by, is_verified, external_id)
SELECT id, created_at, created_at, name, '', parent_area_id, created_by, is_verified, external_id
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, created_at timestamptz, name text, parent_area_id uuid, created_by uuid, is_verified boolean, external_id text)`
	insertLandmarks = `-- name: seed_landmarks
INSERT INTO landmarks (id, created_at, updated_at, area_id, name, description, hint, difficulty, location, unlock_radius_meters, photo_radius_meters, created_by, is_verified, external_id)
SELECT id, created_at, created_at, area_id, name, description, hint, difficulty, location::geography, unlock_radius_meters, 50, created_by, is_verified, external_id
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, created_at timestamptz, area_id uuid, name text, description text, hint text, difficulty int,
  location text, unlock_radius_meters float8, created_by uuid, is_verified boolean, external_id text)`
	insertAttempts = `-- name: seed_attempts
INSERT INTO attempts (id, created_at, updated_at, user_id, landmark_id, status, location, accuracy_meters, captured_at, target, photo, image, checks, score, decided_at)
SELECT id, created_at, decided_at, user_id, landmark_id, status, location::geography, accuracy_meters, captured_at, target, photo, image, checks, score, decided_at
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, created_at timestamptz, user_id uuid, landmark_id uuid, status text, location text,
  accuracy_meters float8, captured_at timestamptz, target jsonb, photo jsonb, image jsonb, checks jsonb, score float8, decided_at timestamptz)`
	insertUnlocks = `-- name: seed_unlocks
INSERT INTO unlocks (id, created_at, updated_at, user_id, landmark_id, attempt_id)
SELECT id, created_at, created_at, user_id, landmark_id, attempt_id
FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, created_at timestamptz, user_id uuid, landmark_id uuid, attempt_id uuid)`
	// Two at once wait for each other here.
	lockWorld = `-- name: seed_lock
SELECT pg_advisory_xact_lock(hashtextextended('seed', 0))`
	// foreign tells whether there is data that seeds did not make; deleted rows count.
	foreign = `-- name: seed_foreign
SELECT EXISTS (SELECT FROM users WHERE email NOT LIKE '%@world.picaspot.example'
    AND email NOT IN ('user@picaspot.example', 'moderator@picaspot.example', 'admin@picaspot.example'))
  OR EXISTS (SELECT FROM areas WHERE external_id IS NULL OR external_id NOT LIKE 'seed:%')
  OR EXISTS (SELECT FROM landmarks WHERE external_id IS NULL OR external_id NOT LIKE 'seed:%')`
	worldExists = `-- name: seed_world_exists
SELECT EXISTS (SELECT FROM areas WHERE external_id LIKE $1)`
)

// perStatement is how many rows one statement writes at most.
const perStatement = 2000

// photosAtOnce is how many attempts are written after their photos were stored, so that
// a transaction does not idle for long.
const photosAtOnce = 500

// Inventor fills an installation with a made-up world.
type Inventor struct {
	Store    *store.Store
	Storage  *storage.Store
	Pictures *picture.Gallery
	// PasswordHash is that of the password of all users.
	PasswordHash string
	// Role is that of all users.
	Role string
}

// Errors of [Inventor.Fill].
var (
	ErrForeign = errors.New("this installation has users, areas or landmarks that seed did not make, and a made-up world can't be told from them later: --add puts it there all the same")
	ErrThere   = errors.New("the world of this --seed is there already: another --seed makes another one, beside it")
)

// Fill makes a world in one transaction, with one row in the audit log. Files that were
// stored by a run that failed are removed by the sweep of the storage.
func (v *Inventor) Fill(ctx context.Context, size Size, add bool) error {
	if size.Users < 1 || size.Landmarks < 1 || size.Attempts < 0 {
		return errors.New("a made-up world needs at least one user and one landmark")
	}
	pictures, err := draw(ctx, size.Seed)
	if err != nil {
		return err
	}
	return v.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		world := newInventor(size)
		if err := v.check(ctx, tx, world, add); err != nil {
			return err
		}
		if err := v.writePlaces(ctx, tx, world); err != nil {
			return err
		}
		if err := v.writeAttempts(ctx, tx, &history{world, pictures, map[[2]uuid.UUID]time.Time{}}); err != nil {
			return err
		}
		changes := map[string]audit.Change{}
		for name, n := range map[string]any{"users": size.Users, "landmarks": size.Landmarks, "attempts": size.Attempts, "seed": size.Seed} {
			changes[name] = audit.Change{After: json.RawMessage(fmt.Sprint(n))}
		}
		return audit.Insert(ctx, tx, audit.Event{Action: audit.Create, EntityType: "world", Changes: changes})
	})
}

func (v *Inventor) check(ctx context.Context, tx *store.Tx, world *inventor, add bool) error {
	if _, err := tx.ExecContext(ctx, lockWorld); err != nil {
		return fmt.Errorf("lock the seeding: %w", err)
	}
	if is, err := holds(ctx, tx, worldExists, world.external("area", "%")); err != nil || is {
		return errors.Join(err, onlyIf(is, ErrThere))
	}
	if add {
		return nil
	}
	is, err := holds(ctx, tx, foreign)
	return errors.Join(err, onlyIf(is, ErrForeign))
}

func onlyIf(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

// holds asks the database a question.
func holds(ctx context.Context, tx *store.Tx, statement string, args ...any) (is bool, err error) {
	rows, err := tx.QueryContext(ctx, statement, args...)
	if err != nil {
		return false, fmt.Errorf("look at what is there: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&is); err != nil {
			return false, fmt.Errorf("look at what is there: %w", err)
		}
	}
	return is, rows.Err()
}

// writePlaces writes the users, the areas and the landmarks.
func (v *Inventor) writePlaces(ctx context.Context, tx *store.Tx, world *inventor) error {
	world.inventUsers()
	if err := write(ctx, tx, insertUsers, world.users, v.PasswordHash, v.Role); err != nil {
		return err
	}
	if err := area.LockTree(ctx, tx, area.Shared); err != nil {
		return err
	}
	areas, err := world.inventAreas()
	if err != nil {
		return err
	}
	if err := write(ctx, tx, insertAreas, areas); err != nil {
		return err
	}
	for from := 0; from < world.size.Landmarks; from += perStatement {
		batch := make([]landmarkRow, min(perStatement, world.size.Landmarks-from))
		for n := range batch {
			if batch[n], err = world.inventLandmark(from + n + 1); err != nil {
				return err
			}
		}
		if err := write(ctx, tx, insertLandmarks, batch); err != nil {
			return err
		}
	}
	return nil
}

// writeAttempts writes the attempts, the photos and the unlocks.
func (v *Inventor) writeAttempts(ctx context.Context, tx *store.Tx, past *history) error {
	for from := 0; from < past.size.Attempts; from += photosAtOnce {
		batch := make([]attemptRow, min(photosAtOnce, past.size.Attempts-from))
		var unlocks []unlockRow
		for n := range batch {
			made, unlock, err := past.attempt()
			if err != nil {
				return err
			}
			if err := v.Storage.Put(ctx, made.Photo.Key, bytes.NewReader(made.file), made.Photo.ContentType); err != nil {
				return err
			}
			if made.Image, err = v.Pictures.Keep(ctx, made.folder(), made.rendered); err != nil {
				return err
			}
			batch[n] = made
			if unlock != nil {
				unlocks = append(unlocks, *unlock)
			}
		}
		if err := write(ctx, tx, insertAttempts, batch); err != nil {
			return err
		}
		if err := write(ctx, tx, insertUnlocks, unlocks); err != nil {
			return err
		}
	}
	return nil
}

// write writes rows, many with each statement.
func write[T any](ctx context.Context, tx *store.Tx, statement string, rows []T, args ...any) error {
	for len(rows) > 0 {
		n := min(len(rows), perStatement)
		data, err := json.Marshal(rows[:n])
		if err != nil {
			return fmt.Errorf("encode the world: %w", err)
		}
		if _, err := tx.ExecContext(ctx, statement, append([]any{string(data)}, args...)...); err != nil {
			return fmt.Errorf("write the world: %w", err)
		}
		rows = rows[n:]
	}
	return nil
}
