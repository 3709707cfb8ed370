package webhook

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/ent/predicate"
	entdelivery "github.com/picaspot/picaspot/ent/webhookdelivery"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
)

// Retention is how long deliveries are kept.
const Retention = 30 * 24 * time.Hour

var errNoDelivery = fault.New(fault.NotFound, "not_found", "The webhook has no such delivery, or not any more.")

// Filter narrows a list of deliveries; nil does not.
type Filter struct {
	Status *entdelivery.Status
	Event  *Event
}

var deliveries = page.List{
	Name: "webhook_deliveries", Default: "created_at",
	SortBy: map[string]page.Column{"created_at": {Name: entdelivery.FieldCreatedAt, Type: page.Time, Order: page.Desc}},
}

// Deliveries returns a page of what was and is to be delivered to a webhook, newest
// first; a webhook that is not there is a [fault.NotFound].
func (s *Service) Deliveries(ctx context.Context, id uuid.UUID, f Filter, params page.Params) (page.Result[*ent.WebhookDelivery], error) {
	if _, err := s.Get(ctx, id); err != nil {
		return page.Result[*ent.WebhookDelivery]{}, err
	}
	q, err := deliveries.Resolve(params, s.cursors, []any{id, f})
	if err != nil {
		return page.Result[*ent.WebhookDelivery]{}, err
	}
	where := []predicate.WebhookDelivery{entdelivery.WebhookID(id)}
	if f.Status != nil {
		where = append(where, entdelivery.StatusEQ(*f.Status))
	}
	if f.Event != nil {
		where = append(where, entdelivery.EventType(string(*f.Event)))
	}
	return page.Fetch(ctx, q, page.Source[*ent.WebhookDelivery]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.WebhookDelivery, error) {
			return s.store.Ent.WebhookDelivery.Query().Where(append(where, q.Where)...).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) {
			return s.store.Ent.WebhookDelivery.Query().Where(where...).Count(ctx)
		},
		Key: func(d *ent.WebhookDelivery, column string) any {
			if column == entdelivery.FieldID {
				return d.ID
			}
			return d.CreatedAt
		},
	})
}

// Test sends a [Ping], to a webhook that is disabled too.
func (s *Service) Test(ctx context.Context, id uuid.UUID) (*ent.WebhookDelivery, error) {
	payload, err := encode(Ping, ping{Message: "PicASpot says hello."})
	if err != nil {
		return nil, err
	}
	var made *ent.WebhookDelivery
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		to, err := lock(ctx, tx, id, version.Precondition{})
		if err != nil {
			return err
		}
		made, err = deliver(ctx, tx, to, tx.WebhookDelivery.Create().
			SetEventID(mixin.NewID()).SetEventType(string(Ping)).SetPayload(payload))
		if err != nil {
			return err
		}
		return audit.Insert(ctx, tx, audit.Event{Action: audit.WebhookTested, EntityType: "webhook", EntityID: id})
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// Replay delivers what was delivered before once more, as a delivery of its own, of
// the same event and to the address that the webhook has now. A webhook that is
// disabled is a conflict.
func (s *Service) Replay(ctx context.Context, id, delivery uuid.UUID) (*ent.WebhookDelivery, error) {
	var made *ent.WebhookDelivery
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		to, err := lock(ctx, tx, id, version.Precondition{})
		if err != nil {
			return err
		}
		of, err := tx.WebhookDelivery.Query().Where(entdelivery.ID(delivery), entdelivery.WebhookID(id)).Only(ctx)
		switch {
		case store.IsNotFound(err):
			return errNoDelivery
		case err != nil:
			return fmt.Errorf("find the delivery: %w", err)
		case isCut(to, of):
			return errDisabled
		}
		made, err = deliver(ctx, tx, to, tx.WebhookDelivery.Create().SetEventID(of.EventID).
			SetEventType(of.EventType).SetPayload(of.Payload).SetReplayOf(of.ID))
		if err != nil {
			return err
		}
		return audit.Insert(ctx, tx, audit.Event{Action: audit.DeliveryReplayed, EntityType: "webhook", EntityID: id})
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// CleanUpArgs are the periodic job that removes deliveries that are old.
type CleanUpArgs struct{}

// Kind names the job.
func (CleanUpArgs) Kind() string { return "webhook_clean_up" }

// cleanUpBatch bounds how many deliveries one statement removes.
const cleanUpBatch = 1000

// cleanUpSQL is served by webhookdelivery_created_at. The limit is no parameter, so
// that the planner knows how few rows it is about.
var cleanUpSQL = `-- name: webhook_clean_up
DELETE FROM webhook_deliveries WHERE id IN (
  SELECT id FROM webhook_deliveries WHERE created_at <= $1
  ORDER BY created_at LIMIT ` + strconv.Itoa(cleanUpBatch) + ` FOR UPDATE SKIP LOCKED
)`

// giveUpSQL ends deliveries whose last try died with its process. Served by
// webhookdelivery_pending.
const giveUpSQL = `-- name: webhook_give_up
UPDATE webhook_deliveries SET status = 'failed', error = $2, next_try_at = NULL, finished_at = now(), updated_at = now()
WHERE status = 'pending' AND created_at <= $1`

// CleanUp removes deliveries that are older than [Retention].
func (s *Service) CleanUp(ctx context.Context) error {
	// The last try is due well before twice the time that all of them take.
	if _, err := s.store.Pool.Exec(ctx, giveUpSQL, mixin.Now().Add(-2*span()), "The last try was cut short."); err != nil {
		return fmt.Errorf("give deliveries up: %w", err)
	}
	before := mixin.Now().Add(-Retention)
	for {
		removed, err := s.store.Pool.Exec(ctx, cleanUpSQL, before)
		if err != nil {
			return fmt.Errorf("clean up deliveries: %w", err)
		}
		if removed.RowsAffected() < cleanUpBatch {
			return nil
		}
	}
}
