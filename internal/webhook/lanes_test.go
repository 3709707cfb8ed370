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
