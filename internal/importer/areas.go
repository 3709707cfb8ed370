package importer

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/webhook"
)

// findAreas finds the areas of changes that are placed, and makes those that are missing.
// An area is neither looked for nor made for a landmark that stays where it is.
func (r *run) findAreas(ctx context.Context, tx *store.Tx, all ...[]change) error {
	called := map[string]bool{}
	for _, changes := range all {
		for _, c := range changes {
			if c.isPlaced {
				called[c.row.Area] = true
			}
		}
	}
	// The same order in every import, as with the rows.
	for _, name := range slices.Sorted(maps.Keys(called)) {
		if _, err := r.area(ctx, tx, name); err != nil {
			return err
		}
	}
	for _, changes := range all {
		for i, c := range changes {
			if c.isPlaced {
				changes[i].area = r.areas[c.row.Area]
			}
		}
	}
	return nil
}

// area returns the area that a name stands for, which is beneath the import's own; that
// one itself for an empty name. It is the area that an earlier import of the namespace
// used, whatever it is called now; else the one of the name; else it is made.
func (r *run) area(ctx context.Context, tx *store.Tx, called string) (uuid.UUID, error) {
	if id, ok := r.areas[called]; ok {
		return id, nil
	}
	id, err := r.usedArea(ctx, tx, called)
	if err != nil {
		return uuid.Nil, err
	}
	if id == uuid.Nil {
		if id, err = r.namedArea(ctx, tx, called); err != nil {
			return uuid.Nil, fmt.Errorf("area %q: %w", called, err)
		}
		_, err := tx.ExecContext(ctx, `-- name: importer_remember_area
INSERT INTO import_areas (namespace, within, name, area_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (namespace, within, name) DO UPDATE SET area_id = excluded.area_id`, r.opts.Namespace, r.opts.Area, called, id)
		if err != nil {
			return uuid.Nil, fmt.Errorf("area %q: %w", called, err)
		}
	}
	r.areas[called] = id
	return id, nil
}

// usedArea returns the living area that an earlier import used for a name, or uuid.Nil.
// Served by the primary keys.
func (r *run) usedArea(ctx context.Context, tx *store.Tx, called string) (uuid.UUID, error) {
	rows, err := tx.QueryContext(ctx, `-- name: importer_area
SELECT a.id FROM import_areas o JOIN areas a ON a.id = o.area_id AND a.deleted_at IS NULL
WHERE o.namespace = $1 AND o.within = $2 AND o.name = $3`, r.opts.Namespace, r.opts.Area, called)
	if err != nil {
		return uuid.Nil, fmt.Errorf("area %q: %w", called, err)
	}
	defer rows.Close()
	var id uuid.UUID
	for rows.Next() {
		if err := rows.Scan(&id); err != nil {
			return uuid.Nil, fmt.Errorf("area %q: %w", called, err)
		}
	}
	return id, rows.Err()
}

// namedArea returns the area of a name at its place, and makes it if it is missing.
func (r *run) namedArea(ctx context.Context, tx *store.Tx, called string) (uuid.UUID, error) {
	query := tx.Area.Query().Where(area.Named(r.opts.Area), entarea.ParentAreaIDIsNil())
	create := tx.Area.Create().SetName(r.opts.Area)
	var top uuid.UUID
	if called != "" {
		var err error
		if top, err = r.area(ctx, tx, ""); err != nil {
			return uuid.Nil, err
		}
		query = tx.Area.Query().Where(area.Named(called), entarea.ParentAreaID(top))
		create = tx.Area.Create().SetName(called).SetParentAreaID(top)
	}
	found, err := query.Order(entarea.ByCreatedAt(), entarea.ByID()).First(ctx)
	if !ent.IsNotFound(err) {
		if err != nil {
			return uuid.Nil, err
		}
		return found.ID, nil
	}
	if top != uuid.Nil {
		// It may have been moved since it was made.
		if err := area.CheckParent(ctx, tx, uuid.Nil, top, 1); err != nil {
			return uuid.Nil, err
		}
	}
	if found, err = create.SetCreatedBy(r.opts.Owner).SetIsVerified(r.opts.IsVerified).Save(ctx); err != nil {
		return uuid.Nil, err
	}
	return found.ID, webhook.Emit(ctx, tx, webhook.AreaCreated, webhook.OfArea(found))
}
