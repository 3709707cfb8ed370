package session_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/redisconn"
	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Main(m, testenv.WithLeakCheck(), testenv.WithMigrator(testenv.Migrator{Fingerprint: store.Fingerprint(), Up: store.Migrate}))
}

const (
	soon  = time.Minute
	often = 5 * time.Millisecond
)

// bench is a database with a user who is logged in, and a Redis.
type bench struct {
	*store.Store
	databaseURL, redisURL string
	user, session         uuid.UUID
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	// Machines that run tests are busy now and then.
	return newBenchOn(tb, testenv.Redis(tb)+"?dial_timeout=10s&read_timeout=10s&write_timeout=10s&pool_timeout=10s")
}

func newBenchOn(tb testing.TB, redisURL string) *bench {
	tb.Helper()
	databaseURL := testenv.Database(tb)
	s := open(tb, databaseURL)
	b := &bench{Store: s, databaseURL: databaseURL, redisURL: redisURL}
	require.NoError(tb, s.InTx(tb.Context(), func(ctx context.Context, tx *store.Tx) error {
		user, err := tx.User.Create().SetUsername("ada").SetEmail("ada@example.org").SetPasswordHash("none").SetRole("user").Save(ctx)
		if err != nil {
			return err
		}
		b.user = user.ID
		return nil
	}))
	b.session = b.logIn(tb)
	return b
}

func open(tb testing.TB, databaseURL string) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), databaseURL, store.Options{MaxConns: 8})
	require.NoError(tb, err)
	tb.Cleanup(s.Close)
	return s
}

// logIn starts another session of the user.
func (b *bench) logIn(tb testing.TB) uuid.UUID {
	tb.Helper()
	started, err := b.Ent.Session.Create().SetUserID(b.user).SetRefreshHash([]byte{1}).
		SetIdleExpiresAt(time.Now().Add(time.Hour)).SetExpiresAt(time.Now().Add(2 * time.Hour)).Save(tb.Context())
	require.NoError(tb, err)
	return started.ID
}

// exec changes rows behind everybody's back; $1 is the user.
func (b *bench) exec(tb testing.TB, sql string) {
	tb.Helper()
	_, err := b.Pool.Exec(tb.Context(), sql, b.user)
	require.NoError(tb, err)
}

// switchRole gives the user another role, as the program does.
func (b *bench) switchRole(ctx context.Context, by *replica, role string) error {
	return b.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.User.UpdateOneID(b.user).SetRole(role).Exec(ctx); err != nil {
			return err
		}
		by.Changed(ctx, tx, b.user)
		return nil
	})
}

// replica is a registry with a connection of its own, as each replica has one.
type replica struct {
	*session.Registry
	conn *redisconn.Conn
	of   *bench
}

func (b *bench) replica(tb testing.TB) *replica {
	tb.Helper()
	conn, err := redisconn.Open(b.redisURL)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	return &replica{session.NewRegistry(b.Pool, conn), conn, b}
}

// ask asks as a request does.
func (r *replica) ask(ctx context.Context, id uuid.UUID) (session.State, error) {
	pending, commands := r.Queue(ctx, nil, r.of.user, id)
	return pending.State(ctx, r.conn.Together(commands))
}

func (r *replica) role(t *testing.T) string {
	t.Helper()
	state, err := r.ask(t.Context(), r.of.session)
	require.NoError(t, err)
	return state.Role
}

// kept is what Redis keeps of the session, without its stamp, or nothing.
func (r *replica) kept(t *testing.T) string {
	t.Helper()
	text, err := r.conn.Get(t.Context(), session.EntryKey(r.of.user, r.of.session)).Result()
	if !errors.Is(err, redis.Nil) {
		require.NoError(t, err)
	}
	_, rest, _ := strings.Cut(text, " ")
	return rest
}

// forge keeps an entry that was written so long from now.
func (r *replica) forge(t *testing.T, in time.Duration, text string) {
	t.Helper()
	stamp := strconv.FormatInt(time.Now().Add(in).UnixMicro(), 10)
	require.NoError(t, r.conn.Set(t.Context(), session.EntryKey(r.of.user, r.of.session), stamp+" "+text, time.Minute).Err())
}

// unmarked waits until the user's mark has ended.
func (r *replica) unmarked(t *testing.T) {
	t.Helper()
	until, err := r.conn.Get(t.Context(), session.MarkKey(r.of.user)).Int64()
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.conn.Time(t.Context()).Val().UnixMicro() > until }, soon, time.Millisecond)
}
