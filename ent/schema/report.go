package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
)

// Report tells the moderators of something that should not be there.
type Report struct{ ent.Schema }

// Mixin gives reports their id, times and audit trail.
func (Report) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}, mixin.Audit{Table: "reports", Entity: "report", Personal: []string{"comment", "note"}}}
}

// Fields of a report.
func (Report) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("reporter_id", uuid.UUID{}).Immutable(),
		field.Enum("subject_type").Values("area", "landmark", "unlock", "user").Immutable(),
		field.UUID("subject_id", uuid.UUID{}).Immutable().
			Comment("No foreign key: it is of one of several tables, and the report outlives it."),
		field.Enum("reason").
			Values("spam", "wrong_place", "private_place", "dangerous", "offensive", "cheating", "other").Immutable(),
		field.String("comment").MaxRuneLen(1000).Default("").Immutable(),
		field.Enum("status").Values("open", "resolved", "dismissed").Default("open"),
		field.Enum("action").Values("none", "unverify", "delete", "suspend").Default("none"),
		field.String("note").MaxRuneLen(1000).Default(""),
		field.UUID("resolved_by", uuid.UUID{}).Optional().Nillable(),
		field.Time("resolved_at").Optional().Nillable(),
	}
}

// Edges of a report.
func (Report) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("reporter", User.Type).Ref("reports").Field("reporter_id").Unique().Required().Immutable(),
	}
}

// Indexes of a report. Somebody has one open report of a thing at most.
func (Report) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("reporter_id", "subject_type", "subject_id").Unique().
			Annotations(entsql.IndexWhere("((status)::text = 'open'::text)")).StorageKey("report_open_once"),
		index.Fields("status", "created_at", "id"),
		index.Fields("subject_id", "created_at", "id"),
		index.Fields("reporter_id", "created_at", "id"),
		index.Fields("created_at", "id"),
		index.Fields("updated_at", "id"),
	}
}
