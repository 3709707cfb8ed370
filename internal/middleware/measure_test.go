package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/metrics"
	"github.com/picaspot/picaspot/internal/middleware"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// measured puts what measures around handlers of two operations and a page.
func measured(registry *prometheus.Registry, slow time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /areas/{id}", func(w http.ResponseWriter, r *http.Request) {
		tally := reqctx.TallyOf(r.Context())
		tally.AddQuery(time.Millisecond)
		tally.AddQuery(2 * time.Millisecond)
		tally.AddWait(time.Microsecond)
		w.WriteHeader(http.StatusTeapot)
	})
	mux.HandleFunc("POST /photos", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("reached") })
	meter := metrics.NewHTTP(registry, []metrics.Operation{
		{Pattern: "GET /areas/{id}", Method: http.MethodGet, Name: "getArea"},
		{Pattern: "POST /photos", Method: http.MethodPost, Name: "createPhoto", IsPaced: true},
	})
	return middleware.Identify(nil)(middleware.AccessLog(middleware.Measure(meter, slow)(middleware.Recover(mux))))
}

func send(h http.Handler, method, target string) {
	defer func() { _ = recover() }() // A request that is cut off panics on.
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("X-Request-ID", "id-1")
	h.ServeHTTP(httptest.NewRecorder(), r)
}

//nolint:paralleltest // The process has one log.
func TestMeasure(t *testing.T) {
	keepLog(t)
	registry := prometheus.NewRegistry()
	h := measured(registry, 0)
	send(h, http.MethodGet, "/areas/1")
	send(h, http.MethodGet, "/areas/2")
	send(h, http.MethodPost, "/photos")
	send(h, http.MethodGet, "/cut")
	send(h, http.MethodGet, "/panic")
	send(h, http.MethodGet, "/made-up-by-a-scanner")
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP picaspot_http_requests_in_flight Requests that are being answered.
# TYPE picaspot_http_requests_in_flight gauge
picaspot_http_requests_in_flight 0
# HELP picaspot_http_requests_total Requests that were answered.
# TYPE picaspot_http_requests_total counter
picaspot_http_requests_total{method="GET",operation="getArea",status="418"} 2
picaspot_http_requests_total{method="GET",operation="page",status="500"} 1
picaspot_http_requests_total{method="GET",operation="page",status="aborted"} 1
picaspot_http_requests_total{method="GET",operation="unmatched",status="404"} 1
picaspot_http_requests_total{method="POST",operation="createPhoto",status="200"} 1
`), "picaspot_http_requests_total", "picaspot_http_requests_in_flight"))
}

// A slow request has a line that tells what of it the database took; who takes long
// to send a photo has not.
//
//nolint:paralleltest // The process has one log.
func TestSlowRequests(t *testing.T) {
	logged := keepLog(t)
	h := measured(prometheus.NewRegistry(), time.Nanosecond)
	send(h, http.MethodGet, "/areas/secret")
	send(h, http.MethodPost, "/photos")
	require.NotContains(t, logged.out.String(), "secret")
	lines := logged.lines(t, "slow request")
	require.Len(t, lines, 1)
	require.Positive(t, lines[0]["duration"])
	delete(lines[0], "duration")
	delete(lines[0], "time")
	require.Equal(t, map[string]any{
		"level": "WARN", "msg": "slow request", "operation": "getArea", "method": "GET", "status": 418.0, "request_id": "id-1",
		"queries": 2.0, "database": float64(3 * time.Millisecond), "database_wait": float64(time.Microsecond),
	}, lines[0])
	access := logged.lines(t, "request")
	require.InDelta(t, 2, access[0]["queries"], 0)
	require.NotContains(t, access[1], "queries", "it asked nothing")

	send(measured(prometheus.NewRegistry(), time.Hour), http.MethodGet, "/areas/secret")
	require.Len(t, logged.lines(t, "slow request"), 1)
}
