package webhook_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/webhook"
)

// Receivers that hang are as many as there are workers, and more; each has more to be
// told than it is told at once.
func TestReceiversThatHangHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const hanging, each = 5, 3 * webhook.AtOnce
	slow := make([]*receiver, hanging)
	for i := range slow {
		slow[i], _ = newHoldingReceiver(t, 1)
		b.webhook(slow[i].URL)
	}
	town := b.Area(b.admin, "Harbour")
	tell := func() {
		for i := range each {
			b.Landmark(b.admin, town.ID, fmt.Sprint("Bench ", i), geo.Point{Latitude: float64(i), Longitude: 10}, func(in *api.LandmarkCreate) { in.AllowDuplicate = new(true) })
		}
	}
	tell()
	for _, r := range slow {
		r.wait(t, webhook.AtOnce)
	}

	quick := newReceiver(t)
	made := b.webhook(quick.URL)
	start := time.Now()
	tell()
	quick.wait(t, each)
	t.Logf("%d deliveries took %s beside %d receivers that hang", each, time.Since(start), hanging)
	require.Eventually(t, func() bool {
		for _, d := range b.deliveries(made.ID) {
			if d.Status != api.WebhookDeliveryStatusSucceeded {
				return false
			}
		}
		return true
	}, patience, 10*time.Millisecond)
	if time.Since(start) < 5*time.Second { // Afterwards the first tries end, and make room.
		for _, r := range slow {
			require.Len(t, r.messages(), webhook.AtOnce)
		}
	}
}

// A worker is killed amid deliveries, some of which their receiver has and nobody knows.
func TestKilledWorkerLosesNoEvent(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, allowPrivate)
	b := &bundle{Server: s, t: t, admin: s.As("admin")}
	const n, answered = 60, 20
	to, release := newHoldingReceiver(t, answered+1)
	made := b.webhook(to.URL)
	town := b.Area(b.admin, "Harbour")
	landmarks := map[uuid.UUID]bool{}
	for i := range n {
		landmarks[b.Landmark(b.admin, town.ID, fmt.Sprint("Bench ", i), geo.Point{Latitude: float64(i), Longitude: 10}).ID] = true
	}

	first := apptest.StartWorker(t, s.Config)
	to.wait(t, answered+webhook.AtOnce)
	first.Kill()
	first.AwaitForgotten()
	release()
	b.exec("UPDATE river_job SET attempted_at = now() - interval '1 day' WHERE state = 'running'")
	apptest.StartWorker(t, s.Config)
	require.Eventually(t, func() bool {
		b.hurry()
		var succeeded int
		err := s.Store.Pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'succeeded'`, made.ID).Scan(&succeeded)
		return err == nil && succeeded == n
	}, 2*patience, 50*time.Millisecond)

	bodies := map[string]string{}
	for _, m := range to.messages() {
		require.NoError(t, verify(made.Secret, m))
		id := m.header.Get("webhook-id")
		if earlier, again := bodies[id]; again {
			require.Equal(t, earlier, string(m.body), "under one id comes one event")
			continue
		}
		bodies[id] = string(m.body)
		var data api.WebhookLandmark
		require.NoError(t, json.Unmarshal(m.event().Data, &data))
		require.True(t, landmarks[data.ID], "it is told of once, under one id")
		delete(landmarks, data.ID)
	}
	require.Empty(t, landmarks, "each is told of")
	require.Len(t, bodies, n)
	require.Greater(t, len(to.messages()), n, "what the receiver had when the worker was killed comes again")
}

// While replicas are replaced, those of the release before create webhooks too, by
// this statement, which knows no lanes.
func TestTheReleaseBeforeCreatesWebhooks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newReceiver(t)
	secret := func(id uuid.UUID) (sealed []byte) {
		require.NoError(t, b.Store.Pool.QueryRow(t.Context(), "SELECT secret FROM webhooks WHERE id = $1", id).Scan(&sealed))
		return sealed
	}
	create := func(id uuid.UUID, sealed []byte) error {
		_, err := b.Store.Pool.Exec(t.Context(), `
			INSERT INTO "webhooks" ("created_at", "updated_at", "url", "description", "events", "secret", "created_by", "id")
			VALUES (now(), now(), $1, '', '["landmark.created"]', $2, $3, $4)`, to.URL, sealed, b.admin.ID, id)
		return err
	}
	lanes := func() (all []int) {
		require.NoError(t, b.Store.Pool.QueryRow(t.Context(), "SELECT array_agg(lane ORDER BY lane) FROM webhooks").Scan(&all))
		return all
	}
	first, second, third := b.webhook(to.URL), b.webhook(to.URL), b.webhook(to.URL)
	sealed := secret(second.ID) // Sealed for its id.
	deleted, err := b.admin.DeleteWebhookWithResponse(t.Context(), second.ID, nil)
	require.NoError(t, err)
	require.Equal(t, 204, deleted.StatusCode(), string(deleted.Body))
	require.Equal(t, []int{0, 2}, lanes())
	require.NoError(t, create(second.ID, sealed))
	require.Equal(t, []int{0, 1, 2}, lanes(), "the first that nobody has")

	b.Landmark(b.admin, b.Area(b.admin, "Harbour").ID, "Lighthouse", harbour)
	for _, id := range []uuid.UUID{first.ID, second.ID, third.ID} {
		b.until(id, func(d api.WebhookDelivery) bool { return d.Status == api.WebhookDeliveryStatusSucceeded })
	}
	var queues []string
	require.NoError(t, b.Store.Pool.QueryRow(t.Context(), "SELECT array_agg(queue ORDER BY queue) FROM river_job WHERE queue LIKE 'webhooks\\_%'").Scan(&queues))
	require.Equal(t, []string{webhook.Queue(0), webhook.Queue(1), webhook.Queue(2)}, queues)

	made := make(chan error)
	for range webhook.MaxWebhooks - 3 {
		go func() { made <- create(uuid.New(), sealed) }()
	}
	for range webhook.MaxWebhooks - 3 {
		require.NoError(t, <-made)
	}
	all := make([]int, webhook.Lanes)
	for i := range all {
		all[i] = i
	}
	require.Equal(t, all, lanes(), "also when they are created at once")
	err = create(uuid.New(), sealed)
	require.Error(t, err, "no worker has a queue for another")
	require.ErrorContains(t, err, "23502")
}
