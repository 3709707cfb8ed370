package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
)

// WebhookDelivery is an event on its way to a webhook, and what became of it.
type WebhookDelivery struct{ ent.Schema }

// Mixin gives deliveries their id and times. They are a log themselves.
func (WebhookDelivery) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}}
}

// Fields of a delivery.
func (WebhookDelivery) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("webhook_id", uuid.UUID{}).Immutable().
			Comment("No foreign key: what becomes of an event never depends on whether its webhook is there."),
		field.UUID("event_id", uuid.UUID{}).Immutable().
			Comment("The same for every try, every replay and every webhook."),
		field.String("event_type").Immutable(),
		field.String("payload").Immutable().
			Comment("The body, as it is signed."),
		field.Enum("status").Values("pending", "succeeded", "failed", "cancelled").Default("pending"),
		field.Int("tries").Default(0),
		field.Int("response_status").Optional().Nillable(),
		field.Int("duration_ms").Optional().Nillable(),
		field.String("error").MaxRuneLen(200).Default(""),
		field.Time("next_try_at").Optional().Nillable(),
		field.Time("finished_at").Optional().Nillable(),
		field.UUID("replay_of", uuid.UUID{}).Optional().Nillable().Immutable(),
	}
}

// Indexes of a delivery.
func (WebhookDelivery) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("webhook_id", "created_at", "id"),
		index.Fields("webhook_id", "status", "created_at", "id"),
		index.Fields("webhook_id", "event_type", "created_at", "id"),
		index.Fields("created_at"),
		index.Fields("created_at").StorageKey("webhookdelivery_pending").
			Annotations(entsql.IndexWhere("((status)::text = 'pending'::text)")),
	}
}
