package store_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

// relay passes connections on to a database, until it cuts them.
type relay struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

// relayed returns the URL of a database behind a relay.
func relayed(t *testing.T, address string) (*relay, string) {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{Listener: listener}
	target := u.Host
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", target)
			if err != nil {
				_ = from.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, from, to)
			r.mu.Unlock()
			running.Go(func() { _, _ = io.Copy(to, from); _ = to.Close() })
			running.Go(func() { _, _ = io.Copy(from, to); _ = from.Close() })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		r.cut(false)
		running.Wait()
	})
	u.Host = listener.Addr().String()
	return r, u.String()
}

// cut ends all connections, with a reset or with an orderly end.
func (r *relay) cut(reset bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		if tcp, ok := conn.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	r.conns = nil
}

func TestConnectionThatIsCutWithinAQuery(t *testing.T) {
	t.Parallel()
	base := testenv.Database(t)
	observer := openAt(t, base)
	for name, reset := range map[string]bool{"orderly": false, "reset": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, address := relayed(t, base)
			s := openAt(t, address)
			for way, run := range map[string]func(ctx context.Context, sql string) error{
				"pool": func(ctx context.Context, sql string) error { _, err := s.Pool.Exec(ctx, sql); return err },
				"transaction": func(ctx context.Context, sql string) error {
					return s.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
						_, err := tx.ExecContext(ctx, sql)
						return err
					})
				},
			} {
				failed := make(chan error, 1)
				sql := "SELECT pg_sleep(60) AS " + name + "_" + way
				go func() { failed <- run(t.Context(), sql) }()
				require.Eventually(t, func() bool {
					var runs bool
					require.NoError(t, observer.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = $1)", sql).Scan(&runs))
					return runs
				}, time.Minute, 5*time.Millisecond)
				r.cut(reset)
				err := <-failed
				require.Error(t, err)
				var known *fault.Error
				require.ErrorAs(t, store.Classify(err), &known, "%s: %v", way, err)
				require.Equal(t, fault.Unavailable, known.Kind)
				require.Equal(t, "database_unavailable", known.Code)
				require.Eventually(t, func() bool { return run(t.Context(), "SELECT 1") == nil }, time.Minute, 5*time.Millisecond)
			}
		})
	}
	require.ErrorIs(t, store.Classify(io.ErrUnexpectedEOF), io.ErrUnexpectedEOF)
	require.NotErrorAs(t, store.Classify(io.ErrUnexpectedEOF), new(*fault.Error), "it may be a client's")
}

func openAt(t *testing.T, address string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), address, store.Options{MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}
