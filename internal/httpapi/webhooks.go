package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	entdelivery "github.com/picaspot/picaspot/ent/webhookdelivery"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/version"
	"github.com/picaspot/picaspot/internal/webhook"
)

// defaultOverlapHours is how long a secret stays valid that is replaced.
const defaultOverlapHours = 24

// ListWebhooks implements GET /api/v1/admin/webhooks.
func (s *Server) ListWebhooks(ctx context.Context, request api.ListWebhooksRequestObject) (api.ListWebhooksResponseObject, error) {
	p := request.Params
	list, err := s.Webhooks.List(ctx, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListWebhooks200JSONResponse{
		Items: convert(ctx, list.Items(), toAPIWebhook), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// CreateWebhook implements POST /api/v1/admin/webhooks.
func (s *Server) CreateWebhook(ctx context.Context, request api.CreateWebhookRequestObject) (api.CreateWebhookResponseObject, error) {
	in := request.Body
	made, secret, err := s.Webhooks.Create(ctx, webhook.Create{
		URL: in.URL, Description: deref(in.Description, ""), Events: fromAPIEvents(in.Events),
	})
	if err != nil {
		return nil, err
	}
	return api.CreateWebhook201JSONResponse{
		Body: withSecret(ctx, made, secret),
		Headers: api.CreateWebhook201ResponseHeaders{
			Location: ptr("/api/v1/admin/webhooks/" + made.ID.String()), ETag: ptr(version.ETag(made.UpdatedAt)),
		},
	}, nil
}

// GetWebhook implements GET /api/v1/admin/webhooks/{webhook_id}.
func (s *Server) GetWebhook(ctx context.Context, request api.GetWebhookRequestObject) (api.GetWebhookResponseObject, error) {
	found, err := s.Webhooks.Get(ctx, request.WebhookID)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(version.ETag(found.UpdatedAt), request.Params.IfNoneMatch)
	if notModified {
		return api.GetWebhook304Response{}, nil
	}
	return api.GetWebhook200JSONResponse{Body: toAPIWebhook(ctx, found), Headers: api.GetWebhook200ResponseHeaders{ETag: tag}}, nil
}

// UpdateWebhook implements PATCH /api/v1/admin/webhooks/{webhook_id}.
func (s *Server) UpdateWebhook(ctx context.Context, request api.UpdateWebhookRequestObject) (api.UpdateWebhookResponseObject, error) {
	in := webhook.Update{URL: request.Body.URL, Description: request.Body.Description, Enabled: request.Body.Enabled}
	if request.Body.Events != nil {
		in.Events = ptr(fromAPIEvents(*request.Body.Events))
	}
	changed, err := s.Webhooks.Update(ctx, request.WebhookID, in, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	return api.UpdateWebhook200JSONResponse{
		Body: toAPIWebhook(ctx, changed), Headers: api.UpdateWebhook200ResponseHeaders{ETag: ptr(version.ETag(changed.UpdatedAt))},
	}, nil
}

// DeleteWebhook implements DELETE /api/v1/admin/webhooks/{webhook_id}.
func (s *Server) DeleteWebhook(ctx context.Context, request api.DeleteWebhookRequestObject) (api.DeleteWebhookResponseObject, error) {
	if err := s.Webhooks.Delete(ctx, request.WebhookID, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch)); err != nil {
		return nil, err
	}
	return api.DeleteWebhook204Response{}, nil
}

// ReplaceWebhookSecret implements POST /api/v1/admin/webhooks/{webhook_id}/secret.
func (s *Server) ReplaceWebhookSecret(ctx context.Context, request api.ReplaceWebhookSecretRequestObject) (api.ReplaceWebhookSecretResponseObject, error) {
	overlap := time.Duration(deref(request.Params.OverlapHours, defaultOverlapHours)) * time.Hour
	changed, secret, err := s.Webhooks.ReplaceSecret(ctx, request.WebhookID, overlap)
	if err != nil {
		return nil, err
	}
	return api.ReplaceWebhookSecret200JSONResponse{
		Body:    withSecret(ctx, changed, secret),
		Headers: api.ReplaceWebhookSecret200ResponseHeaders{ETag: ptr(version.ETag(changed.UpdatedAt))},
	}, nil
}

// SendWebhookTest implements POST /api/v1/admin/webhooks/{webhook_id}/test.
func (s *Server) SendWebhookTest(ctx context.Context, request api.SendWebhookTestRequestObject) (api.SendWebhookTestResponseObject, error) {
	made, err := s.Webhooks.Test(ctx, request.WebhookID)
	if err != nil {
		return nil, err
	}
	return api.SendWebhookTest202JSONResponse{Body: toAPIDelivery(ctx, made)}, nil
}

// ListWebhookDeliveries implements GET /api/v1/admin/webhooks/{webhook_id}/deliveries.
func (s *Server) ListWebhookDeliveries(ctx context.Context, request api.ListWebhookDeliveriesRequestObject) (api.ListWebhookDeliveriesResponseObject, error) {
	p := request.Params
	list, err := s.Webhooks.Deliveries(ctx, request.WebhookID, webhook.Filter{
		Status: as[entdelivery.Status](p.Status), Event: as[webhook.Event](p.EventType),
	}, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListWebhookDeliveries200JSONResponse{
		Items: convert(ctx, list.Items(), toAPIDelivery), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// ResendWebhookDelivery implements POST /api/v1/admin/webhooks/{webhook_id}/deliveries/{delivery_id}/replay.
func (s *Server) ResendWebhookDelivery(ctx context.Context, request api.ResendWebhookDeliveryRequestObject) (api.ResendWebhookDeliveryResponseObject, error) {
	made, err := s.Webhooks.Replay(ctx, request.WebhookID, request.DeliveryID)
	if err != nil {
		return nil, err
	}
	return api.ResendWebhookDelivery202JSONResponse{Body: toAPIDelivery(ctx, made)}, nil
}

func fromAPIEvents(events []api.WebhookEvent) []webhook.Event {
	out := make([]webhook.Event, len(events))
	for i, e := range events {
		out[i] = webhook.Event(e)
	}
	return out
}

func toAPIWebhook(ctx context.Context, w *ent.Webhook) api.Webhook {
	events := make([]api.WebhookEvent, len(w.Events))
	for i, e := range w.Events {
		events[i] = api.WebhookEvent(e)
	}
	out := api.Webhook{
		ID: w.ID, URL: w.URL, Description: w.Description, Events: events, Enabled: w.DisabledReason == nil,
		DisabledReason: maybe(as[api.WebhookDisabledReason](w.DisabledReason)), DisabledAt: maybe(inZone(ctx, w.DisabledAt)),
		PreviousSecretUntil: maybe(inZone(ctx, w.PreviousUntil)),
		CreatedBy:           w.CreatedBy, CreatedAt: reqctx.In(ctx, w.CreatedAt), UpdatedAt: reqctx.In(ctx, w.UpdatedAt),
	}
	return out
}

func withSecret(ctx context.Context, w *ent.Webhook, secret string) api.WebhookWithSecret {
	out := toAPIWebhook(ctx, w)
	return api.WebhookWithSecret{
		ID: out.ID, URL: out.URL, Description: out.Description, Events: out.Events, Enabled: out.Enabled,
		DisabledReason: out.DisabledReason, DisabledAt: out.DisabledAt, PreviousSecretUntil: out.PreviousSecretUntil,
		CreatedBy: out.CreatedBy, CreatedAt: out.CreatedAt, UpdatedAt: out.UpdatedAt, Secret: secret,
	}
}

func toAPIDelivery(ctx context.Context, d *ent.WebhookDelivery) api.WebhookDelivery {
	return api.WebhookDelivery{
		ID: d.ID, WebhookID: d.WebhookID, EventID: d.EventID, EventType: api.WebhookDeliveryEvent(d.EventType),
		Status: api.WebhookDeliveryStatus(d.Status), Tries: d.Tries, ResponseStatus: maybe(d.ResponseStatus), DurationMs: maybe(d.DurationMs),
		Error: d.Error, NextTryAt: maybe(inZone(ctx, d.NextTryAt)), FinishedAt: maybe(inZone(ctx, d.FinishedAt)),
		ReplayOf: maybe(d.ReplayOf), Payload: json.RawMessage(d.Payload), CreatedAt: reqctx.In(ctx, d.CreatedAt),
	}
}
