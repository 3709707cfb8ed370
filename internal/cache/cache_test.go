package cache_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/testenv"
)

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
	// Where Redis has just started, b trusts no copy from before it was connected.
	b, conn := replica(t, url)
	w := &world{}
	for range 2 {
		mustRead(t, w, a, 1)
		mustRead(t, w, a, 2)
	}
	require.NoError(t, a.TellPopular(t.Context(), number.Name))
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
