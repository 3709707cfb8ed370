package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	entarea "github.com/picaspot/picaspot/ent/area"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

func openWith(t *testing.T, opts store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t), opts)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestStatementName(t *testing.T) {
	t.Parallel()
	for statement, want := range map[string]string{
		"-- name: landmark_nearby\nWITH hits AS (SELECT 1)": "landmark_nearby",
		"-- name: JobGetAvailable :many\nSELECT 1":          "JobGetAvailable",
		"-- name: cut_off": "cut_off",
		`SELECT "users"."id" FROM "users" WHERE "users"."name" = ' FROM '`: "select users",
		`INSERT INTO "areas" ("id") VALUES ($1)`:                           "insert areas",
		`UPDATE "areas" SET "name" = $1`:                                   "update areas",
		`DELETE FROM "areas" WHERE "id" = $1`:                              "delete areas",
		"SELECT count(*) FROM areas WHERE name = 'x'":                      "select",
		"begin isolation level repeatable read":                            "begin",
		"  (VALUES (1))":                                                   "values",
		"SAVEPOINT a1":                                                     "savepoint",
		"'secret'":                                                         "",
		"":                                                                 "",
		"averyveryverylongwordindeed":                                      "averyveryver",
	} {
		require.Equal(t, want, store.StatementName(statement), statement)
	}
}

// observed keeps what a store's observer is told.
type observed struct {
	mu    sync.Mutex
	calls map[string][]string // failures by name
}

func (o *observed) observe(name string, took time.Duration, failure string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calls == nil {
		o.calls = map[string][]string{}
	}
	if took > 0 {
		o.calls[name] = append(o.calls[name], failure)
	}
}

func (o *observed) of(name string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls[name]
}

// Whatever takes them to the database, queries are seen under their names, and
// counted for the request that they belong to.
func TestQueriesAreObserved(t *testing.T) {
	t.Parallel()
	var seen observed
	s := openWith(t, store.Options{MaxConns: 4, Observe: seen.observe})
	ctx := reqctx.With(t.Context(), reqctx.Request{})
	tally := reqctx.TallyOf(ctx)

	_, err := s.Pool.Exec(ctx, "-- name: store_test_pool\nSELECT $1::int", 1)
	require.NoError(t, err)
	_, err = s.Ent.Area.Query().Where(entarea.Name("x")).Count(ctx)
	require.NoError(t, err)
	err = s.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Area.Create().SetName("A").SetCreatedBy(uuid.New()).Save(ctx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "-- name: store_test_tx\nSELECT 1/$1::int", 0)
		return err
	})
	require.Error(t, err)

	require.Equal(t, []string{""}, seen.of("store_test_pool"))
	require.Equal(t, []string{""}, seen.of("select areas"))
	require.Equal(t, []string{""}, seen.of("insert areas"))
	require.Equal(t, []string{"22012"}, seen.of("store_test_tx"))
	require.Len(t, seen.of("begin"), 1)
	require.Len(t, seen.of("rollback"), 1)
	queries, took, waited := tally.Database()
	require.GreaterOrEqual(t, queries, int64(6))
	require.Positive(t, took)
	require.Positive(t, waited)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	conn, err := s.Pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(cancelled, "-- name: store_test_cancelled\nSELECT 1")
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"canceled"}, seen.of("store_test_cancelled"))
}

func TestTap(t *testing.T) {
	t.Parallel()
	s := open(t)
	var tapped []any
	s.Tap(func(statement string, args []any) { tapped = append(tapped, statement, args) })
	_, err := s.Pool.Exec(t.Context(), "SELECT $1::int", 7)
	require.NoError(t, err)
	s.Tap(nil)
	_, err = s.Pool.Exec(t.Context(), "SELECT 2")
	require.NoError(t, err)
	require.Equal(t, []any{"SELECT $1::int", []any{7}}, tapped)
}

// Slow queries are named, and nothing is said of their values.
//
//nolint:paralleltest // The process has one log.
func TestSlowQueriesAreLogged(t *testing.T) {
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(reqctx.NewLogHandler(slog.NewJSONHandler(&out, nil))))
	t.Cleanup(func() { slog.SetDefault(before) })
	ctx := reqctx.With(t.Context(), reqctx.Request{ID: "id-1"})
	ask := func(slow time.Duration) []map[string]any {
		out.Reset()
		s := openWith(t, store.Options{MaxConns: 1, SlowQuery: slow})
		_, err := s.Pool.Exec(ctx, "-- name: store_test_slow\nSELECT $1::text", "secret")
		require.NoError(t, err)
		_, err = s.Pool.Exec(ctx, "-- name: store_test_fails\nSELECT $1::text::int", "secret")
		require.Error(t, err)
		require.NotContains(t, out.String(), "secret")
		var lines []map[string]any
		for line := range strings.Lines(out.String()) {
			var record map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &record))
			if record["msg"] == "slow query" && record["request_id"] == "id-1" {
				lines = append(lines, record)
			}
		}
		return lines
	}
	lines := ask(time.Nanosecond)
	require.Len(t, lines, 2)
	require.Equal(t, "store_test_slow", lines[0]["query"])
	require.Equal(t, "WARN", lines[0]["level"])
	require.NotContains(t, lines[0], "failure")
	require.Positive(t, lines[0]["duration"])
	require.Equal(t, "store_test_fails", lines[1]["query"])
	require.Equal(t, "22P02", lines[1]["failure"])
	require.Empty(t, ask(time.Hour))
	require.Empty(t, ask(0), "zero is never")
}

// Who gets no connection in time is told to come back, and does not wait for as long
// as the request may take.
func TestAcquireTimeout(t *testing.T) {
	t.Parallel()
	// Opening the first connection has to fit in, on a busy machine too.
	s := openWith(t, store.Options{MaxConns: 1, AcquireTimeout: time.Second})
	held, err := s.Pool.Acquire(t.Context())
	require.NoError(t, err)
	var asking sync.WaitGroup
	for name, ask := range map[string]func(context.Context) error{
		"the pool": func(ctx context.Context) error { return s.Pool.Ping(ctx) },
		"ent": func(ctx context.Context) error {
			_, err := s.Ent.Area.Query().Count(ctx)
			return err
		},
		"a transaction": func(ctx context.Context) error {
			return s.InTx(ctx, func(context.Context, *store.Tx) error { return nil })
		},
	} {
		asking.Go(func() {
			err := ask(t.Context())
			assert.True(t, errors.Is(err, context.DeadlineExceeded) && fault.KindOf(store.Classify(err)) == fault.Unavailable, "%s: %v", name, err)
		})
	}
	asking.Wait()
	require.Equal(t, int64(3), s.Pool.Stat().CanceledAcquireCount())
	held.Release()
	require.NoError(t, s.Pool.Ping(t.Context()))
}

func TestLockTimeout(t *testing.T) {
	t.Parallel()
	s := openWith(t, store.Options{MaxConns: 2, LockTimeout: 20 * time.Millisecond})
	lock := func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(4711)")
		return err
	}
	err := s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := lock(ctx, tx); err != nil {
			return err
		}
		return s.InTx(context.WithoutCancel(t.Context()), lock)
	})
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "55P03", pg.Code)
	require.Equal(t, fault.Unavailable, fault.KindOf(store.Classify(err)))
}

func TestOptionsReachTheServer(t *testing.T) {
	t.Parallel()
	show := func(s *store.Store, setting string) (value string) {
		require.NoError(t, s.Pool.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&value))
		return value
	}
	s := openWith(t, store.Options{
		MaxConns: 3, MinConns: 5, MaxConnLifetime: time.Hour, StatementTimeout: 7 * time.Second, LockTimeout: 3 * time.Second,
		IdleInTransactionTimeout: 9 * time.Second, ConnectTimeout: 4 * time.Second,
	})
	require.Equal(t, "7s", show(s, "statement_timeout"))
	require.Equal(t, "3s", show(s, "lock_timeout"))
	require.Equal(t, "9s", show(s, "idle_in_transaction_session_timeout"))
	require.Regexp(t, `^picaspot/5@.+:\d+$`, show(s, "application_name"))
	config := s.Pool.Config()
	require.Equal(t, int32(3), config.MinConns, "as many as there may be")
	require.Equal(t, 6*time.Minute, config.MaxConnLifetimeJitter)
	require.Equal(t, 4*time.Second, config.ConnConfig.ConnectTimeout)

	s = openWith(t, store.Options{})
	require.Equal(t, "30s", show(s, "statement_timeout"))
	require.Equal(t, "0", show(s, "lock_timeout"))
	require.Equal(t, "1min", show(s, "idle_in_transaction_session_timeout"))
}

// All processes that are connected to a server add up, whatever database they use.
func TestCapacity(t *testing.T) {
	t.Parallel()
	one, two := openWith(t, store.Options{MaxConns: 123}), openWith(t, store.Options{MaxConns: 234})
	require.NoError(t, one.Pool.Ping(t.Context()))
	c, err := two.Capacity(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, c.Processes, 2)
	require.GreaterOrEqual(t, c.Claimed, 123+234+4)
	var most int
	require.NoError(t, one.Pool.QueryRow(t.Context(), "SELECT current_setting('max_connections')::int").Scan(&most))
	require.Less(t, c.Allowed, most)
	require.Greater(t, c.Allowed, most-20)
}

// The last process that the server has no room for hears of it.
//
//nolint:paralleltest // The process has one log.
func TestWarnOfCapacity(t *testing.T) {
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&out, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	s := openWith(t, store.Options{MaxConns: 100_000})
	s.WarnOfCapacity(t.Context())
	require.Contains(t, out.String(), "PICASPOT_DATABASE_MAX_CONNS")
	require.Contains(t, out.String(), `"may_open":1`)
}
