package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/reqctx"
)

// LogUser adds the user who makes a request to its line in the access log.
// Outside of [Identify] it does nothing.
func LogUser(ctx context.Context, user uuid.UUID) { reqctx.TallyOf(ctx).SetUser(user) }

// AccessLog writes a line for each request, also for one that is aborted: what
// was asked for by its pattern, never with its values, which may be secrets and
// places. It stands inside of [Identify]. The handlers inside have to pass the
// request on as it is, for the mux notes the pattern in it.
func AccessLog(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		rec := record(w)
		ctx := r.Context()
		tally := reqctx.TallyOf(ctx)
		aborted := true
		defer func() {
			attrs := append(make([]slog.Attr, 0, maxAttrs),
				slog.String("method", r.Method), slog.String("pattern", r.Pattern), slog.Int("status", rec.status),
				slog.Int64("bytes", rec.bytes), slog.Duration("duration", time.Since(started)),
				slog.String("address", reqctx.From(ctx).Address),
			)
			if user := tally.User(); user != nil {
				attrs = append(attrs, slog.String("user_id", user.String()))
			}
			attrs = appendDatabase(attrs, tally)
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

// maxAttrs is how many attributes a line of the access log has at most.
const maxAttrs = 11

// appendDatabase adds what a request asked of the database, if anything.
func appendDatabase(attrs []slog.Attr, tally *reqctx.Tally) []slog.Attr {
	queries, took, waited := tally.Database()
	if queries == 0 && waited == 0 {
		return attrs
	}
	return append(attrs, slog.Int64("queries", queries), slog.Duration("database", took), slog.Duration("database_wait", waited))
}
