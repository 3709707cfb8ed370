package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/picaspot/picaspot/ent/mixin"
)

// Role holds what is said about a role of the policy beside what it may do. A
// role without a row has the defaults.
type Role struct{ ent.Schema }

// Mixin gives roles their id, times and audit trail.
func (Role) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}, mixin.Audit{Table: "roles", Entity: "role"}}
}

// Fields of a role.
func (Role) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").MaxLen(64).Immutable(),
		field.String("description").MaxRuneLen(500).Default(""),
		field.Bool("requires_mfa").Default(false).
			Comment("Who has the role may use it only in a session that a second factor has proven."),
	}
}

// Indexes of a role.
func (Role) Indexes() []ent.Index {
	return []ent.Index{index.Fields("name").Unique()}
}
