package metrics_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/metrics"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Main(m, testenv.WithMigrator(testenv.Migrator{Fingerprint: store.Fingerprint(), Up: store.Migrate}))
}

func open(t *testing.T, opts store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t), opts)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

var operations = []metrics.Operation{
	{Pattern: "GET /areas/{id}", Method: http.MethodGet, Name: "getArea"},
	{Pattern: "POST /photos", Method: http.MethodPost, Name: "createPhoto", IsPaced: true},
}

func TestRequests(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	m := metrics.NewHTTP(registry, operations)
	for _, request := range []struct {
		pattern, method string
		status          int
	}{
		{"GET /areas/{id}", "GET", 200},
		{"GET /areas/{id}", "GET", 200},
		{"GET /areas/{id}", "HEAD", 200},
		{"GET /areas/{id}", "GET", 404},
		{"POST /photos", "POST", 0},
		{"GET /docs/{file}", "GET", 200},
		{"", "POST", 405},
		{"", "BREW", 404},
		{"", "ANYTHING", 999},
	} {
		m.Begin()
		m.End(request.pattern, request.method, request.status, 100, 30*time.Millisecond)
	}
	m.Begin()
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP picaspot_http_requests_in_flight Requests that are being answered.
# TYPE picaspot_http_requests_in_flight gauge
picaspot_http_requests_in_flight 1
# HELP picaspot_http_requests_total Requests that were answered.
# TYPE picaspot_http_requests_total counter
picaspot_http_requests_total{method="GET",operation="getArea",status="200"} 2
picaspot_http_requests_total{method="GET",operation="getArea",status="404"} 1
picaspot_http_requests_total{method="GET",operation="page",status="200"} 1
picaspot_http_requests_total{method="HEAD",operation="getArea",status="200"} 1
picaspot_http_requests_total{method="POST",operation="createPhoto",status="aborted"} 1
picaspot_http_requests_total{method="POST",operation="unmatched",status="405"} 1
picaspot_http_requests_total{method="other",operation="unmatched",status="404"} 1
picaspot_http_requests_total{method="other",operation="unmatched",status="aborted"} 1
# HELP picaspot_http_response_bytes_total Bytes of the bodies of answers.
# TYPE picaspot_http_response_bytes_total counter
picaspot_http_response_bytes_total{operation="createPhoto"} 100
picaspot_http_response_bytes_total{operation="getArea"} 400
picaspot_http_response_bytes_total{operation="page"} 100
picaspot_http_response_bytes_total{operation="unmatched"} 300
`), "picaspot_http_requests_total", "picaspot_http_requests_in_flight", "picaspot_http_response_bytes_total"))

	require.True(t, m.End("POST /photos", "POST", 202, 0, 0).IsPaced)
	require.Equal(t, "getArea", m.End("GET /areas/{id}", "GET", 200, 0, 0).Name)
}

// A request costs no allocation.
//
//nolint:paralleltest // Allocations are counted in the whole process.
func TestRequestsAllocateNothing(t *testing.T) {
	m := metrics.NewHTTP(prometheus.NewRegistry(), operations)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.Begin()
		m.End("GET /areas/{id}", "GET", 200, 100, time.Millisecond)
		m.Begin()
		m.End("", "BREW", 404, 100, time.Millisecond)
	}))
}

func BenchmarkRequest(b *testing.B) {
	m := metrics.NewHTTP(prometheus.NewRegistry(), operations)
	b.ReportAllocs()
	for b.Loop() {
		m.Begin()
		m.End("GET /areas/{id}", "GET", 200, 100, time.Millisecond)
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	q := metrics.NewQueries(registry)
	q.Observe("landmark_nearby", time.Millisecond, "")
	q.Observe("landmark_nearby", time.Millisecond, "57014")
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP picaspot_database_query_failures_total Queries that failed, by the SQLSTATE or what ended them without one.
# TYPE picaspot_database_query_failures_total counter
picaspot_database_query_failures_total{failure="57014"} 1
`), "picaspot_database_query_failures_total"))
	count := func() int {
		n, err := testutil.GatherAndCount(registry, "picaspot_database_query_duration_seconds")
		require.NoError(t, err)
		return n
	}
	require.Equal(t, 1, count())
	// However many names there are, the time series are not.
	for i := range 3000 {
		q.Observe(fmt.Sprint("query_", i), time.Millisecond, "")
	}
	require.Equal(t, 1001, count())
}

func TestPools(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{MaxConns: 3})
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.NewDatabasePool(s.Pool), metrics.NewRedisPool(client), metrics.NewJobs(s.Pool))
	conn, err := s.Pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP picaspot_database_pool_connections_in_use Connections to the database that are in use.
# TYPE picaspot_database_pool_connections_in_use gauge
picaspot_database_pool_connections_in_use 1
# HELP picaspot_database_pool_connections_max Most connections to the database that there may be.
# TYPE picaspot_database_pool_connections_max gauge
picaspot_database_pool_connections_max 3
`), "picaspot_database_pool_connections_in_use", "picaspot_database_pool_connections_max"))
}

func TestJobs(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{MaxConns: 1, AcquireTimeout: time.Second})
	insert := func(state, queue string, n int) {
		_, err := s.Pool.Exec(t.Context(), `INSERT INTO river_job (state, kind, args, queue, finalized_at, scheduled_at)
			SELECT $1::text::river_job_state, 'mail', '{}', $2, CASE WHEN $1 IN ('discarded', 'completed') THEN now() END, now() - interval '1 hour'
			FROM generate_series(1, $3)`, state, queue, n)
		require.NoError(t, err)
	}
	insert("available", "default", 3)
	insert("available", "mail", 1)
	insert("discarded", "default", 2)
	insert("completed", "default", 9)
	jobs := metrics.NewJobs(s.Pool)
	counts := strings.NewReader(`
# HELP picaspot_jobs Jobs that are not finished, and those that were discarded for good.
# TYPE picaspot_jobs gauge
picaspot_jobs{queue="default",state="available"} 3
picaspot_jobs{queue="default",state="discarded"} 2
picaspot_jobs{queue="mail",state="available"} 1
# HELP picaspot_jobs_reachable 1 when the database told about the jobs.
# TYPE picaspot_jobs_reachable gauge
picaspot_jobs_reachable 1
`)
	require.NoError(t, testutil.CollectAndCompare(jobs, counts, "picaspot_jobs", "picaspot_jobs_reachable"))
	require.Equal(t, 2, testutil.CollectAndCount(jobs, "picaspot_jobs_oldest_available_seconds"))

	// Who scrapes often asks the database no more often.
	before := s.Pool.Stat().AcquireCount()
	require.Positive(t, testutil.CollectAndCount(jobs))
	require.Equal(t, before, s.Pool.Stat().AcquireCount())

	// A database that does not answer takes the other metrics not along.
	conn, err := s.Pool.Acquire(context.Background())
	require.NoError(t, err)
	defer conn.Release()
	require.NoError(t, testutil.CollectAndCompare(metrics.NewJobs(s.Pool), strings.NewReader(`
# HELP picaspot_jobs_reachable 1 when the database told about the jobs.
# TYPE picaspot_jobs_reachable gauge
picaspot_jobs_reachable 0
`)))
}
