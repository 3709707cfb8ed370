package middleware

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/problem"
)

// ofTheAnswer are the headers that speak of the answer that was being made when
// a handler panicked.
var ofTheAnswer = []string{"Content-Length", "Content-Encoding", "Content-Disposition", "ETag", "Last-Modified", "Location"}

// Recover turns a panic into a 500 that says nothing, and logs where it came
// from. When a part of the answer is out already the connection is cut, so that
// the client sees that the rest is missing.
func Recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := record(w)
		defer answerPanic(rec, r)
		next.ServeHTTP(rec, r)
	})
}

// answerPanic is deferred itself: recover works in no other place.
func answerPanic(rec *recorder, r *http.Request) {
	panicked := recover()
	if panicked == nil {
		return
	}
	if panicked == http.ErrAbortHandler { //nolint:errorlint,err113 // net/http compares it like this.
		panic(panicked)
	}
	slog.ErrorContext(r.Context(), "panic", "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
	if rec.status != 0 {
		panic(http.ErrAbortHandler)
	}
	for _, name := range ofTheAnswer {
		rec.Header().Del(name)
	}
	problem.WriteFault(rec, r, http.StatusInternalServerError, fault.New(fault.Internal, "internal",
		"Something went wrong on our side. The request id helps us to find it."))
}
