package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
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

// around puts everything around a handler, as the server does.
func around(h http.HandlerFunc) http.Handler {
	return middleware.RequestID(middleware.AccessLog(middleware.Recover(middleware.SecurityHeaders(h))))
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sent []string
		want string // empty for a new one
	}{
		"keeps a sane one":            {[]string{"abc-DEF_1.2"}, "abc-DEF_1.2"},
		"keeps 128 characters":        {[]string{strings.Repeat("x", 128)}, strings.Repeat("x", 128)},
		"makes one":                   {nil, ""},
		"makes one for an empty one":  {[]string{""}, ""},
		"refuses 129 characters":      {[]string{strings.Repeat("x", 129)}, ""},
		"refuses spaces":              {[]string{"a b"}, ""},
		"refuses a line break":        {[]string{"a\nb"}, ""},
		"refuses a last line break":   {[]string{"ab\n"}, ""},
		"refuses what is not ASCII":   {[]string{"ä"}, ""},
		"refuses what breaks a quote": {[]string{`a"b`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var inside string
			h := middleware.RequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = reqctx.RequestID(r.Context()) }))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["X-Request-Id"] = test.sent
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, inside, w.Header().Get("X-Request-ID"))
			if test.want != "" {
				require.Equal(t, test.want, inside)
				return
			}
			id, err := uuid.Parse(inside)
			require.NoError(t, err)
			require.EqualValues(t, 7, id.Version())
		})
	}
}

func TestRequestIDNotesWhereFrom(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ö", 300)
	for name, test := range map[string]struct{ peer, agent, address, userAgent string }{
		"IPv4":                  {"192.0.2.1:1234", "curl/8", "192.0.2.1", "curl/8"},
		"IPv6 with a zone":      {"[fe80::1%eth0]:1234", "", "fe80::1", ""},
		"IPv4 as IPv6":          {"[::ffff:192.0.2.1]:1234", "", "192.0.2.1", ""},
		"a socket":              {"@", "", "", ""},
		"an agent in bytes":     {"192.0.2.1:1", "a\xffb\x00c", "192.0.2.1", "a?bc"},
		"an agent that is long": {"192.0.2.1:1", long, "192.0.2.1", long[:512]},
		"an agent cut between":  {"192.0.2.1:1", "x" + long, "192.0.2.1", "x" + long[:510]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var inside reqctx.Request
			h := middleware.RequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = reqctx.From(r.Context()) }))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = test.peer
			r.Header.Set("User-Agent", test.agent)
			h.ServeHTTP(httptest.NewRecorder(), r)
			require.Equal(t, test.address, inside.Address)
			require.Equal(t, test.userAgent, inside.UserAgent)
			require.True(t, utf8.ValidString(inside.UserAgent))
		})
	}
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

func TestLogUserWithoutAnAccessLog(t *testing.T) {
	t.Parallel()
	require.NotPanics(t, func() { middleware.LogUser(t.Context(), uuid.New()) })
}

//nolint:paralleltest // The process has one log.
func TestRecoverAnswersWithAProblem(t *testing.T) {
	logged := keepLog(t)
	w := httptest.NewRecorder()
	around(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		w.Header().Set("ETag", `"1"`)
		panic(errors.New("secret detail"))
	}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/areas", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Empty(t, w.Header().Get("Content-Length"))
	require.Empty(t, w.Header().Get("ETag"))
	require.NotContains(t, w.Body.String(), "secret")
	var p api.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, "/problems/internal", p.Type)
	require.Equal(t, w.Header().Get("X-Request-ID"), p.RequestID)

	lines := logged.lines(t, "panic")
	require.Len(t, lines, 1)
	require.Equal(t, "secret detail", lines[0]["panic"])
	require.Contains(t, lines[0]["stack"], "middleware_test.go")
	require.Equal(t, p.RequestID, lines[0]["request_id"])
	require.Empty(t, logged.lines(t, "request failed"), "an error is logged once")
	require.InDelta(t, 500, logged.lines(t, "request")[0]["status"], 0)
}

//nolint:paralleltest // The process has one log.
func TestRecoverCutsAnAnswerThatHasBegun(t *testing.T) {
	logged := keepLog(t)
	over := httptest.NewServer(around(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		_ = http.NewResponseController(w).Flush()
		panic("late")
	}))
	over.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer over.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, over.URL, nil)
	require.NoError(t, err)
	response, err := over.Client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(response.Body)
	require.Error(t, err, "the client has to see that the answer is cut")
	require.Equal(t, "half", body.String())
	over.Close() // The line is written once the handler is through.
	require.Len(t, logged.lines(t, "panic"), 1)
	require.Equal(t, true, logged.lines(t, "request")[0]["aborted"])
}

//nolint:paralleltest // The process has one log.
func TestRecoverLetsAbortsPass(t *testing.T) {
	logged := keepLog(t)
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		around(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }).
			ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	})
	require.Empty(t, logged.lines(t, "panic"))
	require.Len(t, logged.lines(t, "request"), 1)
}

// Recover knows by itself whether an answer has begun, whatever stands around it.
//
//nolint:paralleltest // The process has one log.
func TestRecoverAlone(t *testing.T) {
	keepLog(t)
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		middleware.Recover(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			panic("late")
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	})
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	h := middleware.SecurityHeaders(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page" {
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
		}
	}))
	for path, policy := range map[string]string{
		"/api":  "default-src 'none'; frame-ancestors 'none'",
		"/page": "default-src 'self'",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		for name, want := range map[string]string{
			"Content-Security-Policy":      policy,
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
			"Referrer-Policy":              "no-referrer",
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
		} {
			require.Equal(t, []string{want}, w.Header().Values(name))
		}
	}
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
