package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

// listening is a listener that runs, and what it calls.
type listening struct {
	conn     *pgx.Conn // Another one, to notify on.
	notified chan string
	polls    chan struct{}
}

func listen(t *testing.T, interval time.Duration) *listening {
	t.Helper()
	config, err := pgx.ParseConfig(testenv.Database(t))
	require.NoError(t, err)
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	w := &listening{conn: conn, notified: make(chan string, 100), polls: make(chan struct{}, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		store.Listener{
			Channel: "news", Interval: interval,
			Notified: func(_ context.Context, payload string) { w.notified <- payload },
			Poll:     func(context.Context) { w.polls <- struct{}{} },
		}.Run(ctx, config)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		require.NoError(t, conn.Close(context.Background()))
	})
	return w
}

func (w *listening) exec(t *testing.T, sql string) {
	t.Helper()
	_, err := w.conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// receive returns the next value, however slow the machine is.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(time.Minute):
		require.Fail(t, "nothing comes")
		panic("unreachable")
	}
}

func TestListener(t *testing.T) {
	t.Parallel()
	w := listen(t, time.Hour)
	receive(t, w.polls) // Since it listens from here on, no notification is missed after the poll.
	for _, payload := range []string{"one", "two", ""} {
		w.exec(t, "NOTIFY other, 'nothing'")
		w.exec(t, "NOTIFY news, '"+payload+"'")
		require.Equal(t, payload, receive(t, w.notified))
	}
	w.exec(t, "BEGIN")
	w.exec(t, "NOTIFY news, 'never'")
	w.exec(t, "ROLLBACK")
	w.exec(t, "NOTIFY news, 'last'")
	require.Equal(t, "last", receive(t, w.notified))
	require.Empty(t, w.polls)
}

func TestListenerPolls(t *testing.T) {
	t.Parallel()
	w := listen(t, time.Millisecond)
	for range 5 {
		receive(t, w.polls)
	}
	w.exec(t, "NOTIFY news, 'still'")
	require.Equal(t, "still", receive(t, w.notified))
}

func TestListenerConnectsAgain(t *testing.T) {
	t.Parallel()
	w := listen(t, time.Hour)
	receive(t, w.polls)
	for range 3 {
		w.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN news'")
		receive(t, w.polls) // Once since the connection is lost,
		receive(t, w.polls) // and once when there is another.
		w.exec(t, "NOTIFY news, 'again'")
		require.Equal(t, "again", receive(t, w.notified))
	}
}

func TestListenerEndsWhileThereIsNoDatabase(t *testing.T) {
	t.Parallel()
	config, err := pgx.ParseConfig("postgres://nobody@127.0.0.1:9/nothing")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	polls := 0
	store.Listener{Channel: "news", Interval: time.Hour, Poll: func(context.Context) {
		if polls++; polls == 2 {
			cancel()
		}
	}}.Run(ctx, config)
	require.Equal(t, 2, polls)
}
