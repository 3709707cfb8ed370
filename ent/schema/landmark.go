package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/verify"
)

// Landmark is a place to find and to photograph.
type Landmark struct{ ent.Schema }

// Mixin gives landmarks their id, times, soft deletion and audit trail.
func (Landmark) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}, mixin.SoftDelete{}, mixin.Audit{Table: "landmarks", Entity: "landmark"}}
}

// Annotations of a landmark.
func (Landmark) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Checks(map[string]string{
		"landmark_difficulty":    "difficulty BETWEEN 1 AND 5",
		"landmark_unlock_radius": "unlock_radius_meters BETWEEN 1 AND 10000",
		"landmark_photo_radius":  "photo_radius_meters BETWEEN 1 AND 10000",
	})}
}

// Fields of a landmark.
func (Landmark) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("area_id", uuid.UUID{}),
		field.String("name").MinLen(1).MaxRuneLen(200),
		field.String("description").MaxRuneLen(5000).Default(""),
		field.String("hint").MaxRuneLen(1000).Default(""),
		field.Int("difficulty").Range(1, 5).Default(1),
		field.Other("location", geo.Point{}).SchemaType(geography),
		field.Float("unlock_radius_meters").Range(1, 10_000).Default(100),
		field.Other("photo_location", &geo.Point{}).SchemaType(geography).Optional().Nillable(),
		field.Float("photo_radius_meters").Range(1, 10_000).Default(50),
		field.UUID("created_by", uuid.UUID{}).Immutable().
			Comment("No foreign key: a landmark outlives its creator's account."),
		field.Bool("is_verified").Default(false),
		field.JSON("verified_target", &verify.Target{}).SchemaType(jsonb).Optional().
			Comment("What was verified, if the owner has moved the landmark within its radius since."),
		field.JSON("image", &photo.Image{}).SchemaType(jsonb).Optional(),
		field.String("external_id").MaxRuneLen(200).Optional().Nillable().
			Comment("Where an import took it from; a second import of the same source finds it again."),
	}
}

// Edges of a landmark.
func (Landmark) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("area", Area.Type).Ref("landmarks").Field("area_id").Unique().Required(),
		edge.To("attempts", Attempt.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("unlocks", Unlock.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of a landmark.
func (Landmark) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("location").
			Annotations(entsql.IndexType("GIST"), living),
		// Not of the living only: it also serves the foreign key when an area is purged.
		index.Fields("area_id", "created_at", "id"),
		index.Fields("external_id").Unique().Annotations(living),
		index.Fields("external_id").Annotations(deleted).StorageKey("landmark_deleted_external_id"),
		index.Fields("created_at", "id").Annotations(living),
		index.Fields("updated_at", "id").Annotations(living),
		index.Fields("difficulty", "created_at", "id").Annotations(living),
		index.Fields("created_by", "created_at", "id").Annotations(living),
		index.Fields("is_verified", "created_at", "id").Annotations(living),
	}
}
