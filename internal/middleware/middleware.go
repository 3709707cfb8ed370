// Package middleware is what stands around every request, whatever it asks for.
// From the outside in: RequestID, AccessLog, Recover, SecurityHeaders.
package middleware

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/fault"
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
		next.ServeHTTP(w, r.WithContext(reqctx.With(r.Context(), reqctx.Request{
			ID: id, Address: address(r.RemoteAddr), UserAgent: userAgent(r.UserAgent()),
		})))
	})
}

// address returns the IP address of a peer as databases and logs take it:
// without port and zone, and IPv4 as such.
func address(peer string) string {
	parsed, err := netip.ParseAddrPort(peer)
	if err != nil {
		return ""
	}
	return parsed.Addr().Unmap().WithZone("").String()
}

// userAgent returns what a client calls itself as text that a database takes,
// at most 512 bytes of it.
func userAgent(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "?")
	if len(text) <= maxUserAgent {
		return text
	}
	end := maxUserAgent
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// entry is what a line of the access log learns while the request is answered.
type entry struct{ user atomic.Pointer[uuid.UUID] }

type entryKey struct{}

// LogUser adds the user who makes a request to its line in the access log.
// Without an access log around it does nothing.
func LogUser(ctx context.Context, user uuid.UUID) {
	if e, ok := ctx.Value(entryKey{}).(*entry); ok {
		e.user.Store(&user)
	}
}

// AccessLog writes a line for each request, also for one that is aborted: what
// was asked for by its pattern, never with its values, which may be secrets and
// places. The handlers inside have to pass the request on as it is, for the mux
// notes the pattern in it.
func AccessLog(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		rec := record(w)
		e := &entry{}
		ctx := context.WithValue(r.Context(), entryKey{}, e)
		r = r.WithContext(ctx)
		aborted := true
		defer func() {
			attrs := []slog.Attr{
				slog.String("method", r.Method), slog.String("pattern", r.Pattern), slog.Int("status", rec.status),
				slog.Int64("bytes", rec.bytes), slog.Duration("duration", time.Since(started)),
				slog.String("address", reqctx.From(ctx).Address),
			}
			if user := e.user.Load(); user != nil {
				attrs = append(attrs, slog.String("user_id", user.String()))
			}
			if aborted {
				attrs = append(attrs, slog.Bool("aborted", true))
			}
			slog.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
		}()
		next.ServeHTTP(rec, r)
		rec.begin() // The server answers 200 for a handler that wrote nothing.
		aborted = false
	})
}

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

// SecurityHeaders puts on every answer what browsers need to know (OWASP ASVS
// 3.4). Nothing of an answer may run, load or be framed; pages that need more
// set a content security policy of their own. Strict-Transport-Security is for
// whoever ends TLS.
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
