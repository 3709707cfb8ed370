package redisconn_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/redisconn"
	"github.com/picaspot/picaspot/internal/testenv"
)

// Each way in which a server answers reads and refuses writes is noticed at once, by
// those who only read too, and by a monitor without traffic.
func TestServerThatRefusesWrites(t *testing.T) {
	t.Parallel()
	for name := range testenv.Refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			admin, reader, idle := open(t, s.url()), open(t, s.url()), open(t, s.url())
			require.NoError(t, admin.Set(t.Context(), "key", "value", 0).Err())
			require.NoError(t, reader.Together(nil))
			monitor(t, idle)
			require.NoError(t, idle.Check(t.Context()))
			allow := testenv.RefuseWrites(t, s.url(), name)
			get := redis.NewStringCmd(t.Context(), "get", "key")
			require.Error(t, reader.Together([]redis.Cmder{get}), "the journal counts for nothing")
			require.Equal(t, "value", get.Val(), "it answers reads")
			require.True(t, reader.Away(), "after one refusal")
			require.Eventually(t, idle.Away, soon, often)
			require.Error(t, idle.Check(t.Context()))
			allow()
			require.Eventually(t, func() bool { return !idle.Away() && reader.Together(nil) == nil }, soon, often)
		})
	}
}

// The writer is not let go until the others have had the time to notice.
func TestAnnounceWaitsUntilAnOutageIsNoticed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	writer, idle := open(t, s.url()), open(t, s.url())
	monitor(t, writer)
	monitor(t, idle)
	require.NoError(t, idle.Check(t.Context()))
	announce := func(ctx context.Context) error { return writer.Note(ctx, "word") }
	require.NoError(t, writer.Announce(t.Context(), announce))

	allow := testenv.RefuseWrites(t, s.url(), "READONLY")
	require.Error(t, writer.Announce(t.Context(), announce))
	require.True(t, idle.Away())
	begun := time.Now()
	require.ErrorIs(t, writer.Announce(t.Context(), announce), redisconn.ErrAway)
	require.Less(t, time.Since(begun), time.Second, "the others know by now")
	allow()
	require.Eventually(t, func() bool { return !writer.Away() && !idle.Away() }, soon, often)

	// A short outage ends with the announcement.
	allow = testenv.RefuseWrites(t, s.url(), "READONLY")
	announced := make(chan error, 1)
	go func() { announced <- writer.Announce(t.Context(), announce) }()
	require.Eventually(t, writer.Away, soon, time.Millisecond)
	allow()
	require.NoError(t, <-announced)
	other := func(context.Context) error { return redis.Nil }
	require.ErrorIs(t, writer.Announce(t.Context(), other), redis.Nil)
}
