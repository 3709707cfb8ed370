package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/photo"
)

// Area groups landmarks; areas nest, ten levels at most. A complete area
// earns its badge.
type Area struct{ ent.Schema }

// Mixin gives areas their id, times, soft deletion and audit trail.
func (Area) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}, mixin.SoftDelete{}, mixin.Audit{Table: "areas", Entity: "area"}}
}

// Fields of an area.
func (Area) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").MinLen(1).MaxRuneLen(200),
		field.String("description").MaxRuneLen(5000).Default(""),
		field.UUID("parent_area_id", uuid.UUID{}).Optional().Nillable(),
		field.UUID("created_by", uuid.UUID{}).Immutable().
			Comment("No foreign key: an area outlives its creator's account."),
		field.Bool("is_verified").Default(false),
		field.JSON("image", &photo.Image{}).SchemaType(jsonb).Optional(),
		field.String("external_id").MaxRuneLen(200).Optional().Nillable().
			Comment("Where an import took it from; a second import of the same source finds it again."),
		field.Bool("name_clashes").Default(false).
			Comment("An older area beside it has the same name_key: names from before that was unique stay until they change."),
	}
}

// Edges of an area.
func (Area) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("children", Area.Type).
			Annotations(entsql.OnDelete(entsql.Cascade)).
			From("parent").Field("parent_area_id").Unique(),
		edge.To("landmarks", Landmark.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of an area.
func (Area) Indexes() []ent.Index {
	return []ent.Index{
		// area_parent_name and area_root_name, unique on name_key, are the migrations'.
		// Not of the living only: it also serves the foreign key when an area is purged.
		index.Fields("parent_area_id", "created_at", "id"),
		index.Fields("external_id").Unique().Annotations(living),
		index.Fields("created_at", "id").Annotations(living),
		index.Fields("updated_at", "id").Annotations(living),
		index.Fields("created_by", "created_at", "id").Annotations(living),
		index.Fields("is_verified", "created_at", "id").Annotations(living),
	}
}
