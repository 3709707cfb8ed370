package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/middleware"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// log is the default logger's output while a test runs. The middleware logs
// where the process logs, so the tests of what it writes do not run in parallel.
type log struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func keepLog(t *testing.T) *log {
	t.Helper()
	l := &log{}
	before := slog.Default()
	slog.SetDefault(slog.New(reqctx.NewLogHandler(slog.NewJSONHandler(l, nil))))
	t.Cleanup(func() { slog.SetDefault(before) })
	return l
}

// lines returns what was logged under a message.
func (l *log) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []map[string]any
	for line := range strings.Lines(l.out.String()) {
		var record map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &record))
		if record["msg"] == message {
			lines = append(lines, record)
		}
	}
	return lines
}

//nolint:paralleltest // The process has one log.
func TestAccessLog(t *testing.T) {
	logged := keepLog(t)
	user := uuid.New()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /areas/{id}", func(w http.ResponseWriter, r *http.Request) {
		middleware.LogUser(r.Context(), user)
		w.WriteHeader(http.StatusCreated)
		_, err := w.Write([]byte("four"))
		if err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /nothing", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /text", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) })
	h := around(mux.ServeHTTP)
	for _, target := range []string{"/areas/secret-id?token=secret-token", "/nothing", "/stream", "/text", "/missing"} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Authorization", "Bearer secret-bearer")
		r.Header.Set("X-Request-ID", "id-1")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	require.NotContains(t, logged.out.String(), "secret")
	lines := logged.lines(t, "request")
	require.Len(t, lines, 5)
	for i, want := range []map[string]any{
		{"method": "GET", "pattern": "GET /areas/{id}", "status": 201.0, "bytes": 4.0, "address": "192.0.2.1", "user_id": user.String(), "request_id": "id-1"},
		{"pattern": "GET /nothing", "status": 200.0, "bytes": 0.0},
		{"pattern": "GET /stream", "status": 200.0},
		{"pattern": "GET /text", "status": 200.0, "bytes": 1.0},
		{"pattern": "", "status": 404.0},
	} {
		for key, value := range want {
			require.Equal(t, value, lines[i][key], key)
		}
		require.Contains(t, lines[i], "duration")
		require.NotContains(t, lines[i], "aborted")
		if i > 0 {
			require.NotContains(t, lines[i], "user_id")
		}
	}
}

// An informational answer is not yet the answer.
//
//nolint:paralleltest // The process has one log.
func TestAccessLogWaitsForTheAnswer(t *testing.T) {
	logged := keepLog(t)
	over := httptest.NewServer(around(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	}))
	defer over.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, over.URL, nil)
	require.NoError(t, err)
	response, err := over.Client().Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusTeapot, response.StatusCode)
	over.Close() // The line is written once the handler is through.
	require.InDelta(t, http.StatusTeapot, logged.lines(t, "request")[0]["status"], 0)
}

func TestLogUserOutsideOfARequest(t *testing.T) {
	t.Parallel()
	require.NotPanics(t, func() { middleware.LogUser(t.Context(), uuid.New()) })
}

func TestLogHandlerNamesTheRequest(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(reqctx.NewLogHandler(slog.NewJSONHandler(&out, nil))).With("a", 1)
	ctx := reqctx.With(context.Background(), reqctx.Request{ID: "id-1"})
	logger.InfoContext(ctx, "inside")
	logger.InfoContext(context.Background(), "outside")
	logger.WithGroup("g").InfoContext(ctx, "grouped", "b", 2)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Contains(t, lines[0], `"a":1,"request_id":"id-1"`)
	require.NotContains(t, lines[1], "request_id")
	require.Contains(t, lines[2], `"b":2,"request_id":"id-1"`)
}
