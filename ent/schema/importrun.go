package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/importfile"
	"github.com/picaspot/picaspot/internal/object"
)

// ImportRun is a file that a user has handed in to be imported, and what became of it.
type ImportRun struct{ ent.Schema }

// Mixin gives imports their id and times. How far they are changes each second, so
// package imports records by itself what a user did.
func (ImportRun) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}}
}

// Fields of an import.
func (ImportRun) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		field.Enum("kind").Values("landmarks", "areas").Immutable(),
		field.Enum("status").Values("pending", "running", "succeeded", "failed", "cancelled").Default("pending"),
		field.JSON("options", importfile.Options{}).Immutable(),
		field.JSON("file", &object.Ref{}).Optional().
			Comment("Removed once the import has ended."),
		field.JSON("report", &object.Ref{}).Optional().
			Comment("The rows that were rejected; removed after the retention."),
		field.UUID("claim", uuid.UUID{}).Optional().Nillable().
			Comment("The worker that has the import. It writes updated_at every so often; one that does not any more has died."),
		field.Int64("bytes_read").Default(0),
		field.Int("rows_read").Default(0),
		field.Int("created").Default(0),
		field.Int("updated").Default(0),
		field.Int("unchanged").Default(0),
		field.Int("rejected").Default(0),
		field.String("error").MaxRuneLen(500).Default(""),
		field.Time("finished_at").Optional().Nillable(),
	}
}

// Edges of an import.
func (ImportRun) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("import_runs").Field("user_id").Unique().Required().Immutable(),
	}
}

// Indexes of an import. A user has one at a time.
func (ImportRun) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id").Unique().StorageKey("importrun_active").
			Annotations(entsql.IndexWhere("(finished_at IS NULL)")),
		index.Fields("user_id", "created_at", "id"),
		index.Fields("created_at", "id"),
		index.Fields("finished_at").Annotations(entsql.IndexWhere("(report IS NOT NULL)")),
	}
}
