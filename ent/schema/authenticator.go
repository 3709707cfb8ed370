package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
)

// Authenticator is an app that makes one-time passwords (RFC 6238) for a user.
// It counts as a second factor once a first code of it was confirmed.
type Authenticator struct{ ent.Schema }

// Mixin gives authenticators their id and times. Enrolment and removal are
// events of the audit log.
func (Authenticator) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}}
}

// Fields of an authenticator.
func (Authenticator) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		field.Bytes("sealed_secret").SchemaType(bytea).Sensitive().Immutable(),
		field.Time("confirmed_at").Optional().Nillable(),
		field.Int64("last_step").Default(0).
			Comment("The time step of the last code that was taken; it and earlier ones are refused."),
	}
}

// Edges of an authenticator.
func (Authenticator) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("authenticators").Field("user_id").Unique().Required().Immutable(),
	}
}

// Indexes of an authenticator: a user has one at most.
func (Authenticator) Indexes() []ent.Index {
	return []ent.Index{index.Fields("user_id").Unique()}
}
