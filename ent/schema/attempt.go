package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/verify"
)

// Attempt is a photo handed in for a landmark with the position that the
// device claims. It is decided exactly once.
type Attempt struct{ ent.Schema }

// Mixin gives attempts their id, times and audit trail. They are evidence and
// are kept: no soft deletion.
func (Attempt) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}, mixin.Audit{Table: "attempts", Entity: "attempt", Personal: []string{"location", "accuracy_meters", "photo", "image", "checks"}}}
}

// Fields of an attempt.
func (Attempt) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		field.UUID("landmark_id", uuid.UUID{}).Immutable(),
		field.Enum("status").Values("pending", "succeeded", "failed", "needs_review").Default("pending"),
		field.Other("location", geo.Point{}).SchemaType(geography).Immutable(),
		field.Float("accuracy_meters").Optional().Nillable().Immutable(),
		field.Time("captured_at").Optional().Nillable().Immutable().
			Comment("When the client says that the photo was taken."),
		field.JSON("target", &verify.Target{}).SchemaType(jsonb).Optional().Immutable().
			Comment("Where the photo has to be taken, as the landmark was when it was handed in."),
		field.JSON("photo", &photo.Original{}).SchemaType(jsonb).Immutable(),
		field.JSON("image", &photo.Image{}).SchemaType(jsonb).Optional().
			Comment("The photo as others may fetch it, made when it was handed in."),
		field.JSON("checks", []verify.Check{}).SchemaType(jsonb).Optional().
			Comment("Each check's raw score and reason, so that a verdict can be explained and re-run."),
		field.Float("score").Optional().Nillable(),
		field.Time("decided_at").Optional().Nillable(),
	}
}

// Edges of an attempt.
func (Attempt) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("attempts").Field("user_id").Unique().Required().Immutable(),
		edge.From("landmark", Landmark.Type).Ref("attempts").Field("landmark_id").Unique().Required().Immutable(),
		edge.To("unlocks", Unlock.Type),
	}
}

// Indexes of an attempt.
func (Attempt) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "created_at", "id"),
		index.Fields("landmark_id", "created_at", "id"),
		index.Fields("created_at", "id"),
		index.Fields("updated_at", "id"),
		index.Fields("status", "created_at", "id"),
	}
}
