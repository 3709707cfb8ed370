package middleware_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/metrics"
	"github.com/picaspot/picaspot/internal/middleware"
)

// must takes the middleware out of a constructor that can't fail here.
func must(m func(http.Handler) http.Handler, err error) func(http.Handler) http.Handler {
	if err != nil {
		panic(err)
	}
	return m
}

const app = "https://app.example"

// around puts everything around a handler, as the server does.
func around(h http.HandlerFunc) http.Handler {
	var handler http.Handler = h
	handler = must(middleware.CrossOrigin([]string{app}))(handler)
	handler = must(middleware.CORS([]string{app}))(handler)
	handler = must(middleware.TrustedHosts([]string{"example.com", "127.0.0.1"}))(handler)
	handler = middleware.SecurityHeaders("https://example.com")(handler)
	measure := middleware.Measure(metrics.NewHTTP(prometheus.NewRegistry(), nil), 0)
	return middleware.Identify(nil)(middleware.AccessLog(measure(middleware.Recover(handler))))
}

// requireProblem asserts that an answer is a problem of a type.
func requireProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	require.Equal(t, status, w.Code)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	var p api.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, "/problems/"+code, p.Type)
	require.Equal(t, status, p.Status)
	require.Equal(t, http.StatusText(status), p.Title)
}

// Every refusal has an id, a line in the log and the headers for browsers.
//
//nolint:paralleltest // The process has one log.
func TestRefusalsAreWholeAnswers(t *testing.T) {
	logged := keepLog(t)
	h := around(func(http.ResponseWriter, *http.Request) { panic("reached") })
	for i, test := range []struct {
		code   string
		status int
		change func(*http.Request)
		cors   []string
	}{
		{"misdirected_request", http.StatusMisdirectedRequest, func(r *http.Request) { r.Host = "evil.example" }, nil},
		{"cross_origin", http.StatusForbidden, func(r *http.Request) {
			r.Header.Set("Cookie", "session=1")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", "https://evil.example")
		}, nil},
		// A page of an allowed origin can read the problem of a panic.
		{"internal", http.StatusInternalServerError, func(r *http.Request) {
			r.Header.Set("Cookie", "session=1")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", app)
		}, []string{app}},
	} {
		r := httptest.NewRequest(http.MethodPost, "/areas", nil)
		test.change(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		requireProblem(t, w, test.status, test.code)
		require.NotEmpty(t, w.Header().Get("X-Request-ID"))
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		require.Equal(t, "max-age=63072000; includeSubDomains", w.Header().Get("Strict-Transport-Security"))
		require.Equal(t, test.cors, w.Header().Values("Access-Control-Allow-Origin"))
		require.InDelta(t, test.status, logged.lines(t, "request")[i]["status"], 0)
	}
}

// What a connection can do is there for the handler inside of it all.
//
//nolint:paralleltest // The process has one log.
func TestTheConnectionIsWithinReach(t *testing.T) {
	keepLog(t)
	release := make(chan struct{})
	over := httptest.NewServer(around(func(w http.ResponseWriter, _ *http.Request) {
		control := http.NewResponseController(w)
		for name, err := range map[string]error{
			"read deadline":  control.SetReadDeadline(time.Now().Add(time.Minute)),
			"write deadline": control.SetWriteDeadline(time.Now().Add(time.Minute)),
			"full duplex":    control.EnableFullDuplex(),
		} {
			if err != nil {
				t.Error(name, err)
			}
		}
		_, _ = w.Write([]byte("one\n"))
		if err := control.Flush(); err != nil {
			t.Error(err)
		}
		<-release
		_, _ = w.Write([]byte("two\n"))
		flusher, ok := w.(http.Flusher)
		if !ok {
			t.Error("no http.Flusher")
			return
		}
		flusher.Flush()
		<-release
	}))
	defer over.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, over.URL, nil)
	require.NoError(t, err)
	response, err := over.Client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for _, want := range []string{"one\n", "two\n"} {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, want, line)
		release <- struct{}{}
	}
}

//nolint:paralleltest // The process has one log.
func TestAConnectionCanBeTakenOver(t *testing.T) {
	keepLog(t)
	chain := around(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 204 No Content\r\nX-Taken: yes\r\n\r\n"))
		_ = conn.Close()
	})
	through := make(chan struct{})
	over := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(through)
		chain.ServeHTTP(w, r)
	}))
	defer over.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, over.URL, strings.NewReader(""))
	require.NoError(t, err)
	response, err := over.Client().Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "yes", response.Header.Get("X-Taken"))
	<-through // The server itself does not wait for a handler that took its connection over.
}
