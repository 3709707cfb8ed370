package session_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/store"
)

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
