package importer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/store"
)

// column is a column of landmarks that rows fill.
type column struct {
	name string
	// kind is the type that a row's text is cast to.
	kind string
	// missing is the value of a new landmark of whose column the file says nothing.
	missing string
}

var columns = []column{
	{"name", "text", ""},
	{"description", "text", ""},
	{"hint", "text", ""},
	{"location", "geography", ""},
	{columnDifficulty, "int", strconv.Itoa(landmark.DefaultDifficulty)},
	{columnUnlockRadius, "float8", strconv.Itoa(landmark.DefaultUnlockRadiusMeters)},
	{columnPhotoLocation, "geography", ""},
	{columnPhotoRadius, "float8", strconv.Itoa(landmark.DefaultPhotoRadiusMeters)},
	{columnVerified, "bool", "false"},
}

// value writes the value of a column of the rows, which is an empty text for none.
func (c column) value() string {
	if c.kind == "text" {
		return "i." + c.name
	}
	return "NULLIF(i." + c.name + ", '')::" + c.kind
}

// What rows say beside [columns]: the area that takes everything, and the path beneath.
const (
	saysWithin = "within"
	saysArea   = "area"
)

// says is what a row says, by column. A column that the file does not have is missing.
func (r Row) says() map[string]string {
	says := map[string]string{"name": r.Name, "location": r.Location.EWKT()}
	if r.HasDescription {
		says["description"] = r.Description
	}
	if r.HasHint {
		says["hint"] = r.Hint
	}
	maps.Copy(says, r.values)
	return says
}

// says is what a row says of a landmark and its place.
func (r *run) says(row Row) map[string]string {
	says := row.says()
	if !r.opts.MayVerify {
		delete(says, columnVerified)
	}
	in := r.place(row)
	says[saysWithin] = in.within
	if row.HasArea || row.AreaPath != nil {
		says[saysArea] = in.key()
	}
	return says
}

// change is what becomes of a row's landmark.
type change struct {
	row Row
	id  uuid.UUID
	// values are written; other columns stay.
	values map[string]string
	// isPlaced tells that the landmark goes to the row's area, which is area when that
	// was found.
	isPlaced bool
	area     uuid.UUID
	// said is what the file said, to be kept; nil if that is known already.
	said map[string]string
}

// create makes a new landmark of a row.
func (r *run) create(row Row) change {
	c := change{row: row, id: row.id, values: r.says(row), isPlaced: true, said: map[string]string{}}
	for name, value := range c.values {
		c.said[name] = digest(value)
	}
	if _, isSaid := c.values[columnVerified]; r.opts.IsVerified && !isSaid {
		c.values[columnVerified] = "true"
	}
	for _, column := range columns {
		if _, ok := c.values[column.name]; !ok {
			c.values[column.name] = column.missing
		}
	}
	return c
}

// update changes the columns of a landmark of which the file says something else than
// it did at the last import. If that was not kept, the row is believed unless the
// landmark has changed since it was made.
func (r *run) update(row Row, was made) (change, error) {
	c := change{row: row, values: map[string]string{}}
	if err := json.Unmarshal(was.landmark["id"], &c.id); err != nil {
		return change{}, fmt.Errorf("read the landmark's id: %w", err)
	}
	isEdited := was.said == nil && string(was.landmark["created_at"]) != string(was.landmark["updated_at"])
	says := r.says(row)
	said := maps.Clone(was.said)
	if said == nil {
		said = map[string]string{}
	}
	for name, value := range says {
		last, isKnown := said[name]
		if isKnown && last == digest(value) {
			continue
		}
		said[name] = digest(value)
		c.said = said
		switch {
		case isEdited:
		case name == saysWithin || name == saysArea:
			c.isPlaced = true
		default:
			c.values[name] = value
		}
	}
	_, isRenamed := c.values["name"]
	_, isMoved := c.values["location"]
	if _, isSpotMoved := c.values[columnPhotoLocation]; !r.opts.MayVerify && (isRenamed || isMoved || isSpotMoved) {
		c.values[columnVerified] = "false"
	}
	return c, nil
}

// digest is a value as it is kept to compare with: long ones as their SHA-256.
func digest(value string) string {
	if len(value) <= 64 {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// insertLandmarks and updateLandmarks write changes and return what they wrote: the ids,
// external ids, areas and [columns] of the changes are arrays, in which null leaves a
// value as it is. A landmark that has the values already is not written.
var insertLandmarks, updateLandmarks = func() (insert, update string) {
	var names, values, arrays, sets, old, changed []string
	for i, c := range columns {
		names = append(names, c.name)
		value := c.value()
		values = append(values, value)
		kept := fmt.Sprintf("CASE WHEN i.%s IS NULL THEN l.%s ELSE %s END", c.name, c.name, value)
		sets = append(sets, c.name+" = "+kept)
		old, changed = append(old, "l."+c.name), append(changed, kept)
		arrays = append(arrays, fmt.Sprintf("$%d::text[]", i+5))
	}
	list := func(parts []string) string { return strings.Join(parts, ", ") }
	from := func(arrays, names []string) string {
		return "unnest($2::uuid[], $3::text[], $4::uuid[], " + list(arrays) + ") AS i(id, external_id, area_id, " + list(names) + ")"
	}
	n := len(columns) + 5
	times := []string{fmt.Sprintf("$%d::timestamptz[]", n), fmt.Sprintf("$%d::timestamptz[]", n+1)}
	insert = fmt.Sprintf(`-- name: importer_insert
INSERT INTO landmarks AS l (id, created_at, updated_at, external_id, area_id, created_by, %s)
SELECT i.id, coalesce(i.created_at, $1), coalesce(i.updated_at, $1), i.external_id, i.area_id, $%d, %s FROM %s
RETURNING external_id, to_jsonb(l), NULL::jsonb`, list(names), n+2, list(values),
		from(append(slices.Clone(arrays), times...), append(slices.Clone(names), "created_at", "updated_at")))
	update = fmt.Sprintf(`-- name: importer_update
UPDATE landmarks l SET updated_at = $1, area_id = coalesce(i.area_id, l.area_id),
  verified_target = CASE WHEN i.is_verified IS NULL THEN l.verified_target END, %s FROM %s
WHERE l.id = i.id AND (l.area_id, %s) IS DISTINCT FROM (coalesce(i.area_id, l.area_id), %s)
RETURNING l.external_id, to_jsonb(l), NULL::jsonb`, list(sets), from(arrays, names), list(old), list(changed))
	return insert, update
}()

// arguments are those of [insertLandmarks] and [updateLandmarks], and more behind them.
func arguments(changes []change, now time.Time, more ...any) []any {
	ids, areas := make(pgtype.FlatArray[uuid.UUID], len(changes)), make(pgtype.FlatArray[*uuid.UUID], len(changes))
	externalIDs := make(pgtype.FlatArray[string], len(changes))
	for i, c := range changes {
		ids[i], externalIDs[i] = c.id, c.row.ExternalID
		if c.isPlaced {
			areas[i] = &c.area
		}
	}
	args := []any{now, ids, externalIDs, areas}
	for _, column := range columns {
		values := make(pgtype.FlatArray[*string], len(changes))
		for i, c := range changes {
			if value, ok := c.values[column.name]; ok {
				values[i] = &value
			}
		}
		args = append(args, values)
	}
	return append(args, more...)
}

// times are when new landmarks were made and last changed, where their rows say so.
func times(created []change) (createdAt, updatedAt pgtype.FlatArray[*time.Time]) {
	orNil := func(at time.Time) *time.Time {
		if at.IsZero() {
			return nil
		}
		return &at
	}
	for _, c := range created {
		createdAt, updatedAt = append(createdAt, orNil(c.row.createdAt)), append(updatedAt, orNil(c.row.updatedAt))
	}
	return createdAt, updatedAt
}

// remember keeps what the file said, for the next import.
func remember(ctx context.Context, tx *store.Tx, changes []change) error {
	var ids pgtype.FlatArray[uuid.UUID]
	var said pgtype.FlatArray[string]
	for _, c := range changes {
		if c.said == nil {
			continue
		}
		text, err := json.Marshal(c.said)
		if err != nil {
			return fmt.Errorf("line %d: %w", c.row.Line, err)
		}
		ids, said = append(ids, c.id), append(said, string(text))
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `-- name: importer_remember
INSERT INTO import_landmarks (landmark_id, said) SELECT * FROM unnest($1::uuid[], $2::jsonb[])
ON CONFLICT (landmark_id) DO UPDATE SET said = excluded.said`, ids, said)
	if err != nil {
		return fmt.Errorf("keep what the file said: %w", err)
	}
	return nil
}
