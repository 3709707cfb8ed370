package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/reqctx"
)

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
