package unlock_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
)

// TestKilledProcessLosesNothing kills the one process that answers and works in
// the middle of a rush: what was acknowledged is decided after the restart, each
// once.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator, explorer := s.User(), s.User()
	area := s.Area(creator, "Harbour")
	const n = 200
	landmarks := make([]uuid.UUID, n)
	spots := make([]geo.Point, n)
	for i := range landmarks {
		spots[i] = geo.Point{Latitude: 53 + float64(i)/100, Longitude: 8.7}
		landmarks[i] = s.Landmark(creator, area.ID, "Lighthouse", spots[i]).ID
	}
	first := apptest.Start(t, s.Config, "serve", "--with-worker")
	client := first.Client(explorer.Token)

	var mu sync.Mutex
	var acknowledged []uuid.UUID
	work := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range work {
				contentType, body := apptest.Form(t, apptest.Photo(t, spots[i], time.Now()), apptest.Claim(spots[i]))
				made, err := client.CreateAttemptWithBodyWithResponse(context.Background(), landmarks[i], nil, contentType, body)
				if err == nil && made.StatusCode() == http.StatusAccepted {
					mu.Lock()
					acknowledged = append(acknowledged, made.JSON202.ID)
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		work <- i
		if i == n/2 {
			first.Kill()
		}
	}
	close(work)
	wg.Wait()
	require.GreaterOrEqual(t, len(acknowledged), n/4, "the process took some before it was killed")
	require.Less(t, len(acknowledged), n, "the process was killed in between")
	first.AwaitForgotten()
	makeKilledJobsDue(t, s)

	second := apptest.Start(t, s.Config, "serve", "--with-worker")
	for _, id := range acknowledged {
		s.Decided(explorer, id)
	}
	second.Stop()
	var verdicts, attempts, unlocked, distinct int
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(), `SELECT
		(SELECT count(*) FROM audit_logs WHERE entity_type = 'attempt' AND action = 'update'),
		(SELECT count(*) FROM attempts WHERE status = 'succeeded'),
		(SELECT count(*) FROM unlocks), (SELECT count(DISTINCT landmark_id) FROM unlocks)`).
		Scan(&verdicts, &attempts, &unlocked, &distinct))
	require.GreaterOrEqual(t, attempts, len(acknowledged))
	require.Equal(t, attempts, verdicts, "each was decided once")
	require.Equal(t, attempts, unlocked)
	require.Equal(t, unlocked, distinct)
}

// makeKilledJobsDue lets the time pass after which River takes over the jobs of
// a process that is gone.
func makeKilledJobsDue(t *testing.T, s *apptest.Server) {
	t.Helper()
	_, err := s.Store.Pool.Exec(context.Background(),
		"UPDATE river_job SET attempted_at = now() - interval '1 day' WHERE state = 'running'")
	require.NoError(t, err)
}
