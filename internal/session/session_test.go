package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/localstack"
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

func TestSecondLookUpAsksRedisOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, other := b.replica(t), b.replica(t)
	b.exec(t, "UPDATE sessions SET second_factor = true WHERE user_id = $1")
	first, err := r.ask(t.Context(), b.session)
	require.NoError(t, err)
	require.Equal(t, "user", first.Role)
	require.True(t, first.SecondFactor)
	require.WithinDuration(t, time.Now().Add(time.Hour), first.ExpiresAt, time.Minute)
	left := r.conn.PTTL(t.Context(), session.EntryKey(b.user, b.session)).Val()
	require.Greater(t, left, 55*time.Second)
	require.LessOrEqual(t, left, 70*time.Second)

	b.exec(t, "UPDATE users SET role = 'admin' WHERE id = $1")
	queries := b.Pool.Stat().AcquireCount()
	for _, replica := range []*replica{r, other} {
		second, err := replica.ask(t.Context(), b.session)
		require.NoError(t, err)
		require.Equal(t, "user", second.Role)
		require.True(t, second.SecondFactor)
		require.Equal(t, first.ExpiresAt.Unix(), second.ExpiresAt.Unix())
	}
	require.Equal(t, queries, b.Pool.Stat().AcquireCount())

	direct, err := r.State(t.Context(), b.user, b.session)
	require.NoError(t, err)
	require.Equal(t, "admin", direct.Role, "who asks the database is told what it says")
	require.Equal(t, "user", r.role(t), "and leaves what is kept")
	require.NoError(t, b.switchRole(t.Context(), r, "curator"))
	require.Equal(t, "curator", r.role(t))
	require.Equal(t, "curator", other.role(t))
}

func TestEnded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ end, undo string }{
		"logged out": {
			"UPDATE sessions SET ended_at = now(), end_reason = 'logout' WHERE user_id = $1",
			"UPDATE sessions SET ended_at = NULL, end_reason = NULL WHERE user_id = $1",
		},
		"expired": {
			"UPDATE sessions SET expires_at = now() WHERE user_id = $1",
			"UPDATE sessions SET expires_at = now() + interval '1 hour' WHERE user_id = $1",
		},
		"idle for too long": {
			"UPDATE sessions SET idle_expires_at = now() WHERE user_id = $1",
			"UPDATE sessions SET idle_expires_at = now() + interval '1 hour' WHERE user_id = $1",
		},
		"suspended": {
			"UPDATE users SET status = 'suspended' WHERE id = $1",
			"UPDATE users SET status = 'active' WHERE id = $1",
		},
		"deleted": {
			"UPDATE users SET deleted_at = now() WHERE id = $1",
			"UPDATE users SET deleted_at = NULL WHERE id = $1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			r := b.replica(t)
			b.exec(t, test.end)
			_, err := r.State(t.Context(), b.user, b.session)
			require.ErrorIs(t, err, session.ErrEnded)
			require.Empty(t, r.kept(t))
			_, err = r.ask(t.Context(), b.session)
			require.ErrorIs(t, err, session.ErrEnded)
			require.Equal(t, "-", r.kept(t))

			b.exec(t, test.undo)
			state, err := r.ask(t.Context(), b.session)
			require.ErrorIs(t, err, session.ErrEnded, "kept too")
			require.Zero(t, state)
			require.NoError(t, b.switchRole(t.Context(), r, "user"))
			require.Equal(t, "user", r.role(t))
		})
	}
	t.Run("somebody else's", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, err := session.NewRegistry(b.Pool, nil).State(t.Context(), uuid.New(), b.session)
		require.ErrorIs(t, err, session.ErrEnded)
	})
}

func TestSessionsOfAUserAreKeptApart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, other := b.replica(t), b.logIn(t)
	_, err := r.ask(t.Context(), other)
	require.NoError(t, err)
	_, err = b.Pool.Exec(t.Context(), "UPDATE sessions SET ended_at = now() WHERE id = $1", b.session)
	require.NoError(t, err)
	_, err = r.ask(t.Context(), b.session)
	require.ErrorIs(t, err, session.ErrEnded)
	_, err = r.ask(t.Context(), other)
	require.NoError(t, err)
	require.NoError(t, r.Mark(t.Context(), b.user))
	b.exec(t, "UPDATE sessions SET ended_at = now() WHERE user_id = $1")
	_, err = r.ask(t.Context(), other)
	require.ErrorIs(t, err, session.ErrEnded, "a mark is about all of them")
}

// A refresh is no change that is announced: it makes a session longer.
func TestKeptExpiryIsNotTheLastWord(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(t)
	past := strconv.FormatInt(time.Now().Add(-time.Second).Unix(), 10)
	r.forge(t, 0, past+" 0 user")
	require.Equal(t, "user", r.role(t))
	require.NotContains(t, r.kept(t), past, "and it is put right")
	r.forge(t, 0, past+" 0 user")
	b.exec(t, "UPDATE sessions SET idle_expires_at = now() WHERE user_id = $1")
	_, err := r.ask(t.Context(), b.session)
	require.ErrorIs(t, err, session.ErrEnded)
	require.Equal(t, "-", r.kept(t))
}

func TestNonsenseIsPutRight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(t)
	key := session.EntryKey(b.user, b.session)
	for _, text := range []string{"nonsense", "17 5", ""} {
		require.NoError(t, r.conn.Set(t.Context(), key, text, 0).Err())
		require.Equal(t, "user", r.role(t))
		require.True(t, strings.HasSuffix(r.kept(t), " 0 user"))
	}
	require.NoError(t, r.conn.Del(t.Context(), key).Err())
	require.NoError(t, r.conn.LPush(t.Context(), key, "a list").Err())
	require.Equal(t, "user", r.role(t))
	require.NoError(t, r.conn.Set(t.Context(), session.MarkKey(b.user), "nonsense", 0).Err())
	require.NoError(t, b.switchRole(t.Context(), r, "admin"))
	require.Equal(t, "admin", r.role(t))
	_, err := r.conn.Get(t.Context(), session.MarkKey(b.user)).Int64()
	require.NoError(t, err)
}

func TestRolledBackChangeLeavesThingsRight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, other := b.replica(t), b.replica(t)
	r.SetGuard(20 * time.Millisecond)
	require.Equal(t, "user", r.role(t))
	failure := errors.New("no")
	err := b.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, tx.User.UpdateOneID(b.user).SetRole("admin").Exec(ctx))
		r.Changed(ctx, tx, b.user)
		require.Equal(t, "user", other.role(t), "before the commit")
		return failure
	})
	require.ErrorIs(t, err, failure)
	require.Equal(t, "user", r.role(t))
	r.unmarked(t)
	require.Equal(t, "user", r.role(t))
	queries := b.Pool.Stat().AcquireCount()
	require.Equal(t, "user", other.role(t))
	require.Equal(t, queries, b.Pool.Stat().AcquireCount(), "it is kept again")
}

func TestNothingIsKeptWhileAMarkLasts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(t)
	require.NoError(t, b.switchRole(t.Context(), r, "admin"))
	for range 3 {
		require.Equal(t, "admin", r.role(t))
		require.Empty(t, r.kept(t))
	}
}

func TestMarksGrow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(t)
	key := session.MarkKey(b.user)
	later := time.Now().Add(time.Hour).UnixMicro()
	require.NoError(t, r.conn.Set(t.Context(), key, later, 0).Err())
	require.NoError(t, r.Mark(t.Context(), b.user))
	mark, err := r.conn.Get(t.Context(), key).Int64()
	require.NoError(t, err)
	require.Equal(t, later+1, mark, "the clock was set back")
	require.Greater(t, r.conn.PTTL(t.Context(), key).Val(), 70*time.Second, "longer than any entry from before")
}

// between runs something between a look-up in the database and the keeping of
// what was found.
type between struct {
	redis.Hook
	do func()
}

func (between) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b between) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			b.do()
		}
		return next(ctx, cmd)
	}
}

func (between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Whoever read the database before a commit can't leave behind what it said.
func TestLateReaderKeepsNothing(t *testing.T) {
	t.Parallel()
	for name, guard := range map[string]time.Duration{"while the mark lasts": time.Minute, "long after it": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			writer, reader, third := b.replica(t), b.replica(t), b.replica(t)
			writer.SetGuard(guard)
			var once sync.Once
			reader.conn.AddHook(between{do: func() {
				once.Do(func() {
					if err := b.switchRole(t.Context(), writer, "admin"); err != nil {
						t.Error(err)
					}
					if guard < time.Second {
						writer.unmarked(t)
					}
				})
			}})
			require.Equal(t, "user", reader.role(t), "it asked before the commit")
			require.Empty(t, third.kept(t))
			require.Equal(t, "admin", third.role(t))
			require.Equal(t, "admin", reader.role(t))
		})
	}
	t.Run("between the marks", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		writer, reader := b.replica(t), b.replica(t)
		writer.SetGuard(time.Millisecond)
		require.NoError(t, b.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			writer.Changed(ctx, tx, b.user)
			writer.unmarked(t) // The transaction takes its time.
			require.Equal(t, "user", reader.role(t))
			require.Contains(t, reader.kept(t), "user", "the first mark has ended")
			return tx.User.UpdateOneID(b.user).SetRole("admin").Exec(ctx)
		}))
		require.Equal(t, "admin", reader.role(t))
		writer.unmarked(t)
		require.Equal(t, "admin", reader.role(t))
	})
}

// busy makes some scripts wait in vain for a connection.
type busy struct {
	between
	times atomic.Int64
}

func (b *busy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" && b.times.Add(-1) >= 0 {
			cmd.SetErr(redis.ErrPoolTimeout)
			return redis.ErrPoolTimeout
		}
		return next(ctx, cmd)
	}
}

// The mark after the commit is tried again before the change is acknowledged.
func TestBusyReplicaAnnouncesItsChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	writer, reader := b.replica(t), b.replica(t)
	hook := &busy{}
	writer.conn.AddHook(hook)
	require.Equal(t, "user", reader.role(t))
	hook.times.Store(3)
	require.NoError(t, b.switchRole(t.Context(), writer, "admin"))
	require.Equal(t, "admin", reader.role(t))
	require.False(t, writer.conn.Away())

	hook.times.Store(4)
	require.NoError(t, b.switchRole(t.Context(), writer, "curator"))
	require.Eventually(t, func() bool { return hook.times.Load() < 0 }, soon, often, "after that in the background")
}

func TestFirstToKeepWins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	slow, fast := b.replica(t), b.replica(t)
	slow.conn.AddHook(between{do: func() {
		if _, err := fast.ask(t.Context(), b.session); err != nil {
			t.Error(err)
		}
		fast.forge(t, 0, "17 0 first")
	}})
	require.Equal(t, "user", slow.role(t))
	require.Equal(t, "17 0 first", fast.kept(t))
}

// What the package promises: a read that begins after a commit was acknowledged
// sees what was committed, on every replica, however many read meanwhile.
func TestNoReadAfterACommitSeesWhatWasBefore(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		guard time.Duration
		keeps bool
	}{
		// Without the guard there is something kept between any two changes.
		"kept in between": {0, true},
		"as it runs":      {5 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const switches, readers = 50, 100
			b := newBench(t)
			// The writer does not queue for a connection behind the readers.
			writer := *b
			writer.Store = open(t, b.databaseURL)
			replicas := []*replica{b.replica(t), b.replica(t)}
			for _, r := range replicas {
				r.SetGuard(test.guard)
			}
			require.NoError(t, b.switchRole(t.Context(), replicas[0], "0"))
			var begun, committed, reads atomic.Int64
			check := func(ctx context.Context, r *replica) error {
				oldest := committed.Load()
				state, err := r.ask(ctx, b.session)
				if err != nil {
					return err
				}
				seen, err := strconv.ParseInt(state.Role, 10, 64)
				newest := begun.Load()
				if err != nil || seen < oldest || seen > newest {
					return fmt.Errorf("saw %q and not one of %d to %d", state.Role, oldest, newest)
				}
				reads.Add(1)
				return nil
			}
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for i := range readers {
				wg.Go(func() {
					for ctx.Err() == nil {
						if err := check(t.Context(), replicas[i%2]); err != nil {
							t.Error(err)
							stop()
						}
					}
				})
			}
			queries := b.Pool.Stat().AcquireCount()
			for n := int64(1); n <= switches && ctx.Err() == nil; n++ {
				begun.Store(n)
				if err := writer.switchRole(t.Context(), replicas[n%2], strconv.FormatInt(n, 10)); err != nil {
					t.Error(err)
					break
				}
				committed.Store(n)
				want := " " + strconv.FormatInt(n, 10)
				for test.keeps && ctx.Err() == nil && !strings.HasSuffix(replicas[0].kept(t), want) {
					time.Sleep(time.Millisecond)
				}
			}
			stop()
			wg.Wait()
			queries = b.Pool.Stat().AcquireCount() - queries
			t.Logf("%d reads, %d queries", reads.Load(), queries)
			require.Greater(t, reads.Load(), int64(readers))
			if test.keeps {
				require.Less(t, queries, reads.Load(), "some were answered by Redis")
			}
		})
	}
}

// frozen is a Redis that can be stopped with what it keeps.
type frozen struct {
	*localstack.Redis
	pid int
}

func newFrozen(t *testing.T) *frozen {
	t.Helper()
	dir := t.TempDir()
	server, err := localstack.StartRedisServer(t.Context(), dir)
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "redis.pid"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	f := &frozen{server, pid}
	t.Cleanup(func() {
		f.signal(t, syscall.SIGCONT)
		require.NoError(t, server.Stop(context.Background()))
	})
	return f
}

func (f *frozen) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, syscall.Kill(f.pid, s))
}

// away stops Redis and returns when all of the replicas have noticed.
func (f *frozen) away(t *testing.T, replicas ...*replica) {
	t.Helper()
	f.signal(t, syscall.SIGSTOP)
	var wg sync.WaitGroup
	for _, r := range replicas {
		wg.Go(func() {
			for !r.conn.Away() {
				_ = r.conn.Ping(context.Background())
			}
		})
	}
	wg.Wait()
}

func (f *frozen) back(t *testing.T, replicas ...*replica) {
	t.Helper()
	f.signal(t, syscall.SIGCONT)
	for _, r := range replicas {
		require.Eventually(t, func() bool { return r.conn.Ping(t.Context()).Err() == nil && !r.conn.Away() }, soon, often)
	}
}

func TestWithoutRedisTheDatabaseAnswers(t *testing.T) {
	t.Parallel()
	f := newFrozen(t)
	b := newBenchOn(t, f.URL())
	r := b.replica(t)
	require.Equal(t, "user", r.role(t))
	before := r.kept(t)

	f.away(t, r)
	b.exec(t, "UPDATE users SET role = 'admin' WHERE id = $1")
	require.Equal(t, "admin", r.role(t))
	b.exec(t, "UPDATE users SET status = 'suspended' WHERE id = $1")
	_, err := r.ask(t.Context(), b.session)
	require.ErrorIs(t, err, session.ErrEnded)
	b.exec(t, "UPDATE users SET status = 'active' WHERE id = $1")

	// It was changed by somebody who could not say so, and who may be gone.
	f.back(t, r)
	require.Equal(t, before, r.kept(t), "the old entry outlasted the outage")
	require.Equal(t, "admin", r.role(t))
	require.Contains(t, r.kept(t), "admin")
	b.exec(t, "UPDATE users SET role = 'curator' WHERE id = $1")
	require.Equal(t, "curator", r.role(t), "the clocks may differ a little")
	r.forge(t, 2*session.Skew, strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)+" 0 kept")
	require.Equal(t, "kept", r.role(t), "what was written afterwards counts again")
}

func TestChangeDuringAnOutageIsAnnouncedAfterIt(t *testing.T) {
	t.Parallel()
	f := newFrozen(t)
	b := newBenchOn(t, f.URL())
	writer, reader := b.replica(t), b.replica(t)
	require.Equal(t, "user", reader.role(t))
	f.away(t, writer, reader)
	require.NoError(t, b.switchRole(t.Context(), writer, "admin"))
	require.Equal(t, "admin", writer.role(t))
	require.Equal(t, "admin", reader.role(t))

	// This one has not seen the outage.
	f.signal(t, syscall.SIGCONT)
	fresh := b.replica(t)
	require.Eventually(t, func() bool { return fresh.conn.Exists(t.Context(), session.MarkKey(b.user)).Val() == 1 }, soon, often)
	require.Zero(t, fresh.conn.Recovered())
	require.Equal(t, "admin", fresh.role(t))
	f.back(t, writer, reader)
	require.Equal(t, "admin", writer.role(t))
	require.Equal(t, "admin", reader.role(t))
}

func TestClosedConnectionEndsTheTrying(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, "redis://127.0.0.1:1/0")
	r := b.replica(t)
	require.NoError(t, b.switchRole(t.Context(), r, "admin"))
	require.Equal(t, "admin", r.role(t))
	require.NoError(t, r.conn.Close())
	tried := make(chan struct{})
	go func() {
		r.Insist(t.Context(), b.user)
		close(tried)
	}()
	select {
	case <-tried:
	case <-time.After(soon):
		t.Fatal("it tries on")
	}
	require.NoError(t, t.Context().Err())
}

func TestRedisNil(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, "")
	r := &replica{Registry: session.NewRegistry(b.Pool, nil), of: b}
	require.NoError(t, b.switchRole(t.Context(), r, "admin"))
	state, err := r.State(t.Context(), b.user, b.session)
	require.NoError(t, err)
	require.Equal(t, "admin", state.Role)
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.State(ctx, b.user, b.session)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, session.ErrEnded)
	b.Pool.Close()
	_, err = r.ask(t.Context(), b.session)
	require.ErrorContains(t, err, "look up the session")
	require.NotErrorIs(t, err, session.ErrEnded)
	require.Empty(t, r.kept(t), "that says nothing about the session")
}

// Where nothing may be written each request costs a query, and none fails.
func TestRedisThatKeepsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	admin := b.replica(t)
	u, err := url.Parse(b.redisURL)
	require.NoError(t, err)
	name, password := "reader-"+uuid.NewString(), "swordfish"
	require.NoError(t, admin.conn.ACLSetUser(t.Context(), name, "on", ">"+password, "~*", "+@read", "+select", "+hello", "+ping").Err())
	t.Cleanup(func() { require.NoError(t, admin.conn.ACLDelUser(context.Background(), name).Err()) })
	u.User = url.UserPassword(name, password)
	b.redisURL = u.String()
	r := b.replica(t)
	require.Equal(t, "user", r.role(t))
	require.Empty(t, admin.kept(t))
	require.NoError(t, admin.conn.Ping(t.Context()).Err())
	require.False(t, r.conn.Away())
}

func BenchmarkState(b *testing.B) {
	bench := newBench(b)
	r := bench.replica(b)
	_, err := r.ask(b.Context(), bench.session)
	require.NoError(b, err)
	ask := map[string]func(ctx context.Context) error{
		"kept": func(ctx context.Context) error {
			_, err := r.ask(ctx, bench.session)
			return err
		},
		"database": func(ctx context.Context) error {
			_, err := r.State(ctx, bench.user, bench.session)
			return err
		},
	}
	for name, ask := range ask {
		b.Run(name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := ask(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := ask(b.Context()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
