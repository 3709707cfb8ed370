// Package middleware is what stands around every request, whatever it asks for.
package middleware

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/problem"
	"github.com/picaspot/picaspot/internal/reqctx"
)

const maxUserAgent = 512

var saneID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// RequestID gives a request its id, the client's own when it is sane, and notes
// where the request comes from.
func RequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-ID")
		if !saneID.MatchString(id) {
			id = uuid.Must(uuid.NewV7()).String()
		}
		w.Header().Set("X-Request-ID", id)
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		agent := strings.ToValidUTF8(strings.ReplaceAll(r.UserAgent(), "\x00", ""), "?")
		next.ServeHTTP(w, r.WithContext(reqctx.With(r.Context(), reqctx.Request{
			ID: id, Address: host, UserAgent: agent[:min(len(agent), maxUserAgent)],
		})))
	})
}

// recorder notes what an answer was.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 || r.status < http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(data []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(data)
	r.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// AccessLog writes a line for each request: what was asked for by its pattern,
// never with its values.
func AccessLog(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		rec := &recorder{ResponseWriter: w}
		next.ServeHTTP(rec, r)
		slog.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("method", r.Method), slog.String("pattern", r.Pattern), slog.Int("status", rec.status),
			slog.Int64("bytes", rec.bytes), slog.Duration("duration", time.Since(started)),
			slog.String("address", reqctx.From(r.Context()).Address))
	})
}

// Recover turns a panic into a 500 that says nothing, and logs where it came from.
func Recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			panicked := recover()
			if panicked == nil {
				return
			}
			if panicked == http.ErrAbortHandler { //nolint:errorlint,err113 // net/http compares it like this.
				panic(panicked)
			}
			slog.ErrorContext(r.Context(), "panic", "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
			if rec, ok := w.(*recorder); ok && rec.status != 0 {
				panic(http.ErrAbortHandler) // Half an answer is out: let the client see that it ends early.
			}
			problem.Write(w, r, fmt.Errorf("panic: %v", panicked))
		}()
		next.ServeHTTP(w, r)
	})
}

// SecurityHeaders puts on every answer what browsers need to know. Pages set a
// content security policy of their own.
func SecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}
