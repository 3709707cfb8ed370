package redisconn_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/redisconn"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.WithLeakCheck()) }

const (
	password = "swordfish"
	soon     = time.Minute
	often    = 10 * time.Millisecond
)

// server is a Redis that can be stopped and started on the same port.
type server struct {
	port string
	dir  string
	args []string
	cmd  *exec.Cmd
}

func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	_, port, _ := net.SplitHostPort(testenv.FreeAddr(t))
	s := &server{port: port, dir: t.TempDir(), args: args}
	t.Cleanup(s.stop)
	s.start(t)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	args := append([]string{
		"--port", s.port, "--bind", "127.0.0.1", "--requirepass", password, "--dir", s.dir, "--save", "", "--appendonly", "no",
	}, s.args...)
	cmd := exec.Command("redis-server", args...)
	require.NoError(t, cmd.Start())
	s.cmd = cmd
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", s.address())
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, soon, often)
}

func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// freeze makes the server accept connections and say nothing.
func (s *server) freeze(t *testing.T) { require.NoError(t, s.cmd.Process.Signal(syscall.SIGSTOP)) }

func (s *server) thaw(t *testing.T) { require.NoError(t, s.cmd.Process.Signal(syscall.SIGCONT)) }

func (s *server) address() string { return net.JoinHostPort("127.0.0.1", s.port) }

func (s *server) url() string { return "redis://:" + password + "@" + s.address() + "/0" }

func open(t *testing.T, url string) *redisconn.Conn {
	t.Helper()
	c, err := redisconn.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// monitor runs Monitor until the test or the returned function ends it.
func monitor(t *testing.T, c *redisconn.Conn) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { c.Monitor(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// fail sends commands until Redis counts as away.
func fail(t *testing.T, c *redisconn.Conn) {
	t.Helper()
	require.Eventually(t, func() bool { return c.Ping(t.Context()).Err() != nil && c.Away() }, soon, often)
}

func TestMalformedURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "localhost:6379", "http://:hunter2@localhost", "unix:///run/redis.sock", "redis://:hunter2@localhost/one",
		"redis://:hunter2@localhost:port", "redis://:hunter2%@localhost", "redis://:hunter2@localhost?no_such=option",
		"redis://:hunter2@a,b/3", "redis://:hunter2@a,b:port", "redis://:hunter2@,b", "redis://:hunter2@a,,b", "redis://:hunter2@a,b?cluster=false",
		"redis://:hunter2@a?cluster=perhaps", "redis://:hunter2@localhost?read_timeout=long",
	} {
		_, err := redisconn.Open(url)
		require.EqualError(t, err, "PICASPOT_REDIS_URL is malformed", url)
	}
}

func TestOptionsOfTheURL(t *testing.T) {
	t.Parallel()
	single := func(url string) *redis.Options { return open(t, url).UniversalClient.(*redis.Client).Options() }
	o := single("rediss://ada:hunter2@redis.example/3?cluster=false")
	require.Equal(t, "redis.example:6379", o.Addr)
	require.Equal(t, []any{"ada", "hunter2", 3}, []any{o.Username, o.Password, o.DB})
	require.Equal(t, "redis.example", o.TLSConfig.ServerName)
	require.Equal(t, 500*time.Millisecond, o.DialTimeout)
	require.Equal(t, 250*time.Millisecond, o.ReadTimeout)
	require.True(t, o.ContextTimeoutEnabled)
	require.Zero(t, o.MaxRetries)

	o = single("redis://redis.example?read_timeout=2s&pool_size=3&max_retries=1")
	require.Equal(t, []any{2 * time.Second, 3, 1}, []any{o.ReadTimeout, o.PoolSize, o.MaxRetries})

	cluster := func(url string) *redis.ClusterOptions {
		return open(t, url).UniversalClient.(*redis.ClusterClient).Options()
	}
	c := cluster("rediss://:hunter2@a.example:6380,b.example,[2001:db8::1],[2001:db8::2]:7001,c.example/0?read_only=true")
	require.Equal(t, []string{"a.example:6380", "b.example:6379", "[2001:db8::1]:6379", "[2001:db8::2]:7001", "c.example:6379"}, c.Addrs)
	require.Equal(t, []any{"hunter2", true, 250 * time.Millisecond}, []any{c.Password, c.ReadOnly, c.ReadTimeout})
	require.NotNil(t, c.TLSConfig)
	require.Equal(t, []string{"a.example:6379", "b.example:7000"}, cluster("redis://a.example?addr=b.example:7000").Addrs)
	require.Equal(t, []string{"a.example:7000"}, cluster("redis://a.example:7000?cluster=true").Addrs)
}

func TestAnswersAreNotFailures(t *testing.T) {
	t.Parallel()
	c := open(t, testenv.Redis(t))
	ctx := t.Context()
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	late, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
	defer cancel()
	require.NoError(t, c.Set(ctx, "text", "x", 0).Err())
	for range 5 {
		require.ErrorIs(t, c.Get(ctx, "nothing").Err(), redis.Nil)
		require.ErrorContains(t, c.Incr(ctx, "text").Err(), "not an integer")
		require.ErrorContains(t, c.LPush(ctx, "text", "y").Err(), "WRONGTYPE")
		require.ErrorContains(t, c.EvalSha(ctx, strings.Repeat("0", 40), nil).Err(), "NOSCRIPT")
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Get(ctx, "nothing")
			p.LPush(ctx, "text", "y")
			return nil
		})
		require.ErrorIs(t, err, redis.Nil)
		require.ErrorIs(t, c.Get(cancelled, "text").Err(), context.Canceled)
		require.ErrorIs(t, c.Get(late, "text").Err(), context.DeadlineExceeded)
	}
	require.False(t, c.Away())
	require.Zero(t, c.Recovered())
	require.Equal(t, "x", c.Get(ctx, "text").Val())
}

func TestCallerThatDoesNotWaitIsNoFailure(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := open(t, s.url())
	require.NoError(t, c.Ping(t.Context()).Err())
	s.freeze(t)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		require.Error(t, c.Get(ctx, "key").Err())
		cancel()
	}
	require.False(t, c.Away())
	s.thaw(t)
	require.NoError(t, c.Ping(t.Context()).Err())
}

func TestAwayAndBack(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]struct {
		begin, end func(*server, *testing.T)
	}{
		"refuses":  {func(s *server, _ *testing.T) { s.stop() }, (*server).start},
		"time-out": {(*server).freeze, (*server).thaw},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			c := open(t, s.url())
			ctx := t.Context()
			require.NoError(t, c.Set(ctx, "key", "value", 0).Err())
			outage.begin(s, t)

			for failures := 0; !c.Away(); failures++ {
				require.Less(t, failures, 2, "the third finds it open")
				require.Error(t, c.Get(ctx, "key").Err())
			}
			require.Zero(t, c.Recovered())
			for range 1000 {
				require.ErrorIs(t, c.Get(ctx, "key").Err(), redisconn.ErrAway)
			}

			for _, pipe := range []redis.Pipeliner{c.Pipeline(), c.TxPipeline()} {
				get, incr := pipe.Get(ctx, "key"), pipe.Incr(ctx, "count")
				_, err := pipe.Exec(ctx)
				require.ErrorIs(t, err, redisconn.ErrAway)
				require.ErrorIs(t, get.Err(), redisconn.ErrAway)
				require.ErrorIs(t, incr.Err(), redisconn.ErrAway)
			}

			outage.end(s, t)
			restarted := time.Now()
			require.Eventually(t, func() bool { return c.Ping(ctx).Err() == nil }, soon, often)
			require.False(t, c.Away())
			require.WithinRange(t, c.Recovered(), restarted, time.Now())
			recovered := c.Recovered()
			require.NoError(t, c.Set(ctx, "key", "value", 0).Err())
			require.Equal(t, recovered, c.Recovered())
		})
	}
}

func TestNotThereFromTheBeginning(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.stop()
	c := open(t, s.url())
	fail(t, c)
	s.start(t)
	require.Eventually(t, func() bool { return c.Ping(t.Context()).Err() == nil }, soon, often)
	require.NotZero(t, c.Recovered())
}

func TestServerThatCannotServe(t *testing.T) {
	t.Parallel()
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		fail(t, open(t, "redis://:"+password+"2@"+s.address()))
	})
	t.Run("replica", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, "--replicaof", "127.0.0.1", "1")
		c := open(t, s.url())
		_, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			p.Get(t.Context(), "nothing")
			p.Set(t.Context(), "key", "value", 0)
			return nil
		})
		require.ErrorIs(t, err, redis.Nil)
		require.True(t, c.Away(), "READONLY behind the error that the pipeline returns")
	})
	t.Run("replica without its master", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, "--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "no")
		c := open(t, s.url())
		for range 2 {
			require.ErrorContains(t, c.Get(t.Context(), "key").Err(), "MASTERDOWN")
		}
		require.True(t, c.Away())
	})
	t.Run("cluster without its slots", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, "--cluster-enabled", "yes")
		c := open(t, s.url())
		for range 2 {
			require.ErrorContains(t, c.Get(t.Context(), "key").Err(), "CLUSTERDOWN")
		}
		require.True(t, c.Away())
	})
}

func TestMonitor(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := open(t, s.url())
	monitor(t, c)
	require.NoError(t, c.Ping(t.Context()).Err())
	s.stop()
	require.Eventually(t, c.Away, soon, often, "without traffic")
	// Long enough for the circuit to be half-open now and then.
	for begin := time.Now(); time.Since(begin) < 2*time.Second; time.Sleep(often) {
		require.ErrorIs(t, c.Get(t.Context(), "key").Err(), redisconn.ErrAway)
	}
	s.start(t)
	require.Eventually(t, func() bool { return !c.Away() }, soon, often, "without traffic")
	require.NotZero(t, c.Recovered())
}

// A request does not pay for finding out that a silent server is silent still.
func TestMonitorAloneTriesASilentServer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := open(t, s.url())
	monitor(t, c)
	require.NoError(t, c.Ping(t.Context()).Err())
	s.freeze(t)
	require.Eventually(t, c.Away, soon, often)
	for begin := time.Now(); time.Since(begin) < 2500*time.Millisecond; time.Sleep(often) {
		require.ErrorIs(t, c.Get(t.Context(), "key").Err(), redisconn.ErrAway)
	}
	s.thaw(t)
	require.Eventually(t, func() bool { return !c.Away() }, soon, often)
}

func TestLogsEachChangeOnce(t *testing.T) {
	var log syncBuffer
	previous := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(previous) })
	s := startServer(t)
	c := open(t, s.url())
	monitor(t, c)
	require.NoError(t, c.Ping(t.Context()).Err())
	require.Empty(t, log.String())
	s.stop()
	require.Eventually(t, c.Away, soon, often)
	time.Sleep(2500 * time.Millisecond) // Pings fail, and nothing changes.
	require.Equal(t, 1, strings.Count(log.String(), "redis away"))
	s.start(t)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "redis back") }, soon, often)
	require.False(t, c.Away())
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
	require.NotContains(t, log.String(), password)
}

func TestManyAtOnceDuringAnOutage(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := open(t, s.url())
	monitor(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				err := c.Set(ctx, strconv.Itoa(n%10), n, 0).Err()
				if errors.Is(err, redisconn.ErrAway) {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	defer wg.Wait()
	defer cancel()
	time.Sleep(100 * time.Millisecond)
	require.False(t, c.Away())
	s.stop()
	require.Eventually(t, c.Away, soon, often)
	s.start(t)
	require.Eventually(t, func() bool { return !c.Away() }, soon, often)
	time.Sleep(100 * time.Millisecond)
	require.False(t, c.Away(), "stale connections don't open it again")
}

func TestCluster(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--cluster-enabled", "yes")
	require.NoError(t, open(t, s.url()).ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	c := open(t, s.url()+"?cluster=true")
	ctx := t.Context()
	require.Eventually(t, func() bool { return c.Set(ctx, "key", "value", 0).Err() == nil }, soon, often)
	cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Get(ctx, "key")
		p.Incr(ctx, "count")
		return nil
	})
	require.NoError(t, err)
	require.Len(t, cmds, 2)
	s.stop()
	fail(t, c)
	require.ErrorIs(t, c.Get(ctx, "key").Err(), redisconn.ErrAway)
	s.start(t)
	require.Eventually(t, func() bool { return c.Get(ctx, "other").Err() == redis.Nil }, soon, often)
	require.NotZero(t, c.Recovered())
}

func TestClosed(t *testing.T) {
	t.Parallel()
	c, err := redisconn.Open(testenv.Redis(t))
	require.NoError(t, err)
	monitor(t, c)
	require.NoError(t, c.Close())
	for range 3 {
		require.ErrorIs(t, c.Ping(t.Context()).Err(), redis.ErrClosed)
	}
	require.False(t, c.Away(), "it was not Redis")
}

type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func BenchmarkGet(b *testing.B) {
	url := testenv.Redis(b)
	o, err := redis.ParseURL(url)
	require.NoError(b, err)
	plain := redis.NewClient(o)
	defer plain.Close()
	guarded, err := redisconn.Open(url)
	require.NoError(b, err)
	defer guarded.Close()
	for name, c := range map[string]redis.UniversalClient{"plain": plain, "guarded": guarded} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Get(b.Context(), "key")
			}
		})
	}
}

func BenchmarkAway(b *testing.B) {
	c, err := redisconn.Open("redis://127.0.0.1:1")
	require.NoError(b, err)
	defer c.Close()
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { c.Monitor(ctx) })
	defer wg.Wait()
	defer cancel()
	for !c.Away() {
		c.Ping(b.Context())
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Get(b.Context(), "key")
	}
}
