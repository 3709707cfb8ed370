package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
)

// Unlock says that a user has found a landmark. There is one at most for each
// user and landmark among the living: the index below says so.
type Unlock struct{ ent.Schema }

// Mixin gives unlocks their id, times, soft deletion and audit trail.
func (Unlock) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}, mixin.SoftDelete{}, mixin.Audit{Table: "unlocks", Entity: "unlock", Personal: []string{"caption"}}}
}

// Fields of an unlock.
func (Unlock) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		field.UUID("landmark_id", uuid.UUID{}).Immutable(),
		field.UUID("attempt_id", uuid.UUID{}).Optional().Nillable().Immutable(),
		field.Bool("is_posted_to_feed").Default(false),
		field.String("caption").MaxRuneLen(500).Default(""),
	}
}

// Edges of an unlock.
func (Unlock) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("unlocks").Field("user_id").Unique().Required().Immutable(),
		edge.From("landmark", Landmark.Type).Ref("unlocks").Field("landmark_id").Unique().Required().Immutable(),
		edge.From("attempt", Attempt.Type).Ref("unlocks").Field("attempt_id").Unique().Immutable(),
	}
}

// Indexes of an unlock.
func (Unlock) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "landmark_id").Unique().Annotations(living),
		// Not of the living only: they also serve the foreign keys when a user or a
		// landmark is purged.
		index.Fields("user_id", "created_at", "id"),
		index.Fields("landmark_id", "created_at", "id"),
		index.Fields("attempt_id"),
		index.Fields("created_at", "id").Annotations(living),
		index.Fields("updated_at", "id").Annotations(living),
	}
}
