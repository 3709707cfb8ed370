package webhook_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/webhook"
)

func TestAdministration(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	b := &bundle{Server: s, t: t, admin: s.As("admin")}
	ctx := t.Context()

	t.Run("shows the secret once", func(t *testing.T) {
		made := b.webhook("https://hooks.example.org/a")
		require.True(t, strings.HasPrefix(made.Secret, "whsec_"))
		require.True(t, made.Enabled)
		got, err := b.admin.GetWebhookWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		require.NotContains(t, string(got.Body), "whsec_")
		var kept, recorded string
		require.NoError(t, s.Store.Pool.QueryRow(ctx, `SELECT (SELECT encode(secret, 'escape') FROM webhooks WHERE id = $1),
			(SELECT string_agg(changes::text, '') FROM audit_logs WHERE entity_id = $1)`, made.ID).Scan(&kept, &recorded))
		require.NotContains(t, kept, "whsec_")
		require.Contains(t, recorded, "hooks.example.org/a")
		require.NotContains(t, recorded, `\\x`, "not even sealed")
	})

	t.Run("answers the same under the same key", func(t *testing.T) {
		in := api.WebhookCreate{URL: "https://hooks.example.org/once", Events: []api.WebhookEvent{api.WebhookEventAreaCreated}}
		key := &api.CreateWebhookParams{IdempotencyKey: new("a-key")}
		first, err := b.admin.CreateWebhookWithResponse(ctx, key, in)
		require.NoError(t, err)
		second, err := b.admin.CreateWebhookWithResponse(ctx, key, in)
		require.NoError(t, err)
		require.NotNil(t, first.JSON201, string(first.Body))
		require.Equal(t, first.JSON201, second.JSON201)
		require.Equal(t, "/api/v1/admin/webhooks/"+first.JSON201.ID.String(), first.HTTPResponse.Header.Get("Location"))
	})

	t.Run("changes the version that was seen only", func(t *testing.T) {
		made := b.webhook("https://hooks.example.org/b")
		got, err := b.admin.GetWebhookWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		tag := got.HTTPResponse.Header.Get("ETag")
		same, err := b.admin.GetWebhookWithResponse(ctx, made.ID, &api.GetWebhookParams{IfNoneMatch: &tag})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotModified, same.StatusCode())
		changed, err := b.admin.UpdateWebhookWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, made.ID,
			&api.UpdateWebhookParams{IfMatch: &tag}, api.WebhookUpdate{Description: new("Mirror"), Enabled: new(false)})
		require.NoError(t, err)
		require.NotNil(t, changed.JSON200, string(changed.Body))
		require.Equal(t, "Mirror", changed.JSON200.Description)
		require.Equal(t, api.WebhookDisabledReasonAdmin, changed.JSON200.DisabledReason.MustGet())
		late, err := b.admin.UpdateWebhookWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, made.ID,
			&api.UpdateWebhookParams{IfMatch: &tag}, api.WebhookUpdate{Enabled: new(true)})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusPreconditionFailed, late.HTTPResponse, late.Body)
		refused, err := b.admin.DeleteWebhookWithResponse(ctx, made.ID, &api.DeleteWebhookParams{IfMatch: &tag})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusPreconditionFailed, refused.HTTPResponse, refused.Body)
		deleted, err := b.admin.DeleteWebhookWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deleted.StatusCode(), string(deleted.Body))
		gone, err := b.admin.ListWebhookDeliveriesWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusNotFound, gone.HTTPResponse, gone.Body)
	})

	t.Run("refuses addresses that nothing is delivered to", func(t *testing.T) {
		for address, code := range map[string]string{
			"hooks.example.org":                "format",
			"https://":                         "format",
			"http://hooks.example.org":         "scheme",
			"ftp://hooks.example.org":          "scheme",
			"https://ada:pw@hooks.example.org": "credentials",
			"https://hooks.example.org/#a":     "fragment",
			"https://127.0.0.1":                "address",
			"https://[::1]:8443":               "address",
			"https://[::ffff:10.0.0.1]":        "address",
			"https://10.1.2.3":                 "address",
			"https://169.254.169.254/latest":   "address",
			"https://[fd00::1]":                "address",
			"https://100.64.0.1":               "address",
			"https://0.0.0.0":                  "address",
		} {
			got, err := b.admin.CreateWebhookWithResponse(ctx, nil, api.WebhookCreate{URL: address, Events: []api.WebhookEvent{api.WebhookEventAreaCreated}})
			require.NoError(t, err)
			p := apptest.Problem(t, http.StatusUnprocessableEntity, got.HTTPResponse, got.Body)
			require.Equal(t, code, (*p.Errors)[0].Code, address)
		}
	})

	t.Run("refuses what the contract does not know", func(t *testing.T) {
		response, body := s.Call(b.admin, http.MethodPost, "/api/v1/admin/webhooks", "application/json",
			strings.NewReader(`{"url": "https://hooks.example.org", "events": ["landmark.painted"], "secret": "mine"}`))
		require.Len(t, *apptest.Problem(t, http.StatusBadRequest, response, body).Errors, 2)
	})

	t.Run("is for those who may", func(t *testing.T) {
		for status, by := range map[int]*apptest.Client{http.StatusForbidden: s.As("moderator"), http.StatusUnauthorized: s.Anonymous()} {
			got, err := by.ListWebhooksWithResponse(ctx, nil)
			require.NoError(t, err)
			apptest.Problem(t, status, got.HTTPResponse, got.Body)
		}
	})

	t.Run("lists page by page", func(t *testing.T) {
		numbered, err := b.admin.ListWebhooksWithResponse(ctx, nil)
		require.NoError(t, err)
		all := numbered.JSON200.Items
		require.Equal(t, len(all), *numbered.JSON200.Total)
		walked, cursor := []api.Webhook{}, new("")
		for cursor != nil {
			next, err := b.admin.ListWebhooksWithResponse(ctx, &api.ListWebhooksParams{Cursor: cursor, Size: new(1)})
			require.NoError(t, err)
			require.NotNil(t, next.JSON200, string(next.Body))
			walked, cursor = append(walked, next.JSON200.Items...), next.JSON200.NextCursor
		}
		require.Equal(t, all, walked)
	})

	t.Run("has a limit", func(t *testing.T) {
		for {
			got, err := b.admin.CreateWebhookWithResponse(ctx, nil, api.WebhookCreate{URL: "https://hooks.example.org", Events: []api.WebhookEvent{api.WebhookEventAreaCreated}})
			require.NoError(t, err)
			if got.JSON201 != nil {
				continue
			}
			require.Contains(t, apptest.Problem(t, http.StatusConflict, got.HTTPResponse, got.Body).Type, "webhook_limit")
			break
		}
		there, err := b.admin.ListWebhooksWithResponse(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, webhook.MaxWebhooks, *there.JSON200.Total)

		deleted, err := b.admin.DeleteWebhookWithResponse(ctx, there.JSON200.Items[3].ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deleted.StatusCode(), string(deleted.Body))
		b.webhook("https://hooks.example.org")
		var lanes int
		require.NoError(t, s.Store.Pool.QueryRow(ctx, `SELECT count(DISTINCT lane) FROM webhooks WHERE lane BETWEEN 0 AND $1`, webhook.Lanes-1).Scan(&lanes))
		require.Equal(t, webhook.MaxWebhooks, lanes, "each has one of the queues")
	})
}

// A name may stand for an address that is ours: what counts is what is dialled.
func TestPrivateAddressesAreNotDialled(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	b := &bundle{Server: s, t: t, admin: s.As("admin")}
	to := newReceiver(t)
	made := b.webhook("https://hooks.example.org")
	b.exec(`UPDATE webhooks SET url = $1`, strings.Replace(to.URL, "127.0.0.1", "localhost", 1))
	b.ping(made.ID)
	refused := b.until(made.ID, func(d api.WebhookDelivery) bool { return d.Tries == 1 })
	require.Equal(t, "The receiver's address is not on the public internet.", refused.Error)
	require.True(t, refused.ResponseStatus.IsNull())
	require.Empty(t, to.messages())
}

func TestWhatIsOnItsWayToADisabledOrDeletedWebhookIsCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t, http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	disabled, deleted := b.webhook(to.URL), b.webhook(to.URL)
	b.Landmark(b.admin, b.Area(b.admin, "Harbour").ID, "Lighthouse", harbour)
	for _, id := range []uuid.UUID{disabled.ID, deleted.ID} {
		b.until(id, func(d api.WebhookDelivery) bool { return d.Tries == 1 })
	}
	_, err := b.admin.UpdateWebhookWithApplicationMergePatchPlusJSONBodyWithResponse(t.Context(), disabled.ID, nil, api.WebhookUpdate{Enabled: new(false)})
	require.NoError(t, err)
	_, err = b.admin.DeleteWebhookWithResponse(t.Context(), deleted.ID, nil)
	require.NoError(t, err)
	require.Equal(t, "The webhook is disabled.", b.hurryUntil(disabled.ID, hasStatus(api.WebhookDeliveryStatusCancelled)).Error)
	require.Eventually(t, func() bool {
		b.hurry()
		var status string
		err := b.Store.Pool.QueryRow(t.Context(), `SELECT status FROM webhook_deliveries WHERE webhook_id = $1`, deleted.ID).Scan(&status)
		return err == nil && status == "cancelled"
	}, patience, 20*time.Millisecond)
	require.Len(t, to.messages(), 2)
}

func TestTwoWorkersDeliverOnceEach(t *testing.T) {
	t.Parallel()
	b := setup(t)
	second, err := app.New(t.Context(), b.Config)
	require.NoError(t, err)
	t.Cleanup(second.Close)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- second.Run(ctx, app.Roles{Worker: true}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	to := newReceiver(t)
	made := b.webhook(to.URL)
	const n = 20
	for range n {
		b.ping(made.ID)
	}
	require.Eventually(t, func() bool {
		for _, d := range b.deliveries(made.ID) {
			if d.Status != api.WebhookDeliveryStatusSucceeded || d.Tries != 1 {
				return false
			}
		}
		return true
	}, patience, 20*time.Millisecond)
	ids := map[string]bool{}
	for _, m := range to.messages() {
		ids[m.header.Get("webhook-id")] = true
	}
	require.Len(t, to.messages(), n)
	require.Len(t, ids, n)
}

func TestCleanUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t)
	made := b.webhook(to.URL)
	ages := map[string]string{"kept": "29 days", "removed": "31 days", "cut short": "29 days"}
	for error, age := range ages {
		b.exec(`INSERT INTO webhook_deliveries (id, created_at, updated_at, webhook_id, event_id, event_type, payload, status, error)
			VALUES (gen_random_uuid(), now() - $1::text::interval, now(), $2, gen_random_uuid(), 'ping', '{}', $3, $4)`,
			age, made.ID, map[bool]string{true: "pending", false: "failed"}[error == "cut short"], error)
	}
	b.ping(made.ID)
	b.until(made.ID, hasStatus(api.WebhookDeliveryStatusSucceeded))
	require.NoError(t, b.Webhooks.CleanUp(t.Context()))
	left := b.deliveries(made.ID)
	require.Len(t, left, 3)
	require.ElementsMatch(t, []string{"", "kept", "The last try was cut short."}, []string{left[0].Error, left[1].Error, left[2].Error})
	for _, d := range left[1:] {
		require.Equal(t, api.WebhookDeliveryStatusFailed, d.Status)
	}
	failed, err := b.admin.ListWebhookDeliveriesWithResponse(t.Context(), made.ID, &api.ListWebhookDeliveriesParams{Status: new(api.WebhookDeliveryStatusFailed)})
	require.NoError(t, err)
	require.Len(t, failed.JSON200.Items, 2)
}
