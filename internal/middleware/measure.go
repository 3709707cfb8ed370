package middleware

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/picaspot/picaspot/internal/metrics"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// Measure counts each request, and logs one that takes as long as slow, with what
// of it the database took; a slow of zero logs none. What the client decides the
// length of, an upload or a stream, is never slow. It stands inside of [AccessLog].
func Measure(meter *metrics.HTTP, slow time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			started := time.Now()
			rec := record(w)
			meter.Begin()
			defer func() {
				took := time.Since(started)
				op := meter.End(r.Pattern, r.Method, rec.status, rec.bytes, took)
				if slow == 0 || took < slow || op.IsPaced {
					return
				}
				attrs := []slog.Attr{
					slog.String("operation", op.Name), slog.String("method", r.Method), slog.Int("status", rec.status), slog.Duration("duration", took),
				}
				slog.LogAttrs(r.Context(), slog.LevelWarn, "slow request", appendDatabase(attrs, reqctx.TallyOf(r.Context()))...)
			}()
			next.ServeHTTP(rec, r)
			rec.begin()
		})
	}
}
