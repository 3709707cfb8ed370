package cache_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
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

func TestCopiesServeUntilTheyAreChanged(t *testing.T) {
	t.Parallel()
	url := testenv.Redis(t)
	a, _ := replica(t, url)
	b, _ := replica(t, url)
	w := &world{}
	w.values[1].Store(41)
	for range 3 {
		require.EqualValues(t, 41, mustRead(t, w, a, 1))
	}
	require.EqualValues(t, 1, w.asked.Load())
	require.EqualValues(t, 41, mustRead(t, w, b, 1))
	require.EqualValues(t, 1, w.asked.Load(), "the other process finds it in Redis")

	w.write(t.Context(), b, 1, 42)
	require.EqualValues(t, 42, mustRead(t, w, a, 1))
	require.EqualValues(t, 42, mustRead(t, w, b, 1))
	require.EqualValues(t, 2, w.asked.Load())

	require.EqualValues(t, 0, mustRead(t, w, a, 2))
	b.Committing(t.Context(), []string{"*"})(t.Context())
	w.asked.Store(0)
	mustRead(t, w, a, 1)
	mustRead(t, w, a, 2)
	require.EqualValues(t, 2, w.asked.Load(), "everything was touched")
}

func TestNothingIsKeptWhileACommitIsUnderWay(t *testing.T) {
	t.Parallel()
	url := testenv.Redis(t)
	a, conn := replica(t, url)
	b, _ := replica(t, url)
	w := &world{}
	mustRead(t, w, a, 1)

	first := b.Committing(t.Context(), []string{word(1)})
	second := a.Committing(t.Context(), []string{word(1)})
	w.asked.Store(0)
	mustRead(t, w, a, 1)
	mustRead(t, w, a, 1)
	require.EqualValues(t, 2, w.asked.Load())
	first(t.Context())
	mustRead(t, w, a, 1)
	mustRead(t, w, a, 1)
	require.EqualValues(t, 4, w.asked.Load(), "the other is under way still")
	second(t.Context())
	mustRead(t, w, a, 1)
	mustRead(t, w, a, 1)
	require.EqualValues(t, 5, w.asked.Load())

	// One dies, and is not waited for longer than it can take.
	b.Committing(t.Context(), []string{word(1)})
	generation, err := conn.Get(t.Context(), "generation:"+word(1)).Result()
	require.NoError(t, err)
	require.NoError(t, conn.Set(t.Context(), "generation:"+word(1), late(generation), redis.KeepTTL).Err())
	w.asked.Store(0)
	mustRead(t, w, a, 1)
	mustRead(t, w, a, 1)
	require.EqualValues(t, 1, w.asked.Load())
}

// late makes the time until which a transaction is waited for one that has passed.
func late(generation string) string {
	head, _, _ := cutLast(generation, ':')
	return head + ":1000"
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func TestAThousandAtOnceMakeOneQuery(t *testing.T) {
	t.Parallel()
	c, _ := replica(t, testenv.Redis(t))
	w := &world{}
	w.values[3].Store(7)
	const all = 1000
	var ready, done sync.WaitGroup
	start, entered, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var loads atomic.Int64
	ready.Add(all)
	for range all {
		done.Go(func() {
			ready.Done()
			<-start
			got, err := cache.Get(context.Background(), c, number, word(3), word(3), func(context.Context) (int64, error) {
				if loads.Add(1) == 1 {
					close(entered)
				}
				<-release
				return w.values[3].Load(), nil
			})
			if err != nil || got != 7 {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
	ready.Wait()
	close(start)
	<-entered
	close(release)
	done.Wait()
	require.EqualValues(t, 1, loads.Load())
}

func TestSeveralAreLoadedInOneQuery(t *testing.T) {
	t.Parallel()
	c, _ := replica(t, testenv.Redis(t))
	words := []string{"c1", "c2", "c3"}
	var asked [][]int
	get := func() []int64 {
		values, err := cache.GetAll(t.Context(), c, number, words, words, func(_ context.Context, missing []int) ([]int64, error) {
			asked = append(asked, missing)
			loaded := make([]int64, len(missing))
			for n, i := range missing {
				loaded[n] = int64(10 * i)
			}
			return loaded, nil
		})
		require.NoError(t, err)
		return values
	}
	require.Equal(t, []int64{0, 10, 20}, get())
	c.Committing(t.Context(), []string{"c2"})(t.Context())
	require.Equal(t, []int64{0, 10, 20}, get())
	require.Equal(t, [][]int{{0, 1, 2}, {1}}, asked)
}

func TestErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	c, _ := replica(t, testenv.Redis(t))
	failure := errors.New("no")
	fail := true
	get := func() (int64, error) {
		return cache.Get(t.Context(), c, number, word(1), word(1), func(context.Context) (int64, error) {
			if fail {
				return 0, failure
			}
			return 5, nil
		})
	}
	_, err := get()
	require.ErrorIs(t, err, failure)
	fail = false
	value, err := get()
	require.NoError(t, err)
	require.EqualValues(t, 5, value)
}

func TestWhoWaitsSurvivesThePanicOfWhoLoads(t *testing.T) {
	t.Parallel()
	c, _ := replica(t, testenv.Redis(t))
	entered, release := make(chan struct{}), make(chan struct{})
	go func() {
		defer func() { _ = recover() }()
		_, _ = cache.Get(context.Background(), c, number, word(1), word(1), func(context.Context) (int64, error) {
			close(entered)
			<-release
			panic("load")
		})
	}()
	<-entered
	waited := make(chan error)
	go func() {
		_, err := cache.Get(context.Background(), c, number, word(1), word(1), func(context.Context) (int64, error) { return 1, nil })
		waited <- err
	}()
	close(release)
	// It either waited and is told, or came too late and loaded by itself.
	if err := <-waited; err != nil {
		require.ErrorContains(t, err, "abandoned")
	}
	value, err := cache.Get(t.Context(), c, number, word(1), word(1), func(context.Context) (int64, error) { return 2, nil })
	require.NoError(t, err)
	require.NotZero(t, value)
}

func TestAQuestionSavesTheRoundTrip(t *testing.T) {
	t.Parallel()
	c, conn := replica(t, testenv.Redis(t))
	w := &world{}
	mustRead(t, w, c, 1)
	mustRead(t, w, c, 2)
	ctx := c.Asked(t.Context(), []string{word(1), word(2)})
	require.NoError(t, conn.Close(), "what was asked is known")
	w.asked.Store(0)
	for _, i := range []int{2, 1} {
		_, err := w.read(ctx, c, i)
		require.NoError(t, err)
	}
	require.Zero(t, w.asked.Load())
	_, err := w.read(ctx, c, 3)
	require.NoError(t, err, "this one was not asked for")
	require.EqualValues(t, 1, w.asked.Load())
}

func TestPopular(t *testing.T) {
	t.Parallel()
	c, _ := replica(t, testenv.Redis(t))
	keys := []string{"c1", "c2"}
	require.False(t, c.Popular(keys))
	require.False(t, c.Note(keys))
	require.True(t, c.Popular(keys))
	require.True(t, c.Note(keys))
	require.False(t, c.Note(append(keys, "c3")))
	var none *cache.Cache
	require.False(t, none.Note(keys))
}

func TestAProcessThatStartsHasThePopularReady(t *testing.T) {
	t.Parallel()
	url := testenv.Redis(t)
	a, _ := replica(t, url)
	w := &world{}
	for range 2 {
		mustRead(t, w, a, 1)
		mustRead(t, w, a, 2)
	}
	require.NoError(t, a.TellPopular(t.Context(), number.Name))
	b, conn := replica(t, url)
	require.False(t, b.Popular([]string{word(1)}))
	var asked []string
	require.NoError(t, cache.Warm(t.Context(), b, number, func(_ context.Context, keys []string) ([]int64, error) {
		asked = append(asked, keys...)
		return make([]int64, len(keys)), nil
	}))
	require.Empty(t, asked, "they were in Redis")
	require.True(t, b.Popular([]string{word(1), word(2)}))
	require.NoError(t, conn.Del(t.Context(), "popular:number").Err())
	require.NoError(t, cache.Warm(t.Context(), b, number, func(context.Context, []string) ([]int64, error) { return nil, errors.New("nothing to load") }))
	require.NoError(t, cache.Warm[int64](t.Context(), nil, number, nil))
}

func TestNoCacheAsksTheDatabase(t *testing.T) {
	t.Parallel()
	w := &world{}
	w.values[1].Store(3)
	for range 2 {
		require.EqualValues(t, 3, mustRead(t, w, nil, 1))
	}
	require.EqualValues(t, 2, w.asked.Load())
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	require.NoError(tb, listener.Close())
	s := &server{port: port, dir: tb.TempDir()}
	s.start(tb)
	tb.Cleanup(s.kill)
	return s
}

func TestRedisThatComesBackFromBeforeAChange(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a, conn := replica(t, s.url())
	b, _ := replica(t, s.url())
	w := &world{}
	w.values[1].Store(1)
	mustRead(t, w, a, 1)
	mustRead(t, w, b, 1)
	require.NoError(t, conn.Save(t.Context()).Err())
	w.write(t.Context(), a, 1, 2)
	s.kill()
	s.start(t)
	fresh, _ := replica(t, s.url())
	for name, c := range map[string]*cache.Cache{"writer": a, "other": b, "started since": fresh} {
		require.Eventually(t, func() bool {
			value, err := w.read(t.Context(), c, 1)
			require.NoError(t, err)
			require.EqualValues(t, 2, value, name)
			before := w.asked.Load()
			_, _ = w.read(t.Context(), c, 1)
			return w.asked.Load() == before
		}, soon, often, "copies are kept again")
	}
}

func TestRedisAway(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a, conn := replica(t, s.url())
	w := &world{}
	w.values[1].Store(1)
	mustRead(t, w, a, 1)
	s.kill()
	require.Eventually(t, func() bool { _ = conn.Ping(t.Context()); return conn.Away() }, soon, often)
	require.False(t, a.Note([]string{word(1)}), "the first time")
	require.False(t, a.Note([]string{word(1)}), "copies are not worth it now")
	w.write(t.Context(), a, 1, 2)
	require.EqualValues(t, 2, mustRead(t, w, a, 1))
	s.start(t)
	require.Eventually(t, func() bool { return conn.Ping(t.Context()).Err() == nil && !conn.Away() }, soon, often)
	require.EqualValues(t, 2, mustRead(t, w, a, 1))
}

// TestNoReadSeesWhatWasBefore has many read and write through two processes, while
// Redis is killed and comes back empty or from a file: what a read returns is never
// older than what was acknowledged before it began.
func TestNoReadSeesWhatWasBefore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		chaos bool
	}{{"all well", false}, {"redis is killed", true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			changes, pause := int64(250), 4
			if test.chaos {
				changes, pause = 700, 40
			}
			s := newServer(t)
			a, conn := replica(t, s.url())
			b, _ := replica(t, s.url())
			replicas := []*cache.Cache{a, b}
			w := &world{}
			var acknowledged [len(w.values)]atomic.Int64
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			var reads atomic.Int64
			for r := range 8 {
				wg.Go(func() {
					for n := r; ctx.Err() == nil; n++ {
						i := n % len(w.values)
						before := acknowledged[i].Load()
						got, err := w.read(context.Background(), replicas[n/len(w.values)%2], i)
						if err != nil || got < before {
							t.Errorf("read %d of %d after %d was acknowledged: %v", got, i, before, err)
							stop()
						}
						reads.Add(1)
					}
				})
			}
			for i := range w.values {
				wg.Go(func() {
					for n := int64(1); n <= changes && ctx.Err() == nil; n++ {
						w.write(context.Background(), replicas[rand.IntN(2)], i, n)
						acknowledged[i].Store(n)
						time.Sleep(time.Duration(rand.IntN(pause)) * time.Millisecond)
					}
				})
			}
			if test.chaos {
				for round := range 2 {
					// Long enough for copies to count again.
					time.Sleep(6 * time.Second)
					if round%2 == 0 {
						_ = conn.Save(t.Context())
					}
					s.kill()
					s.start(t)
				}
			}
			finished := func() bool {
				for i := range acknowledged {
					if acknowledged[i].Load() < changes {
						return false
					}
				}
				return true
			}
			require.Eventually(t, func() bool { return finished() || ctx.Err() != nil }, time.Minute, often)
			stop()
			wg.Wait()
			t.Logf("%d reads, %d queries", reads.Load(), w.asked.Load())
		})
	}
}

// TestWhatMovesIsInOnePlace reads two keys while something moves from one to the
// other: it is in one of them, in every answer.
func TestWhatMovesIsInOnePlace(t *testing.T) {
	t.Parallel()
	url := testenv.Redis(t)
	a, _ := replica(t, url)
	b, _ := replica(t, url)
	replicas := []*cache.Cache{a, b}
	words := []string{"c1", "c2"}
	var mu sync.Mutex
	state := []int64{1, 0}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for r := range 6 {
		wg.Go(func() {
			for ctx.Err() == nil {
				values, err := cache.GetAll(context.Background(), replicas[r%2], number, words, words, func(_ context.Context, missing []int) ([]int64, error) {
					mu.Lock()
					defer mu.Unlock()
					var loaded []int64
					for _, i := range missing {
						loaded = append(loaded, state[i])
					}
					return loaded, nil
				})
				if err != nil || values[0]+values[1] != 1 {
					t.Errorf("%v, %v", values, err)
					stop()
				}
			}
		})
	}
	for n := range 300 {
		ended := replicas[n%2].Committing(ctx, words)
		mu.Lock()
		state[0], state[1] = state[1], state[0]
		mu.Unlock()
		ended(ctx)
		time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
	}
	stop()
	wg.Wait()
}

func BenchmarkGet(b *testing.B) {
	c, _ := replica(b, testenv.Redis(b))
	w := &world{}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.read(context.Background(), c, 1); err != nil {
				b.Error(err)
			}
		}
	})
}
