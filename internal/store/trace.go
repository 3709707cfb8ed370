package store

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/picaspot/picaspot/internal/reqctx"
)

// tracer sees each query of the pool, ent's and River's included: it adds to the
// tally of the request, logs what is slow, and bounds the wait for a connection.
type tracer struct {
	slow           time.Duration
	acquireTimeout time.Duration
	observe        func(name string, took time.Duration, failure string)
	tap            atomic.Pointer[func(statement string, args []any)]
}

var (
	_ pgx.QueryTracer       = (*tracer)(nil)
	_ pgxpool.AcquireTracer = (*tracer)(nil)
)

func newTracer(opts Options) *tracer {
	t := &tracer{slow: opts.SlowQuery, acquireTimeout: opts.AcquireTimeout, observe: opts.Observe}
	if t.observe == nil {
		t.observe = func(string, time.Duration, string) {}
	}
	return t
}

// Tap has fn called with each statement and its arguments, before it runs, until
// Tap is called with nil: for tests that look at plans. The values are a user's;
// nothing else may see them.
func (s *Store) Tap(fn func(statement string, args []any)) {
	if fn == nil {
		s.tracer.tap.Store(nil)
		return
	}
	s.tracer.tap.Store(&fn)
}

type (
	queryKey   struct{}
	acquireKey struct{}
)

// query is one that is under way.
type query struct {
	statement string
	started   time.Time
}

// TraceQueryStart implements pgx.QueryTracer.
func (t *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if tap := t.tap.Load(); tap != nil {
		(*tap)(data.SQL, data.Args)
	}
	return context.WithValue(ctx, queryKey{}, &query{statement: data.SQL, started: time.Now()})
}

// TraceQueryEnd implements pgx.QueryTracer. Rows end when they have been read, so
// that a slow reader makes a slow query.
func (t *tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	q, ok := ctx.Value(queryKey{}).(*query)
	if !ok {
		return
	}
	took, name, failed := time.Since(q.started), StatementName(q.statement), failure(data.Err)
	reqctx.TallyOf(ctx).AddQuery(took)
	t.observe(name, took, failed)
	if t.slow == 0 || took < t.slow {
		return
	}
	attrs := []slog.Attr{slog.String("query", name), slog.Duration("duration", took)}
	if failed != "" {
		attrs = append(attrs, slog.String("failure", failed))
	}
	slog.LogAttrs(ctx, slog.LevelWarn, "slow query", attrs...)
}

// failure tells why a query failed in a word that shows none of its values: the
// SQLSTATE, or what ended it without one. It is empty when nothing failed.
func failure(err error) string {
	if err == nil {
		return ""
	}
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	var lost *lostError
	switch {
	case errors.As(err, &pg):
		return pg.Code
	case errors.As(err, &connect):
		return "connect"
	case errors.As(err, &lost):
		return "lost"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	default:
		return "other"
	}
}

// acquisition is somebody's wait for a connection.
type acquisition struct {
	started time.Time
	cancel  context.CancelFunc
}

var errNoConnection = errors.New("no connection became free in time")

// TraceAcquireStart implements pgxpool.AcquireTracer; the pool waits by the context
// that it returns.
func (t *tracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	a := &acquisition{started: time.Now(), cancel: func() {}}
	if t.acquireTimeout > 0 {
		ctx, a.cancel = context.WithTimeoutCause(ctx, t.acquireTimeout, errNoConnection)
	}
	return context.WithValue(ctx, acquireKey{}, a)
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (t *tracer) TraceAcquireEnd(ctx context.Context, pool *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	a, ok := ctx.Value(acquireKey{}).(*acquisition)
	if !ok {
		return
	}
	reqctx.TallyOf(ctx).AddWait(time.Since(a.started))
	if data.Err != nil && errors.Is(context.Cause(ctx), errNoConnection) {
		slog.WarnContext(ctx, "no database connection became free; more requests than PICASPOT_DATABASE_MAX_CONNS serves, or slow queries",
			"waited", t.acquireTimeout, "connections", pool.Config().MaxConns)
	}
	a.cancel()
}

// namePrefix begins each statement that is written by hand; a name in snake_case and
// the end of the line follow. River's begin the same way.
const namePrefix = "-- name: "

// StatementName returns what a statement is called in logs and metrics: the name
// that it begins with; of ent's the verb and the table, as "select landmarks"; else
// its first word, as "begin". None of its values is in it.
func StatementName(statement string) string {
	if name, named := strings.CutPrefix(statement, namePrefix); named {
		if end := strings.IndexAny(name, " \n"); end >= 0 {
			return name[:end]
		}
		return name
	}
	for _, verb := range entVerbs {
		if !strings.HasPrefix(statement, verb.begin) {
			continue
		}
		if _, rest, found := strings.Cut(statement, verb.before); found {
			if table, _, closed := strings.Cut(rest, `"`); closed {
				return verb.name + table
			}
		}
	}
	word := strings.TrimLeft(statement, " \n\t(")
	end := 0
	for end < len(word) && end < maxVerb && (word[end]|0x20 >= 'a' && word[end]|0x20 <= 'z') {
		end++
	}
	return strings.ToLower(word[:end])
}

// maxVerb is longer than any verb of SQL.
const maxVerb = 12

// entVerbs are how ent's statements begin, and what comes before the name of their table.
var entVerbs = []struct{ begin, before, name string }{
	{"SELECT", ` FROM "`, "select "},
	{"INSERT", `INTO "`, "insert "},
	{"UPDATE", `"`, "update "},
	{"DELETE", `FROM "`, "delete "},
}
