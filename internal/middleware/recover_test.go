package middleware_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/middleware"
)

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
	require.Contains(t, lines[0]["stack"], "recover_test.go")
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

// Without a flusher beneath, nothing is out yet and a panic can be answered.
//
//nolint:paralleltest // The process has one log.
func TestRecoverAfterAFlushThatDidNothing(t *testing.T) {
	keepLog(t)
	w := httptest.NewRecorder()
	middleware.Recover(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Error(err)
		}
		panic("early")
	})).ServeHTTP(struct{ http.ResponseWriter }{w}, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
}
