package session_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/localstack"
	"github.com/picaspot/picaspot/internal/session"
)

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
