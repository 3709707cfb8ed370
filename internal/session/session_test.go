package session_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/store"
)

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

func TestRedisNil(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, "")
	r := &replica{Registry: session.NewRegistry(b.Pool, nil), of: b}
	require.NoError(t, b.switchRole(t.Context(), r, "admin"))
	state, err := r.State(t.Context(), b.user, b.session)
	require.NoError(t, err)
	require.Equal(t, "admin", state.Role)
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
