package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
)

// Session is one login on one device, and the family of its refresh tokens. Its
// access tokens name it as `sid` and are refused once it has ended.
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
		field.Bool("remember").Default(false).Immutable().
			Comment("Whether the longer lifetimes hold."),
		field.Bool("second_factor").Default(false).
			Comment("Whether the login was proven by a second factor too."),
		field.Bytes("refresh_hash").SchemaType(bytea).Sensitive().
			Comment("Hash of the refresh token that is current."),
		field.Bytes("previous_refresh_hash").SchemaType(bytea).Sensitive().Optional().
			Comment("Hash of the one before, which an honest client may send twice."),
		field.Bytes("sealed_refresh_token").SchemaType(bytea).Sensitive().Optional().
			Comment("The current one, sealed under the one before: only who presents that can be given it."),
		field.Time("last_used_at").Default(mixin.Now).
			Comment("When the current refresh token was made."),
		field.Time("idle_expires_at").
			Comment("Moves on with each refresh, up to expires_at."),
		field.Time("expires_at").Immutable(),
		field.Time("ended_at").Optional().Nillable(),
		field.Enum("end_reason").Optional().Nillable().
			Values("logout", "logout_all", "revoked", "password_changed", "password_reset", "refresh_token_reused", "suspended", "account_deleted"),
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
		index.Fields("user_id", "last_used_at", "id"),
		index.Fields("expires_at"),
	}
}
