package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	entwebhook "github.com/picaspot/picaspot/ent/webhook"
	"github.com/picaspot/picaspot/internal/store"
)

// Event is what happened.
type Event string

// The events. Each has a schema of its body in the contract.
const (
	LandmarkCreated  Event = "landmark.created"
	LandmarkUpdated  Event = "landmark.updated"
	LandmarkDeleted  Event = "landmark.deleted"
	LandmarkRestored Event = "landmark.restored"
	AreaCreated      Event = "area.created"
	AreaUpdated      Event = "area.updated"
	AreaDeleted      Event = "area.deleted"
	AreaRestored     Event = "area.restored"
	AttemptDecided   Event = "attempt.decided"
	UnlockCreated    Event = "unlock.created"
	ReportCreated    Event = "report.created"
	ReportResolved   Event = "report.resolved"
	// Ping is sent on demand only, whatever the webhook is for.
	Ping Event = "ping"
)

// body is what a receiver gets.
type body struct {
	Type      Event     `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

// Landmark is the landmark that an event is about, as it is afterwards.
type Landmark struct {
	ID                 uuid.UUID `json:"id"`
	AreaID             uuid.UUID `json:"area_id"`
	Name               string    `json:"name"`
	Description        string    `json:"description"`
	Difficulty         int       `json:"difficulty"`
	Latitude           float64   `json:"latitude"`
	Longitude          float64   `json:"longitude"`
	UnlockRadiusMeters float64   `json:"unlock_radius_meters"`
	IsVerified         bool      `json:"is_verified"`
	CreatedBy          uuid.UUID `json:"created_by"`
	CreatedAt          time.Time `json:"created_at"`
	UpdatedAt          time.Time `json:"updated_at"`
}

// OfLandmark describes a landmark.
func OfLandmark(l *ent.Landmark) Landmark {
	return Landmark{
		ID: l.ID, AreaID: l.AreaID, Name: l.Name, Description: l.Description, Difficulty: l.Difficulty,
		Latitude: l.Location.Latitude, Longitude: l.Location.Longitude, UnlockRadiusMeters: l.UnlockRadiusMeters,
		IsVerified: l.IsVerified, CreatedBy: l.CreatedBy, CreatedAt: l.CreatedAt.UTC(), UpdatedAt: l.UpdatedAt.UTC(),
	}
}

// Area is the area that an event is about, as it is afterwards.
type Area struct {
	ID           uuid.UUID  `json:"id"`
	ParentAreaID *uuid.UUID `json:"parent_area_id"`
	Name         string     `json:"name"`
	Description  string     `json:"description"`
	IsVerified   bool       `json:"is_verified"`
	CreatedBy    uuid.UUID  `json:"created_by"`
	CreatedAt    time.Time  `json:"created_at"`
	UpdatedAt    time.Time  `json:"updated_at"`
}

// OfArea describes an area.
func OfArea(a *ent.Area) Area {
	return Area{
		ID: a.ID, ParentAreaID: a.ParentAreaID, Name: a.Name, Description: a.Description, IsVerified: a.IsVerified,
		CreatedBy: a.CreatedBy, CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(),
	}
}

// Attempt is an attempt that was decided. Where its user stood is nobody else's business.
type Attempt struct {
	ID         uuid.UUID `json:"id"`
	UserID     uuid.UUID `json:"user_id"`
	LandmarkID uuid.UUID `json:"landmark_id"`
	Status     string    `json:"status"`
}

// Unlock is a landmark that a user has unlocked.
type Unlock struct {
	UserID     uuid.UUID `json:"user_id"`
	LandmarkID uuid.UUID `json:"landmark_id"`
	AttemptID  uuid.UUID `json:"attempt_id"`
}

// Report is a report without what people wrote, and without who did.
type Report struct {
	ID          uuid.UUID `json:"id"`
	SubjectType string    `json:"subject_type"`
	SubjectID   uuid.UUID `json:"subject_id"`
	Reason      string    `json:"reason"`
	Status      string    `json:"status"`
	Action      string    `json:"action"`
}

// OfReport describes a report.
func OfReport(r *ent.Report) Report {
	return Report{
		ID: r.ID, SubjectType: string(r.SubjectType), SubjectID: r.SubjectID,
		Reason: string(r.Reason), Status: string(r.Status), Action: string(r.Action),
	}
}

// ping is what a test says.
type ping struct {
	Message string `json:"message"`
}

// Emit tells the webhooks that are for an event of it, once the transaction
// commits, and never if it does not. Where there are none it is a query of a small
// table.
func Emit(ctx context.Context, tx *store.Tx, event Event, data any) error {
	told, err := Listeners(ctx, tx)
	if err != nil {
		return err
	}
	return told.Emit(ctx, tx, event, data)
}

// Told are the webhooks that are enabled.
type Told []*ent.Webhook

// Listeners returns the webhooks that a transaction tells of what it does, for those
// that do a lot at once.
func Listeners(ctx context.Context, tx *store.Tx) (Told, error) {
	enabled, err := tx.Webhook.Query().Where(entwebhook.DisabledReasonIsNil()).
		Select(entwebhook.FieldID, entwebhook.FieldEvents, entwebhook.FieldLane).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the webhooks: %w", err)
	}
	return enabled, nil
}

// Of are those that are for one of some events.
func (t Told) Of(events ...Event) Told {
	var of Told
	for _, w := range t {
		if slices.ContainsFunc(events, func(e Event) bool { return slices.Contains(w.Events, string(e)) }) {
			of = append(of, w)
		}
	}
	return of
}

// Emit tells those of the webhooks that are for an event of it, for each of data.
func (t Told) Emit(ctx context.Context, tx *store.Tx, event Event, data ...any) error {
	to := t.Of(event)
	if len(to) == 0 {
		return nil
	}
	for batch := range slices.Chunk(data, emitBatch/len(to)) {
		creates := make([]*ent.WebhookDeliveryCreate, 0, len(batch)*len(to))
		jobs := make([]river.InsertManyParams, 0, len(batch)*len(to))
		for _, one := range batch {
			payload, err := encode(event, one)
			if err != nil {
				return err
			}
			eventID := mixin.NewID()
			for _, w := range to {
				id := mixin.NewID()
				creates = append(creates, tx.WebhookDelivery.Create().SetID(id).SetWebhookID(w.ID).
					SetEventID(eventID).SetEventType(string(event)).SetPayload(payload).SetNextTryAt(mixin.Now()))
				jobs = append(jobs, river.InsertManyParams{Args: DeliverArgs{DeliveryID: id}, InsertOpts: in(w)})
			}
		}
		if err := tx.WebhookDelivery.CreateBulk(creates...).Exec(ctx); err != nil {
			return fmt.Errorf("log the deliveries: %w", err)
		}
		if err := tx.EnqueueMany(ctx, jobs); err != nil {
			return err
		}
	}
	return nil
}

// emitBatch bounds the deliveries of one statement.
const emitBatch = 1000

// in puts a delivery into the queue of its webhook.
func in(w *ent.Webhook) *river.InsertOpts { return &river.InsertOpts{Queue: Queue(w.Lane)} }

func encode(event Event, data any) (string, error) {
	payload, err := json.Marshal(body{Type: event, Timestamp: mixin.Now(), Data: data})
	if err != nil {
		return "", fmt.Errorf("encode the event %s: %w", event, err)
	}
	return string(payload), nil
}

// deliver puts an event on its way to a webhook.
func deliver(ctx context.Context, tx *store.Tx, to *ent.Webhook, of *ent.WebhookDeliveryCreate) (*ent.WebhookDelivery, error) {
	made, err := of.SetWebhookID(to.ID).SetNextTryAt(mixin.Now()).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("log the delivery: %w", err)
	}
	return made, tx.Enqueue(ctx, DeliverArgs{DeliveryID: made.ID}, in(to))
}
