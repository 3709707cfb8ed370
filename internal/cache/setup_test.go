package cache_test

import (
	"context"
	"net"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/redisconn"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.WithLeakCheck()) }

const (
	soon  = time.Minute
	often = 5 * time.Millisecond
)

// world is what a database would be: values that change, and a count of who asked.
type world struct {
	values [8]atomic.Int64
	asked  atomic.Int64
}

var number = &cache.Kind[int64]{
	Name:   "number",
	Encode: func(v int64) []byte { return strconv.AppendInt(nil, v, 10) },
	Decode: func(data []byte) (int64, error) { return strconv.ParseInt(string(data), 10, 64) },
	Size:   func(int64) int { return 8 },
}

func word(i int) string { return "l" + strconv.Itoa(i) }

func (w *world) read(ctx context.Context, c *cache.Cache, i int) (int64, error) {
	if c != nil && cache.QuestionFrom(ctx) == nil {
		ctx = c.Asked(ctx, []string{word(i)})
	}
	return cache.Get(ctx, c, number, word(i), word(i), func(context.Context) (int64, error) {
		w.asked.Add(1)
		return w.values[i].Load(), nil
	})
}

func (w *world) write(ctx context.Context, c *cache.Cache, i int, value int64) {
	ended := c.Committing(ctx, []string{word(i)})
	w.values[i].Store(value)
	ended(ctx)
}

func replica(tb testing.TB, url string) (*cache.Cache, *redisconn.Conn) {
	tb.Helper()
	conn, err := redisconn.Open(url)
	require.NoError(tb, err)
	c, err := cache.New(conn, "test", 1<<20)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		c.Close()
		_ = conn.Close()
	})
	trusted(tb, c)
	return c, conn
}

// trusted waits until a Redis that has just started counts.
func trusted(tb testing.TB, c *cache.Cache) {
	tb.Helper()
	require.Eventually(tb, func() bool {
		asked := false
		for range 2 {
			asked = false
			_, err := cache.Get(tb.Context(), c, number, "probe", "probe", func(context.Context) (int64, error) {
				asked = true
				return 0, nil
			})
			require.NoError(tb, err)
		}
		return !asked
	}, soon, often)
}

func mustRead(t *testing.T, w *world, c *cache.Cache, i int) int64 {
	t.Helper()
	value, err := w.read(t.Context(), c, i)
	require.NoError(t, err)
	return value
}

// server is a Redis that writes what it keeps to disk, and can be killed.
type server struct {
	port, dir string
	cmd       *exec.Cmd
}

func (s *server) url() string { return "redis://127.0.0.1:" + s.port + "/0" }

func (s *server) start(tb testing.TB) {
	tb.Helper()
	s.cmd = exec.Command("redis-server", "--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no")
	require.NoError(tb, s.cmd.Start())
	require.Eventually(tb, func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err != nil {
			return false
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("PING\r\n"))
		reply := make([]byte, 5)
		_, err = conn.Read(reply)
		return err == nil && string(reply) == "+PONG"
	}, soon, often)
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func newServer(tb testing.TB) *server {
	tb.Helper()
	_, port, _ := net.SplitHostPort(testenv.FreeAddr(tb))
	s := &server{port: port, dir: tb.TempDir()}
	s.start(tb)
	tb.Cleanup(s.kill)
	return s
}
