package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/webhook"
)

// selectLiving finds the landmarks that earlier imports made of rows. Served by
// landmark_external_id and the primary key of import_landmarks.
const selectLiving = `-- name: importer_living
SELECT l.external_id, to_jsonb(l), o.said FROM landmarks l LEFT JOIN import_landmarks o ON o.landmark_id = l.id
WHERE l.external_id = ANY($1) AND l.deleted_at IS NULL ORDER BY l.external_id FOR UPDATE OF l`

// selectDeleted finds those that were deleted. Served by landmark_deleted_external_id.
const selectDeleted = `-- name: importer_deleted
SELECT DISTINCT external_id, '{}'::jsonb, NULL::jsonb FROM landmarks WHERE external_id = ANY($1) AND deleted_at IS NOT NULL`

// writeBatch takes rows in, and returns those that can't be taken.
func (r *run) writeBatch(ctx context.Context, tx *store.Tx, batch []Row) (Report, []Rejected, error) {
	if err := area.LockTree(ctx, tx, area.Shared); err != nil {
		return Report{}, nil, err
	}
	ids := make(pgtype.FlatArray[string], len(batch))
	for i, row := range batch {
		ids[i] = row.ExternalID
	}
	before, err := landmarksOf(ctx, tx, selectLiving, ids)
	if err != nil {
		return Report{}, nil, err
	}
	gone, err := landmarksOf(ctx, tx, selectDeleted, ids)
	if err != nil {
		return Report{}, nil, err
	}
	var rejected []Rejected
	var created, updated []change
	for _, row := range batch {
		was, isThere := before[row.ExternalID]
		_, isGone := gone[row.ExternalID]
		switch {
		case isThere:
			c, err := r.update(row, was)
			if err != nil {
				return Report{}, nil, err
			}
			updated = append(updated, c)
		case isGone:
			rejected = append(rejected, row.rejected("it was deleted after an earlier import"))
		default:
			created = append(created, r.create(row))
		}
	}
	tooDeep, err := r.findAreas(ctx, tx, created, updated)
	if err != nil {
		return Report{}, nil, err
	}
	fits := func(c change) bool {
		isTooDeep := c.isPlaced && tooDeep[r.place(c.row).id()]
		if isTooDeep {
			rejected = append(rejected, c.row.rejected(reasonTooDeep))
		}
		return !isTooDeep
	}
	created, updated = keep(created, fits), keep(updated, fits)
	report, err := r.writeChanges(ctx, tx, created, updated, before)
	return report, rejected, err
}

// keep returns the changes of which a function says so.
func keep(changes []change, is func(change) bool) []change {
	return slices.DeleteFunc(changes, func(c change) bool { return !is(c) })
}

// writeChanges writes landmarks and what their rows say, records it, and tells the
// webhooks.
func (r *run) writeChanges(ctx context.Context, tx *store.Tx, created, updated []change, before map[string]made) (Report, error) {
	now := mixin.Now()
	createdAt, updatedAt := times(created)
	inserted, err := landmarksOf(ctx, tx, insertLandmarks, arguments(created, now, createdAt, updatedAt, r.opts.Owner)...)
	if err != nil {
		return Report{}, err
	}
	changed, err := landmarksOf(ctx, tx, updateLandmarks, arguments(updated, now)...)
	if err != nil {
		return Report{}, err
	}
	for _, changes := range [][]change{created, updated} {
		if err := remember(ctx, tx, changes); err != nil {
			return Report{}, err
		}
	}
	var events []audit.Event
	record := func(changes []change, after map[string]made) (ids []uuid.UUID) {
		for _, c := range changes {
			is, ok := after[c.row.ExternalID]
			if !ok {
				continue
			}
			ids = append(ids, c.id)
			if event, differs := audit.Compare("landmark", c.id, before[c.row.ExternalID].landmark, is.landmark); differs {
				events = append(events, event)
			}
		}
		return ids
	}
	fresh, other := record(created, inserted), record(updated, changed)
	if err := audit.Insert(ctx, tx, events...); err != nil {
		return Report{}, err
	}
	told, err := webhook.Listeners(ctx, tx)
	if err != nil {
		return Report{}, err
	}
	if err := tell(ctx, tx, told, webhook.LandmarkCreated, fresh); err != nil {
		return Report{}, err
	}
	return Report{Created: len(fresh), Updated: len(other), Unchanged: len(updated) - len(other)}, tell(ctx, tx, told, webhook.LandmarkUpdated, other)
}

// tell tells the webhooks that are for an event of it, for each of some landmarks.
func tell(ctx context.Context, tx *store.Tx, told webhook.Told, event webhook.Event, ids []uuid.UUID) error {
	if told = told.Of(event); len(told) == 0 || len(ids) == 0 {
		return nil
	}
	found, err := tx.Landmark.Query().Where(entlandmark.IDIn(ids...)).All(ctx)
	if err != nil {
		return fmt.Errorf("read the landmarks: %w", err)
	}
	data := make([]any, len(found))
	for i, l := range found {
		data[i] = webhook.OfLandmark(l)
	}
	return told.Emit(ctx, tx, event, data...)
}

// made is a landmark that an import made, and what the file said of it at its last
// import; said is nil if that was not kept.
type made struct {
	landmark audit.Row
	said     map[string]string
}

// landmarksOf reads landmarks by their external ids.
func landmarksOf(ctx context.Context, tx *store.Tx, statement string, args ...any) (map[string]made, error) {
	rows, err := tx.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("write landmarks: %w", err)
	}
	defer rows.Close()
	found := map[string]made{}
	for rows.Next() {
		var id string
		var landmark, said []byte
		if err := rows.Scan(&id, &landmark, &said); err != nil {
			return nil, fmt.Errorf("write landmarks: %w", err)
		}
		var m made
		if err := json.Unmarshal(landmark, &m.landmark); err != nil {
			return nil, fmt.Errorf("write landmarks: %w", err)
		}
		if said != nil {
			if err := json.Unmarshal(said, &m.said); err != nil {
				return nil, fmt.Errorf("write landmarks: %w", err)
			}
		}
		found[id] = m
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("write landmarks: %w", err)
	}
	return found, nil
}
