package webhook_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/webhook"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var harbour = geo.Point{Latitude: 54.4307, Longitude: 10.1925}

// patience bounds how long a test waits for workers on a busy machine.
const patience = time.Minute

// allowPrivate has receivers on this machine.
func allowPrivate(c *config.Config) { c.WebhookAllowPrivate = true }

// message is what a receiver got.
type message struct {
	header http.Header
	body   []byte
}

func (m message) event() (e struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
},
) {
	_ = json.Unmarshal(m.body, &e) // An event without a type fails the test.
	return e
}

// receiver is the other side. It answers 204 unless it is told otherwise.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	got      []message
	statuses []int
	// hold, when it is there, is called before each answer.
	hold func(nth int)
}

func newReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.got = append(r.got, message{header: request.Header.Clone(), body: body})
		nth := len(r.got)
		status := http.StatusNoContent
		if len(r.statuses) > 0 {
			status, r.statuses = r.statuses[0], r.statuses[1:]
		}
		r.mu.Unlock()
		if r.hold != nil {
			r.hold(nth)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

// newHoldingReceiver holds back its answers from the one with a number on, until the
// function that it returns is called.
func newHoldingReceiver(t *testing.T, from int) (_ *receiver, release func()) {
	t.Helper()
	released := make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	r := newReceiver(t)
	r.hold = func(nth int) {
		if nth >= from {
			<-released
		}
	}
	t.Cleanup(release)
	return r, release
}

func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]message(nil), r.got...)
}

// wait returns the messages once there are n.
func (r *receiver) wait(t *testing.T, n int) []message {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.messages()) >= n }, patience, 10*time.Millisecond, "%d messages", n)
	return r.messages()
}

type bundle struct {
	*apptest.Server
	t     *testing.T
	admin *apptest.Client
}

func setup(t *testing.T) *bundle {
	t.Helper()
	s := apptest.New(t, allowPrivate)
	return &bundle{Server: s, t: t, admin: s.As("admin")}
}

// webhook adds a webhook for some events.
func (b *bundle) webhook(url string, events ...api.WebhookEvent) api.WebhookWithSecret {
	b.t.Helper()
	if len(events) == 0 {
		events = []api.WebhookEvent{api.WebhookEventLandmarkCreated}
	}
	made, err := b.admin.CreateWebhookWithResponse(b.t.Context(), nil, api.WebhookCreate{URL: url, Events: events})
	require.NoError(b.t, err)
	require.NotNil(b.t, made.JSON201, string(made.Body))
	return *made.JSON201
}

func (b *bundle) get(id uuid.UUID) api.Webhook {
	b.t.Helper()
	got, err := b.admin.GetWebhookWithResponse(b.t.Context(), id, nil)
	require.NoError(b.t, err)
	require.NotNil(b.t, got.JSON200, string(got.Body))
	return *got.JSON200
}

// deliveries is the log of a webhook, newest first.
func (b *bundle) deliveries(id uuid.UUID) []api.WebhookDelivery {
	b.t.Helper()
	got, err := b.admin.ListWebhookDeliveriesWithResponse(b.t.Context(), id, nil)
	require.NoError(b.t, err)
	require.NotNil(b.t, got.JSON200, string(got.Body))
	return got.JSON200.Items
}

// until waits for what a delivery becomes.
func (b *bundle) until(webhook uuid.UUID, is func(api.WebhookDelivery) bool) api.WebhookDelivery {
	b.t.Helper()
	var last api.WebhookDelivery
	require.Eventually(b.t, func() bool {
		all := b.deliveries(webhook)
		if len(all) == 0 {
			return false
		}
		last = all[0]
		return is(last)
	}, patience, 20*time.Millisecond, "the delivery does not get there")
	return last
}

func hasStatus(status api.WebhookDeliveryStatus) func(api.WebhookDelivery) bool {
	return func(d api.WebhookDelivery) bool { return d.Status == status }
}

func (b *bundle) ping(id uuid.UUID) api.WebhookDelivery {
	b.t.Helper()
	sent, err := b.admin.SendWebhookTestWithResponse(b.t.Context(), id, nil)
	require.NoError(b.t, err)
	require.NotNil(b.t, sent.JSON202, string(sent.Body))
	return *sent.JSON202
}

// hurry makes the next tries due.
func (b *bundle) hurry() {
	b.t.Helper()
	b.exec(`UPDATE river_job SET scheduled_at = now(), state = 'available' WHERE kind = 'webhook_deliver' AND state IN ('retryable', 'scheduled')`)
}

func (b *bundle) exec(statement string, args ...any) {
	b.t.Helper()
	_, err := b.Store.Pool.Exec(context.Background(), statement, args...)
	require.NoError(b.t, err)
}

// verify checks a signature as a receiver does.
func verify(secret string, m message) error {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return verifier.Verify(m.body, m.header)
}

func TestEventsAreDelivered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t)
	made := b.webhook(to.URL, api.WebhookEventLandmarkCreated, api.WebhookEventUnlockCreated, api.WebhookEventAttemptDecided)
	other := newReceiver(t)
	b.webhook(other.URL, api.WebhookEventReportCreated)

	town := b.Area(b.admin, "Harbour")
	light := b.Landmark(b.admin, town.ID, "Lighthouse", harbour)
	got := to.wait(t, 1)[0]
	require.NoError(t, verify(made.Secret, got))
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.Equal(t, "landmark.created", got.event().Type)
	var data api.WebhookLandmark
	require.NoError(t, json.Unmarshal(got.event().Data, &data))
	require.Equal(t, light.ID, data.ID)
	require.Equal(t, "Lighthouse", data.Name)

	done := b.until(made.ID, hasStatus(api.WebhookDeliveryStatusSucceeded))
	require.Equal(t, got.header.Get("webhook-id"), done.EventID.String())
	require.Equal(t, 1, done.Tries)
	require.Equal(t, http.StatusNoContent, done.ResponseStatus.MustGet())
	require.True(t, done.NextTryAt.IsNull())
	require.JSONEq(t, string(got.body), string(done.Payload))

	explorer := b.User()
	b.Attempt(explorer, light.ID, apptest.Photo(t, harbour, time.Now()), harbour)
	types := map[string]message{}
	for _, m := range to.wait(t, 3) {
		types[m.event().Type] = m
	}
	require.Contains(t, types, "unlock.created")
	require.Contains(t, string(types["attempt.decided"].body), explorer.ID.String())
	require.NotContains(t, string(types["attempt.decided"].body), "latitude", "where somebody stood is not told")

	reported, err := explorer.CreateReportWithResponse(t.Context(), nil, api.ReportCreate{
		SubjectType: api.ReportSubjectLandmark, SubjectID: light.ID, Reason: api.ReportReasonSpam, Comment: new("Call me: ada@example.org"),
	})
	require.NoError(t, err)
	require.NotNil(t, reported.JSON201, string(reported.Body))
	require.NotContains(t, string(other.wait(t, 1)[0].body), "ada@example.org", "what people wrote is not told")
	require.Len(t, to.messages(), 3, "it is for other events")
}

func TestEachEventFitsItsSchema(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t)
	all := []api.WebhookEvent{
		api.WebhookEventAreaCreated, api.WebhookEventAreaUpdated, api.WebhookEventAreaDeleted, api.WebhookEventAreaRestored,
		api.WebhookEventLandmarkCreated, api.WebhookEventLandmarkUpdated, api.WebhookEventLandmarkDeleted, api.WebhookEventLandmarkRestored,
		api.WebhookEventAttemptDecided, api.WebhookEventUnlockCreated, api.WebhookEventReportCreated, api.WebhookEventReportResolved,
	}
	made := b.webhook(to.URL, all...)
	ctx := t.Context()
	explorer := b.User()

	town := b.Area(b.admin, "Harbour")
	light := b.Landmark(b.admin, town.ID, "Lighthouse", harbour)
	b.Decided(explorer, b.Attempt(explorer, light.ID, apptest.Photo(t, harbour, time.Now()), harbour).ID)
	_, err := b.admin.UpdateAreaWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, town.ID, nil, api.AreaUpdate{Description: nullable.NewNullableWithValue("By the sea.")})
	require.NoError(t, err)
	_, err = b.admin.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, light.ID, nil, api.LandmarkUpdate{Difficulty: new(3)})
	require.NoError(t, err)
	reported, err := explorer.CreateReportWithResponse(ctx, nil, api.ReportCreate{SubjectType: api.ReportSubjectLandmark, SubjectID: light.ID, Reason: api.ReportReasonSpam})
	require.NoError(t, err)
	_, err = b.admin.ResolveReportWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, reported.JSON201.ID, nil, api.ReportUpdate{Status: api.ReportUpdateStatusDismissed})
	require.NoError(t, err)
	_, err = b.admin.DeleteLandmarkWithResponse(ctx, light.ID, nil)
	require.NoError(t, err)
	_, err = b.admin.RestoreLandmarkWithResponse(ctx, light.ID)
	require.NoError(t, err)
	_, err = b.admin.DeleteAreaWithResponse(ctx, town.ID, nil)
	require.NoError(t, err)
	_, err = b.admin.RestoreAreaWithResponse(ctx, town.ID)
	require.NoError(t, err)
	b.ping(made.ID)

	spec, err := api.GetSpec()
	require.NoError(t, err)
	schemas := map[string]string{"landmark": "Landmark", "area": "Area", "attempt": "Attempt", "unlock": "Unlock", "report": "Report", "ping": "Ping"}
	seen := map[string]int{}
	for _, m := range to.wait(t, len(all)+1) {
		e := m.event()
		seen[e.Type]++
		kind, _, _ := strings.Cut(e.Type, ".")
		schema := spec.Components.Schemas["Webhook"+schemas[kind]+"Event"].Value
		schema.AdditionalProperties.Has = new(false)
		schema.Properties["data"].Value.AdditionalProperties.Has = new(false)
		var value any
		require.NoError(t, json.Unmarshal(m.body, &value))
		require.NoError(t, schema.VisitJSON(value), string(m.body))
	}
	for _, event := range append(all, "ping") {
		require.Equal(t, 1, seen[string(event)], event)
	}
	require.Len(t, seen, len(all)+1)
}

func TestChangeThatIsRolledBackIsNotTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t)
	made := b.webhook(to.URL)
	town := b.Area(b.admin, "Harbour")
	relent := b.Refuse("INSERT", "river_job")
	failed, err := b.admin.CreateLandmarkWithResponse(t.Context(), nil, api.LandmarkCreate{AreaID: town.ID, Name: "Lighthouse", Latitude: 54, Longitude: 10})
	require.NoError(t, err)
	require.Equal(t, http.StatusInternalServerError, failed.StatusCode())
	relent()
	require.Empty(t, b.deliveries(made.ID))
	b.Landmark(b.admin, town.ID, "Windmill", harbour)
	require.Contains(t, string(to.wait(t, 1)[0].body), "Windmill")
	require.Len(t, b.deliveries(made.ID), 1)
}

func TestRetries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t, http.StatusServiceUnavailable, http.StatusFound)
	made := b.webhook(to.URL)
	b.Landmark(b.admin, b.Area(b.admin, "Harbour").ID, "Lighthouse", harbour)

	tried := b.until(made.ID, func(d api.WebhookDelivery) bool { return d.Tries == 1 })
	require.Equal(t, api.WebhookDeliveryStatusPending, tried.Status)
	require.Equal(t, "The receiver answered with 503.", tried.Error)
	require.Equal(t, http.StatusServiceUnavailable, tried.ResponseStatus.MustGet())
	require.WithinRange(t, tried.NextTryAt.MustGet(), tried.CreatedAt.Add(5*time.Second), time.Now().Add(6*time.Second))

	b.hurryUntil(made.ID, func(d api.WebhookDelivery) bool { return d.Tries == 2 })
	require.Contains(t, b.deliveries(made.ID)[0].Error, "Redirections are not followed.")
	b.hurryUntil(made.ID, hasStatus(api.WebhookDeliveryStatusSucceeded))
	got := to.wait(t, 3)
	require.Len(t, got, 3)
	for _, m := range got {
		require.NoError(t, verify(made.Secret, m))
		require.Equal(t, got[0].header.Get("webhook-id"), m.header.Get("webhook-id"))
		require.Equal(t, got[0].body, m.body)
	}
}

// hurryUntil makes tries due until a delivery is what it should become.
func (b *bundle) hurryUntil(id uuid.UUID, is func(api.WebhookDelivery) bool) api.WebhookDelivery {
	b.t.Helper()
	return b.until(id, func(d api.WebhookDelivery) bool {
		if is(d) {
			return true
		}
		b.hurry()
		return false
	})
}

func TestWaits(t *testing.T) {
	t.Parallel()
	args := webhook.DeliverArgs{DeliveryID: uuid.Max}
	require.InDelta(t, 6, args.Wait(1).Seconds(), 0.1)
	require.Equal(t, 5*time.Second, webhook.DeliverArgs{}.Wait(1))
	require.Equal(t, 24*time.Hour, webhook.DeliverArgs{}.Wait(9))
	require.Equal(t, 24*time.Hour, webhook.DeliverArgs{}.Wait(25))
	require.Equal(t, 10, args.InsertOpts().MaxAttempts)
}

func TestGoneDisables(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t, http.StatusGone)
	made := b.webhook(to.URL)
	town := b.Area(b.admin, "Harbour")
	b.Landmark(b.admin, town.ID, "Lighthouse", harbour)
	gone := b.until(made.ID, hasStatus(api.WebhookDeliveryStatusFailed))
	now := b.get(made.ID)
	require.False(t, now.Enabled)
	require.Equal(t, api.WebhookDisabledReasonGone, now.DisabledReason.MustGet())

	b.Landmark(b.admin, town.ID, "Windmill", geo.Point{Latitude: 54.5, Longitude: 10.2})
	require.Len(t, b.deliveries(made.ID), 1, "it is told of nothing any more")
	replayed, err := b.admin.ResendWebhookDeliveryWithResponse(t.Context(), made.ID, gone.ID, nil)
	require.NoError(t, err)
	require.Contains(t, apptest.Problem(t, http.StatusConflict, replayed.HTTPResponse, replayed.Body).Type, "webhook_disabled")

	b.ping(made.ID)
	b.until(made.ID, hasStatus(api.WebhookDeliveryStatusSucceeded))
	back, err := b.admin.UpdateWebhookWithApplicationMergePatchPlusJSONBodyWithResponse(t.Context(), made.ID, nil, api.WebhookUpdate{Enabled: new(true)})
	require.NoError(t, err)
	require.True(t, back.JSON200.Enabled, string(back.Body))
	require.True(t, back.JSON200.DisabledReason.IsNull())
}

func TestDaysOfFailureDisable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t, http.StatusInternalServerError, http.StatusInternalServerError)
	made := b.webhook(to.URL)
	b.Landmark(b.admin, b.Area(b.admin, "Harbour").ID, "Lighthouse", harbour)
	b.until(made.ID, func(d api.WebhookDelivery) bool { return d.Tries == 1 })
	b.exec(`UPDATE webhooks SET failing_since = now() - interval '3 days'`)
	require.Eventually(t, func() bool {
		b.exec(`UPDATE river_job SET attempt = 9, scheduled_at = now(), state = 'available' WHERE kind = 'webhook_deliver' AND state IN ('retryable', 'scheduled')`)
		return b.deliveries(made.ID)[0].Status == api.WebhookDeliveryStatusFailed
	}, patience, 20*time.Millisecond)
	require.Equal(t, api.WebhookDisabledReasonFailing, b.get(made.ID).DisabledReason.MustGet())
}

func TestReplay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t)
	made := b.webhook(to.URL)
	b.Landmark(b.admin, b.Area(b.admin, "Harbour").ID, "Lighthouse", harbour)
	first := b.until(made.ID, hasStatus(api.WebhookDeliveryStatusSucceeded))
	again, err := b.admin.ResendWebhookDeliveryWithResponse(t.Context(), made.ID, first.ID, nil)
	require.NoError(t, err)
	require.NotNil(t, again.JSON202, string(again.Body))
	require.Equal(t, first.ID, again.JSON202.ReplayOf.MustGet())
	got := to.wait(t, 2)
	require.Equal(t, got[0].header.Get("webhook-id"), got[1].header.Get("webhook-id"))
	require.Equal(t, got[0].body, got[1].body)
	require.NoError(t, verify(made.Secret, got[1]))

	other := b.webhook(to.URL)
	stray, err := b.admin.ResendWebhookDeliveryWithResponse(t.Context(), other.ID, first.ID, nil)
	require.NoError(t, err)
	apptest.Problem(t, http.StatusNotFound, stray.HTTPResponse, stray.Body)
}

func TestReplaceSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t)
	made := b.webhook(to.URL)
	next, err := b.admin.ReplaceWebhookSecretWithResponse(t.Context(), made.ID, nil)
	require.NoError(t, err)
	require.NotNil(t, next.JSON200, string(next.Body))
	require.NotEqual(t, made.Secret, next.JSON200.Secret)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), next.JSON200.PreviousSecretUntil.MustGet(), time.Hour)
	b.ping(made.ID)
	overlapping := to.wait(t, 1)[0]
	require.NoError(t, verify(made.Secret, overlapping))
	require.NoError(t, verify(next.JSON200.Secret, overlapping))

	last, err := b.admin.ReplaceWebhookSecretWithResponse(t.Context(), made.ID, &api.ReplaceWebhookSecretParams{OverlapHours: new(0)})
	require.NoError(t, err)
	b.ping(made.ID)
	alone := to.wait(t, 2)[1]
	require.NoError(t, verify(last.JSON200.Secret, alone))
	require.Error(t, verify(next.JSON200.Secret, alone), "it was withdrawn")
}
