package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
)

// PolicyVersion is the policy as it was from one edit to the next; the one with
// the highest number is live. Versions are added and never change.
type PolicyVersion struct{ ent.Schema }

// Mixin gives versions their id and times. An edit is an event of the audit log.
func (PolicyVersion) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}}
}

// Fields of a version.
func (PolicyVersion) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("version").Positive().Immutable(),
		field.String("text").Immutable().
			Comment("casbin CSV, comments included."),
		field.String("comment").MaxRuneLen(500).Default("").Immutable(),
		field.UUID("created_by", uuid.UUID{}).Optional().Nillable().Immutable().
			Comment("No foreign key: history outlives accounts. Absent for the operator."),
	}
}

// Indexes of a version. The number is unique: of two edits at once one wins.
func (PolicyVersion) Indexes() []ent.Index {
	return []ent.Index{index.Fields("version").Unique()}
}
