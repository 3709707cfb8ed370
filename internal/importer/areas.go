package importer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/webhook"
)

// place is where a landmark goes: a path of names of areas beneath one at the top, or from
// the top if within is empty.
type place struct {
	within string
	path   []string
}

// key is the path as one text. Names have no control characters.
func (p place) key() string { return strings.Join(p.path, "\x1f") }

// id tells places apart.
func (p place) id() string { return p.within + "\x1e" + p.key() }

// parent is the place above, which there is none of at the top.
func (p place) parent() (parent place, ok bool) {
	if len(p.path) == 0 || len(p.path) == 1 && p.within == "" {
		return place{}, false
	}
	return place{p.within, p.path[:len(p.path)-1]}, true
}

// name is that of the area at the place.
func (p place) name() string {
	if len(p.path) == 0 {
		return p.within
	}
	return p.path[len(p.path)-1]
}

// place is where a row says that its landmark goes.
func (r *run) place(row Row) place {
	switch {
	case len(row.AreaPath) > 0 && r.opts.IsRooted:
		return place{"", row.AreaPath}
	case row.AreaPath != nil:
		return place{r.opts.Area, row.AreaPath}
	case row.Area != "":
		return place{r.opts.Area, []string{row.Area}}
	default:
		return place{r.opts.Area, nil}
	}
}

// findAreas finds the areas of changes that are placed, and makes those that are missing.
// An area is neither looked for nor made for a landmark that stays where it is. It returns
// the places that would lie too deep, since people moved areas above them.
func (r *run) findAreas(ctx context.Context, tx *store.Tx, all ...[]change) (tooDeep map[string]bool, err error) {
	places := map[string]place{}
	for _, changes := range all {
		for _, c := range changes {
			if c.isPlaced {
				in := r.place(c.row)
				places[in.id()] = in
			}
		}
	}
	// The same order in every import, as with the rows.
	for _, id := range slices.Sorted(maps.Keys(places)) {
		_, err := r.area(ctx, tx, places[id])
		if errors.Is(err, area.ErrTooDeep) {
			if tooDeep == nil {
				tooDeep = map[string]bool{}
			}
			tooDeep[id] = true
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	for _, changes := range all {
		for i, c := range changes {
			if c.isPlaced {
				changes[i].area = r.areas[r.place(c.row).id()]
			}
		}
	}
	return tooDeep, nil
}

// area returns the area at a place. It is the one that an earlier import of the namespace
// used, whatever it is called now; else the one of the name; else it is made.
func (r *run) area(ctx context.Context, tx *store.Tx, in place) (uuid.UUID, error) {
	if id, ok := r.areas[in.id()]; ok {
		return id, nil
	}
	id, err := r.usedArea(ctx, tx, in)
	if err != nil {
		return uuid.Nil, err
	}
	if id == uuid.Nil {
		if id, err = r.namedArea(ctx, tx, in); err != nil {
			return uuid.Nil, fmt.Errorf("area %q: %w", in.name(), err)
		}
		_, err := tx.ExecContext(ctx, `-- name: importer_remember_area
INSERT INTO import_areas (namespace, within, name, area_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (namespace, within, name) DO UPDATE SET area_id = excluded.area_id`, r.opts.Namespace, in.within, in.key(), id)
		if err != nil {
			return uuid.Nil, fmt.Errorf("area %q: %w", in.name(), err)
		}
	}
	r.areas[in.id()] = id
	return id, nil
}

// usedArea returns the living area that an earlier import used for a name, or uuid.Nil.
// Served by the primary keys.
func (r *run) usedArea(ctx context.Context, tx *store.Tx, in place) (uuid.UUID, error) {
	rows, err := tx.QueryContext(ctx, `-- name: importer_area
SELECT a.id FROM import_areas o JOIN areas a ON a.id = o.area_id AND a.deleted_at IS NULL
WHERE o.namespace = $1 AND o.within = $2 AND o.name = $3`, r.opts.Namespace, in.within, in.key())
	if err != nil {
		return uuid.Nil, fmt.Errorf("area %q: %w", in.name(), err)
	}
	defer rows.Close()
	var id uuid.UUID
	for rows.Next() {
		if err := rows.Scan(&id); err != nil {
			return uuid.Nil, fmt.Errorf("area %q: %w", in.name(), err)
		}
	}
	return id, rows.Err()
}

// namedArea returns the area of a name at its place, and makes it if it is missing.
func (r *run) namedArea(ctx context.Context, tx *store.Tx, in place) (uuid.UUID, error) {
	query := tx.Area.Query().Where(area.Named(in.name()), entarea.ParentAreaIDIsNil())
	create := tx.Area.Create().SetName(in.name())
	var top uuid.UUID
	if above, ok := in.parent(); ok {
		var err error
		if top, err = r.area(ctx, tx, above); err != nil {
			return uuid.Nil, err
		}
		query = tx.Area.Query().Where(area.Named(in.name()), entarea.ParentAreaID(top))
		create = tx.Area.Create().SetName(in.name()).SetParentAreaID(top)
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
