// Package importer takes landmarks in from files: streaming, in batches, with a
// report of what it could not take. A second run of the same file changes nothing.
// Package source reads the files' formats.
package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/importer/source"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/name"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/webhook"
)

// Options say where landmarks go.
type Options struct {
	// Namespace keeps the ids of different files apart; usually the file's name.
	Namespace string
	// Area is the name of the area at the top that takes the landmarks; it is made
	// if it is missing. A row that names an area goes to that one, beneath it.
	Area string
	// Owner becomes the creator.
	Owner uuid.UUID
	// IsVerified marks what is new as checked.
	IsVerified bool
	// BatchSize is how many rows one transaction takes; 0 is [DefaultBatch].
	BatchSize int
	// IsStrict ends the import at the first row that can't be taken, with
	// [ErrRejected]. The batch it belongs to is not written.
	IsStrict bool
	// IsDryRun writes nothing: each batch is rolled back, and the report is what a
	// run would have done.
	IsDryRun bool
	// Accepted is called for each row of the file that can be taken, before it is
	// written.
	Accepted func(Row)
	// Rejected is called for each row that can't be taken.
	Rejected func(Rejected)
	// Progress is called after each batch.
	Progress func(Report)
}

// Report counts what became of the rows.
type Report struct {
	Read      int `json:"read"`
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Rejected  int `json:"rejected"`
}

// DefaultBatch is how many rows one transaction takes.
const DefaultBatch = 1000

// ErrRejected ends a strict import.
var ErrRejected = errors.New("a row can't be taken, and the import is strict")

// errDryRun rolls a batch of a dry run back.
var errDryRun = errors.New("nothing is written in a dry run")

// Import takes all rows of a source in. Each batch is one transaction, so an
// import that was killed goes on where it was when it is run again; rows that
// are as they were before are left alone. Rows that were deleted since an
// earlier import stay deleted and are reported as rejected.
func Import(ctx context.Context, s *store.Store, src *Source, opts Options) (Report, error) {
	if opts.BatchSize == 0 {
		opts.BatchSize = DefaultBatch
	}
	clean, err := name.Clean("", opts.Area, name.MaxCharacters)
	if err != nil {
		return Report{}, fmt.Errorf("the area's name: %w", err)
	}
	opts.Area = clean
	run := &run{store: s, opts: opts, areas: map[string]uuid.UUID{}, seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
	ctx = authz.WithCaller(ctx, authz.Caller{UserID: opts.Owner})
	batch := make([]Row, 0, opts.BatchSize)
	for {
		row, rejected, err := src.Next()
		if errors.Is(err, io.EOF) {
			err := run.write(ctx, batch)
			return run.report, err
		}
		if errors.Is(err, source.ErrReferenceSystem) {
			return run.report, err
		}
		if err != nil {
			// What was read before the fault is taken.
			return run.report, errors.Join(err, run.write(ctx, batch))
		}
		run.report.Read++
		if rejected == nil {
			row.ExternalID = row.externalID(opts.Namespace)
			if !run.isNew(row.ExternalID) {
				rejected = &Rejected{Line: row.Line, Name: row.Name, Reasons: []string{fmt.Sprintf("an earlier row has the same id, %q", row.ExternalID)}}
			}
		}
		if rejected != nil {
			if run.reject(*rejected); opts.IsStrict {
				return run.report, ErrRejected
			}
			continue
		}
		if opts.Accepted != nil {
			opts.Accepted(row)
		}
		if batch = append(batch, row); len(batch) == opts.BatchSize {
			if err := run.write(ctx, batch); err != nil {
				return run.report, err
			}
			batch = batch[:0]
		}
	}
}

type run struct {
	store  *store.Store
	opts   Options
	report Report
	areas  map[string]uuid.UUID // by name; "" is the one at the top
	// seen has the hashes of the ids, 8 bytes for each row of the file.
	seen map[uint64]struct{}
	seed maphash.Seed
}

func (r *run) isNew(externalID string) bool {
	hash := maphash.String(r.seed, externalID)
	_, seen := r.seen[hash]
	r.seen[hash] = struct{}{}
	return !seen
}

func (r *run) reject(rejected Rejected) {
	r.report.Rejected++
	if r.opts.Rejected != nil {
		r.opts.Rejected(rejected)
	}
}

func (r *run) write(ctx context.Context, batch []Row) error {
	if len(batch) == 0 {
		return nil
	}
	// The same order in every import: two at once wait for each other, and no more.
	slices.SortFunc(batch, func(a, b Row) int { return strings.Compare(a.ExternalID, b.ExternalID) })
	var outcome Report
	var deleted []Row
	known := r.areas
	try := func(ctx context.Context, tx *store.Tx) (err error) {
		// Areas that an attempt made are not there when it was rolled back.
		r.areas = maps.Clone(known)
		outcome, deleted, err = r.writeBatch(ctx, tx, batch)
		switch {
		case err != nil:
			return err
		case r.opts.IsStrict && len(deleted) > 0:
			return ErrRejected
		case r.opts.IsDryRun:
			return errDryRun
		default:
			return nil
		}
	}
	err := r.store.InTx(ctx, try)
	// Another import made the same area or landmark meanwhile, and has committed it: the
	// next attempt finds it. Each has one more of what the batch needs, so it ends.
	for range 2 * len(batch) {
		if !isMadeMeanwhile(err) {
			break
		}
		err = r.store.InTx(ctx, try)
	}
	if err != nil {
		r.areas = known
	}
	switch {
	case err == nil, errors.Is(err, errDryRun):
		r.report.Created += outcome.Created
		r.report.Updated += outcome.Updated
		r.report.Unchanged += outcome.Unchanged
	case errors.Is(err, ErrRejected):
		deleted = deleted[:1]
	default:
		first, last := batch[0].Line, batch[0].Line
		for _, row := range batch {
			first, last = min(first, row.Line), max(last, row.Line)
		}
		return fmt.Errorf("lines %d to %d: %w", first, last, err)
	}
	for _, row := range deleted {
		r.reject(Rejected{Line: row.Line, Name: row.Name, Reasons: []string{"it was deleted after an earlier import"}})
	}
	if errors.Is(err, ErrRejected) {
		return ErrRejected
	}
	if r.opts.Progress != nil {
		r.opts.Progress(r.report)
	}
	return nil
}

// isMadeMeanwhile reports whether a batch failed since another transaction made what it
// was about to make.
func isMadeMeanwhile(err error) bool {
	return slices.ContainsFunc([]string{"area_root_name", "area_parent_name", "landmark_external_id"}, func(index string) bool {
		return store.IsUnique(err, index)
	})
}

func (r *run) writeBatch(ctx context.Context, tx *store.Tx, batch []Row) (Report, []Row, error) {
	if err := area.LockTree(ctx, tx, area.Shared); err != nil {
		return Report{}, nil, err
	}
	ids := make([]string, len(batch))
	for i, row := range batch {
		ids[i] = row.ExternalID
	}
	before, err := rowsOf(ctx, tx, "-- name: importer_living\nSELECT external_id, to_jsonb(l) FROM landmarks l WHERE external_id = ANY($1) AND deleted_at IS NULL ORDER BY external_id FOR UPDATE", pgtype.FlatArray[string](ids))
	if err != nil {
		return Report{}, nil, err
	}
	gone, err := rowsOf(ctx, tx, "-- name: importer_deleted\nSELECT DISTINCT external_id, '{}'::jsonb FROM landmarks WHERE external_id = ANY($1) AND deleted_at IS NOT NULL", pgtype.FlatArray[string](ids))
	if err != nil {
		return Report{}, nil, err
	}
	var living, deleted []Row
	for _, row := range batch {
		if before[row.ExternalID] == nil && gone[row.ExternalID] != nil {
			deleted = append(deleted, row)
			continue
		}
		living = append(living, row)
	}
	args, err := r.columns(ctx, tx, living)
	if err != nil {
		return Report{}, nil, err
	}
	after, err := rowsOf(ctx, tx, upsert, args...)
	if err != nil {
		return Report{}, nil, err
	}
	report := Report{Unchanged: len(living) - len(after)}
	events := make([]audit.Event, 0, len(after))
	var created, updated []uuid.UUID
	for _, row := range living {
		changed, ok := after[row.ExternalID]
		if !ok {
			continue
		}
		var id uuid.UUID
		if err := json.Unmarshal(changed["id"], &id); err != nil {
			return Report{}, nil, fmt.Errorf("read the landmark's id: %w", err)
		}
		if before[row.ExternalID] == nil {
			created = append(created, id)
		} else {
			updated = append(updated, id)
		}
		if event, differs := audit.Compare("landmark", id, before[row.ExternalID], changed); differs {
			events = append(events, event)
		}
	}
	report.Created, report.Updated = len(created), len(updated)
	if err := audit.Insert(ctx, tx, events...); err != nil {
		return Report{}, nil, err
	}
	told, err := webhook.Listeners(ctx, tx)
	if err != nil {
		return Report{}, nil, err
	}
	if err := tell(ctx, tx, told, webhook.LandmarkCreated, created); err != nil {
		return Report{}, nil, err
	}
	return report, deleted, tell(ctx, tx, told, webhook.LandmarkUpdated, updated)
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

// upsert inserts rows and updates those that are there and differ; it returns
// what it wrote. Served by landmark_external_id.
const upsert = `-- name: importer_upsert
INSERT INTO landmarks AS l (id, created_at, updated_at, area_id, name, description, hint, difficulty, location,
  unlock_radius_meters, photo_radius_meters, created_by, is_verified, external_id)
SELECT i.id, $8, $8, i.area_id, i.name, i.description, i.hint, $9, i.location::geography, $10, $11, $12, $13, i.external_id
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[])
  AS i(id, external_id, area_id, name, description, hint, location)
ON CONFLICT (external_id) WHERE deleted_at IS NULL DO UPDATE SET
  updated_at = excluded.updated_at, area_id = excluded.area_id, name = excluded.name,
  description = excluded.description, hint = excluded.hint, location = excluded.location
WHERE (l.area_id, l.name, l.description, l.hint, l.location)
  IS DISTINCT FROM (excluded.area_id, excluded.name, excluded.description, excluded.hint, excluded.location)
RETURNING external_id, to_jsonb(l)`

// columns are the arguments of [upsert].
func (r *run) columns(ctx context.Context, tx *store.Tx, rows []Row) ([]any, error) {
	n := len(rows)
	ids, areas := make(pgtype.FlatArray[uuid.UUID], n), make(pgtype.FlatArray[uuid.UUID], n)
	externalIDs, names, descriptions := make(pgtype.FlatArray[string], n), make(pgtype.FlatArray[string], n), make(pgtype.FlatArray[string], n)
	hints, locations := make(pgtype.FlatArray[string], n), make(pgtype.FlatArray[string], n)
	for i, row := range rows {
		in, err := r.area(ctx, tx, row.Area)
		if err != nil {
			return nil, err
		}
		location, err := row.Location.Value()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", row.Line, err)
		}
		ids[i], areas[i], externalIDs[i] = mixin.NewID(), in, row.ExternalID
		names[i], descriptions[i], hints[i], locations[i] = row.Name, row.Description, row.Hint, fmt.Sprint(location)
	}
	return []any{
		ids, externalIDs, areas, names, descriptions, hints, locations, mixin.Now(),
		landmark.DefaultDifficulty, landmark.DefaultUnlockRadiusMeters, landmark.DefaultPhotoRadiusMeters, r.opts.Owner, r.opts.IsVerified,
	}, nil
}

// rowsOf reads rows as JSON by their external ids.
func rowsOf(ctx context.Context, tx *store.Tx, statement string, args ...any) (map[string]audit.Row, error) {
	rows, err := tx.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("write landmarks: %w", err)
	}
	defer rows.Close()
	found := map[string]audit.Row{}
	for rows.Next() {
		var id string
		var data []byte
		if err := rows.Scan(&id, &data); err != nil {
			return nil, fmt.Errorf("write landmarks: %w", err)
		}
		var row audit.Row
		if err := json.Unmarshal(data, &row); err != nil {
			return nil, fmt.Errorf("write landmarks: %w", err)
		}
		found[id] = row
	}
	return found, rows.Err()
}

// area returns the area of a name beneath the import's own, and makes it if it
// is missing.
func (r *run) area(ctx context.Context, tx *store.Tx, called string) (uuid.UUID, error) {
	if id, ok := r.areas[called]; ok {
		return id, nil
	}
	query := tx.Area.Query().Where(area.Named(r.opts.Area), entarea.ParentAreaIDIsNil())
	create := tx.Area.Create().SetName(r.opts.Area)
	if called != "" {
		top, err := r.area(ctx, tx, "")
		if err != nil {
			return uuid.Nil, err
		}
		query = tx.Area.Query().Where(area.Named(called), entarea.ParentAreaID(top))
		create = tx.Area.Create().SetName(called).SetParentAreaID(top)
	}
	found, err := query.Order(entarea.ByCreatedAt(), entarea.ByID()).First(ctx)
	if ent.IsNotFound(err) {
		found, err = create.SetCreatedBy(r.opts.Owner).SetIsVerified(r.opts.IsVerified).Save(ctx)
		if err == nil {
			err = webhook.Emit(ctx, tx, webhook.AreaCreated, webhook.OfArea(found))
		}
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("area %q: %w", called, err)
	}
	r.areas[called] = found.ID
	return found.ID, nil
}
