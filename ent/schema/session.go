package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
)

// Session is one login on one device. Its access tokens name it as `sid` and
// are refused once it has ended.
type Session struct{ ent.Schema }

// Mixin gives sessions their id and times. They are not audited as rows:
// logins and logouts are events of their own.
func (Session) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}}
}

// Fields of a session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		field.String("user_agent").MaxLen(512).Default(""),
		field.String("ip_address").MaxLen(45).Default(""),
		field.Time("last_used_at").Default(mixin.Now),
		field.Time("expires_at"),
		field.Time("ended_at").Optional().Nillable(),
	}
}

// Edges of a session.
func (Session) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("sessions").Field("user_id").Unique().Required().Immutable(),
	}
}

// Indexes of a session.
func (Session) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id"),
		index.Fields("expires_at"),
	}
}
