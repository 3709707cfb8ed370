package audit

import (
	"encoding/json"
	"slices"

	"github.com/google/uuid"
)

// Row is a row of a table as PostgreSQL's to_jsonb has it.
type Row map[string]json.RawMessage

// unrecorded columns say nothing that the record does not say by itself.
var unrecorded = []string{"id", "created_at", "updated_at"}

// Compare makes the event of a row that was before and is after, either of which
// is nil where the row was not or is no more. It reports false when nothing
// changed. Secret columns are recorded as changed, without their values.
func Compare(entityType string, id uuid.UUID, before, after Row, secret ...string) (Event, bool) {
	changes := map[string]Change{}
	for _, row := range []Row{before, after} {
		for name := range row {
			if _, seen := changes[name]; seen || slices.Contains(unrecorded, name) || string(before[name]) == string(after[name]) {
				continue
			}
			if before == nil && string(after[name]) == "null" { // A new row says what it has.
				continue
			}
			change := Change{Before: before[name], After: after[name]}
			if slices.Contains(secret, name) {
				change = Change{}
			}
			changes[name] = change
		}
	}
	return Event{Action: actionOf(before, after), EntityType: entityType, EntityID: id, Changes: changes}, len(changes) > 0
}

// actionOf tells what a change was. Soft deletion reaches the database as an
// update of deleted_at.
func actionOf(before, after Row) Action {
	isDeleted := func(row Row) bool { return row["deleted_at"] != nil && string(row["deleted_at"]) != "null" }
	switch {
	case before == nil:
		return Create
	case after == nil:
		return Purge
	case !isDeleted(before) && isDeleted(after):
		return Delete
	case isDeleted(before) && !isDeleted(after):
		return Restore
	default:
		return Update
	}
}
