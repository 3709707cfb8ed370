// Package mixin holds what entities have in common: keys, times, soft deletion
// and the audit trail. A schema that takes a mixin has its behaviour; no
// service has to call it.
package mixin

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"
	"github.com/google/uuid"
)

// Now is the present, in UTC and cut to PostgreSQL's resolution, so that what
// was written equals what is read back.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// NewID makes a UUID version 7 (RFC 9562), which sorts by the time it was made.
// It panics when the system has no randomness.
func NewID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// ID gives an entity a UUIDv7 key.
type ID struct{ mixin.Schema }

// Fields of the mixin.
func (ID) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(NewID).Immutable(),
	}
}

// Time gives an entity the times of its creation and last change.
type Time struct{ mixin.Schema }

// Fields of the mixin.
func (Time) Fields() []ent.Field {
	return []ent.Field{
		field.Time("created_at").Default(Now).Immutable(),
		field.Time("updated_at").Default(Now).UpdateDefault(Now),
	}
}
