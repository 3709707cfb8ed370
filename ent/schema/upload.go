package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/object"
)

// Upload is a file that a user sends in parts, for an attempt that names it later.
type Upload struct{ ent.Schema }

// Mixin gives uploads their id and times. How far they are changes with each part, so
// package upload records by itself what a user did.
func (Upload) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}}
}

// Fields of an upload.
func (Upload) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		field.Int64("bytes").Positive().Immutable().
			Comment("The size of the whole file."),
		field.Int64("received").Default(0).
			Comment("How many bytes of the file are kept: the offset of the next part."),
		field.Int("parts").Default(0),
		field.Time("expires_at").Immutable(),
		field.Time("used_at").Optional().Nillable().
			Comment("When an attempt took the file. Its parts are gone then."),
	}
}

// Edges of an upload.
func (Upload) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("uploads").Field("user_id").Unique().Required().Immutable(),
		edge.To("upload_parts", UploadPart.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of an upload.
func (Upload) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "expires_at"),
		index.Fields("expires_at"),
	}
}

// UploadPart is a part of an upload's file.
type UploadPart struct{ ent.Schema }

// Mixin gives parts their id.
func (UploadPart) Mixin() []ent.Mixin { return []ent.Mixin{mixin.ID{}} }

// Fields of a part.
func (UploadPart) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("upload_id", uuid.UUID{}).Immutable(),
		field.Int64("position").NonNegative().Immutable().
			Comment("Where in the file the part begins, in bytes."),
		field.JSON("file", &object.Ref{}).Immutable(),
	}
}

// Edges of a part.
func (UploadPart) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("upload", Upload.Type).Ref("upload_parts").Field("upload_id").Unique().Required().Immutable(),
	}
}

// Indexes of a part. Two parts never begin at the same place.
func (UploadPart) Indexes() []ent.Index {
	return []ent.Index{index.Fields("upload_id", "position").Unique()}
}
