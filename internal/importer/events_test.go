package importer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/webhook"
)

// listen has as many webhooks told of events.
func listen(t testing.TB, s *store.Store, webhooks int, events ...string) {
	t.Helper()
	require.NoError(t, s.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		for lane := range webhooks {
			err := tx.Webhook.Create().SetURL("https://hooks.example.org").SetEvents(events).SetLane(lane).
				SetSecret([]byte("sealed")).SetCreatedBy(uuid.New()).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestImportTellsWebhooks(t *testing.T) {
	t.Parallel()
	s := open(t)
	listen(t, s, 2, string(webhook.LandmarkCreated), string(webhook.LandmarkUpdated), string(webhook.AreaCreated))
	owner := uuid.New()
	run := func(content string) {
		t.Helper()
		src, err := importer.Open(file(t, "places.csv", content), importer.SourceOptions{})
		require.NoError(t, err)
		defer src.Close()
		_, err = importer.Import(t.Context(), s, src, importer.Options{Namespace: "places", Area: "Places", Owner: owner, BatchSize: 2})
		require.NoError(t, err)
	}
	// told returns how often each webhook was told of a thing, and sees to a job for each.
	told := func() map[string]int {
		t.Helper()
		rows, err := s.Pool.Query(t.Context(), `SELECT d.event_type, d.payload, j.queue = 'webhooks_0' || w.lane
			FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id JOIN river_job j ON j.args->>'delivery_id' = d.id::text`)
		require.NoError(t, err)
		defer rows.Close()
		found := map[string]int{}
		for rows.Next() {
			var event, payload string
			var inLane bool
			require.NoError(t, rows.Scan(&event, &payload, &inLane))
			require.True(t, inLane)
			var body struct{ Data struct{ Name string } }
			require.NoError(t, json.Unmarshal([]byte(payload), &body))
			found[event+" "+body.Data.Name]++
		}
		require.NoError(t, rows.Err())
		return found
	}
	const content = "id,name,lat,lon\n1,Lighthouse,54,10\n2,Pier,54.1,10\n3,Windmill,54.2,10\n"
	want := map[string]int{"area.created Places": 2, "landmark.created Lighthouse": 2, "landmark.created Pier": 2, "landmark.created Windmill": 2}
	run(content)
	require.Equal(t, want, told())
	run(content)
	require.Equal(t, want, told(), "nothing changed")
	run(strings.Replace(content, "Windmill", "Mill", 1))
	want["landmark.updated Mill"] = 2
	require.Equal(t, want, told())
	var events int
	require.NoError(t, s.Pool.QueryRow(t.Context(), "SELECT count(DISTINCT event_id) FROM webhook_deliveries").Scan(&events))
	require.Equal(t, 5, events, "an event has one id for all")
}

// BenchmarkImport imports rows that nobody, one webhook and five are told of.
func BenchmarkImport(b *testing.B) {
	const rows = 20_000
	var content strings.Builder
	content.WriteString("id,name,lat,lon\n")
	for i := range rows {
		fmt.Fprintf(&content, "%d,Bench %d,%f,%f\n", i, i, float64(i%160)-80, float64(i)/100-100)
	}
	for _, webhooks := range []int{0, 1, 5} {
		b.Run(fmt.Sprintf("webhooks=%d", webhooks), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := open(b)
				listen(b, s, webhooks, string(webhook.LandmarkCreated))
				src, err := importer.Open(file(b, "places.csv", content.String()), importer.SourceOptions{})
				require.NoError(b, err)
				start := time.Now()
				b.StartTimer()
				_, err = importer.Import(b.Context(), s, src, importer.Options{Namespace: "places", Area: "Places", Owner: uuid.New()})
				require.NoError(b, err)
				b.ReportMetric(rows/time.Since(start).Seconds(), "rows/s")
				require.NoError(b, src.Close())
			}
		})
	}
}
