package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/apptest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

const (
	soon  = time.Minute
	often = 20 * time.Millisecond
)

// periods are how often each periodic job is due.
var periods = map[string]time.Duration{
	"account_clean_up": time.Hour, "trash_purge": time.Hour, "idempotency_clean_up": time.Hour, "webhook_clean_up": time.Hour, "upload_clean_up": time.Hour,
	"map_count": time.Minute, "import_maintenance": time.Minute, "search_vocabulary": 24 * time.Hour, "audit_partitions": 24 * time.Hour, "storage_sweep": 24 * time.Hour,
}

// work runs workers until the function that it returns is called.
func work(t *testing.T, s *apptest.Server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, app.Roles{Worker: true}) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// Workers that restart within each period would otherwise never get to these jobs.
func TestPeriodicJobsRunAtTheStartAndOnceInAPeriod(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	completed := func() (kinds []string) {
		rows, err := s.Store.Pool.Query(t.Context(), "SELECT DISTINCT kind FROM river_job WHERE state = 'completed'")
		require.NoError(t, err)
		kinds, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return kinds
	}
	stop := work(t, s)
	require.Eventually(t, func() bool { return len(completed()) == len(periods) }, soon, often, "each runs at the start")
	stop()
	for _, kind := range completed() {
		require.Contains(t, periods, kind)
	}

	// As if the last purge was that of an earlier hour, and all others of this one.
	_, err := s.Store.Pool.Exec(t.Context(), `UPDATE river_job SET unique_key = '\x00', scheduled_at = scheduled_at - interval '1 hour' WHERE kind = 'trash_purge'`)
	require.NoError(t, err)
	stop = work(t, s)
	defer stop()
	require.Eventually(t, func() bool {
		var purges int
		require.NoError(t, s.Store.Pool.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'trash_purge'").Scan(&purges))
		return purges == 2
	}, soon, often, "it runs again in the next period")
	for kind, period := range periods {
		var most int
		require.NoError(t, s.Store.Pool.QueryRow(t.Context(), fmt.Sprintf(`SELECT max(count) FROM (
			SELECT count(*) FROM river_job WHERE kind = $1 GROUP BY floor(extract(epoch FROM scheduled_at) / %d)) counts`, int(period.Seconds())), kind).Scan(&most))
		require.Equal(t, 1, most, "%s in a period", kind)
	}
}
