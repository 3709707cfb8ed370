package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
)

// MailToken is the secret in a link that is mailed: kept as a hash, used once, for
// one purpose, for a limited time. The row is there before its mail is sent, with the
// hash of a token that is in no mail, so that what ends the link ends a mail that
// waits in the queue as well.
type MailToken struct{ ent.Schema }

// Mixin gives mail tokens their id and times.
func (MailToken) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}}
}

// Fields of a mail token.
func (MailToken) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		field.Enum("purpose").Values("verify_email", "reset_password", "change_email").Immutable(),
		field.String("email").SchemaType(citext).MaxRuneLen(254).Immutable().
			Comment("The address that the token proves, as it was when the mail was sent."),
		field.Bytes("token_hash").SchemaType(bytea).Sensitive(),
		field.Time("expires_at"),
		field.Time("used_at").Optional().Nillable().
			Comment("When the link was followed, or ended by what made it void."),
		field.String("used_from").MaxLen(45).Default("").
			Comment("The address that it was handed in from: its owner has proven to read the mails."),
	}
}

// Edges of a mail token.
func (MailToken) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("user", User.Type).Ref("mail_tokens").Field("user_id").Unique().Required().Immutable(),
	}
}

// Indexes of a mail token.
func (MailToken) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("token_hash").Unique(),
		index.Fields("user_id"),
		index.Fields("expires_at"),
	}
}
