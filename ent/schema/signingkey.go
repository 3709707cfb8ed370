package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/picaspot/picaspot/ent/mixin"
)

// SigningKey is a key pair for access tokens. Every replica reads the same
// ones; the private half is sealed with the installation's secret.
type SigningKey struct{ ent.Schema }

// Mixin gives signing keys their id, which is the `kid`, and times.
func (SigningKey) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}}
}

// Fields of a signing key.
func (SigningKey) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("sealed_private_key").SchemaType(bytea).Sensitive().Immutable(),
		field.Time("activates_at").Immutable().
			Comment("Signs from here on; published before, so that others know it in time."),
		field.Time("retires_at").Optional().Nillable().
			Comment("Tokens signed with it are refused from here on."),
	}
}
