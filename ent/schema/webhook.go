package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
)

// Webhook is an address that is told of events.
type Webhook struct{ ent.Schema }

// Mixin gives webhooks their id, times and audit trail.
func (Webhook) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}, mixin.Audit{
		Table: "webhooks", Entity: "webhook", Secret: []string{"secret", "previous_secret"},
	}}
}

// Fields of a webhook.
func (Webhook) Fields() []ent.Field {
	return []ent.Field{
		field.String("url").MaxRuneLen(2000),
		field.String("description").MaxRuneLen(500).Default(""),
		field.JSON("events", []string{}).SchemaType(jsonb),
		field.Bytes("secret").SchemaType(bytea).Sensitive().
			Comment("Sealed."),
		field.Bytes("previous_secret").SchemaType(bytea).Sensitive().Optional().
			Comment("Sealed; signs as well until previous_until."),
		field.Time("previous_until").Optional().Nillable(),
		field.Enum("disabled_reason").Values("admin", "gone", "failing").Optional().Nillable().
			Comment("Absent while it is enabled."),
		field.Time("disabled_at").Optional().Nillable(),
		field.Time("failing_since").Optional().Nillable().
			Comment("The first try that failed since one that did not. It is no part of the version."),
		field.Int("lane").Immutable().
			Comment("Which of the queues has its deliveries. No other webhook has it."),
		field.UUID("created_by", uuid.UUID{}).Immutable().
			Comment("No foreign key: a webhook outlives its creator's account."),
	}
}

// Indexes of a webhook.
func (Webhook) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("created_at", "id"),
		index.Fields("lane").Unique(),
	}
}
