package notify_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/notify"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.WithLeakCheck()) }

// watched is a watch that runs, and what it calls.
type watched struct {
	conn  *pgx.Conn // Another's.
	told  chan string
	looks chan struct{}
}

func watch(t *testing.T, interval time.Duration) *watched {
	t.Helper()
	config, err := pgx.ParseConfig(testenv.Database(t))
	require.NoError(t, err)
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	w := &watched{conn: conn, told: make(chan string, 100), looks: make(chan struct{}, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		notify.Watch{
			Channel: "news", Interval: interval,
			Told: func(_ context.Context, payload string) { w.told <- payload },
			Look: func(context.Context) { w.looks <- struct{}{} },
		}.Run(ctx, config)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		require.NoError(t, conn.Close(context.Background()))
	})
	return w
}

func (w *watched) exec(t *testing.T, sql string) {
	t.Helper()
	_, err := w.conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// next waits for what is to come, however slow the machine.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(time.Minute):
		require.Fail(t, "nothing comes")
		panic("unreachable")
	}
}

func TestTold(t *testing.T) {
	t.Parallel()
	w := watch(t, time.Hour)
	next(t, w.looks) // Since it listens from here on, nothing is missed after the look.
	for _, payload := range []string{"one", "two", ""} {
		w.exec(t, "NOTIFY other, 'nothing'")
		w.exec(t, "NOTIFY news, '"+payload+"'")
		require.Equal(t, payload, next(t, w.told))
	}
	w.exec(t, "BEGIN")
	w.exec(t, "NOTIFY news, 'never'")
	w.exec(t, "ROLLBACK")
	w.exec(t, "NOTIFY news, 'last'")
	require.Equal(t, "last", next(t, w.told))
	require.Empty(t, w.looks)
}

func TestLooksWhenItIsNotTold(t *testing.T) {
	t.Parallel()
	w := watch(t, time.Millisecond)
	for range 5 {
		next(t, w.looks)
	}
	w.exec(t, "NOTIFY news, 'still'")
	require.Equal(t, "still", next(t, w.told))
}

func TestLostConnection(t *testing.T) {
	t.Parallel()
	w := watch(t, time.Hour)
	next(t, w.looks)
	for range 3 {
		w.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN news'")
		next(t, w.looks) // Once since the connection is lost,
		next(t, w.looks) // and once when there is another.
		w.exec(t, "NOTIFY news, 'again'")
		require.Equal(t, "again", next(t, w.told))
	}
}

func TestEndsWhileThereIsNoDatabase(t *testing.T) {
	t.Parallel()
	config, err := pgx.ParseConfig("postgres://nobody@127.0.0.1:9/nothing")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	notify.Watch{Channel: "news", Interval: time.Hour, Look: func(context.Context) {
		if looks++; looks == 2 {
			cancel()
		}
	}}.Run(ctx, config)
	require.Equal(t, 2, looks)
}
