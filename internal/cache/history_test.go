package cache_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/testenv"
)

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

// What is loaded while it changes is from after the change, and from before it by its
// generation. It is not kept: who has read the generations before the change, and looks
// for copies only now, would find it beside others from before.
func TestWhatIsLoadedAcrossAChangeIsNotKept(t *testing.T) {
	t.Parallel()
	c, conn := replica(t, testenv.Redis(t))
	w := &world{}
	words := []string{word(1)}
	before := ""
	read := func(load func()) {
		t.Helper()
		_, err := cache.Get(t.Context(), c, number, words[0], words[0], func(context.Context) (int64, error) {
			w.asked.Add(1)
			load()
			return 1, nil
		})
		require.NoError(t, err)
	}
	read(func() {
		before = conn.Get(t.Context(), "generation:"+words[0]).Val()
		c.Committing(t.Context(), words)(t.Context())
	})
	require.NotEmpty(t, before)
	require.NoError(t, conn.Set(t.Context(), "generation:"+words[0], before, time.Minute).Err(), "as somebody has read it")
	read(func() {})
	require.EqualValues(t, 2, w.asked.Load())
	read(func() {})
	require.EqualValues(t, 2, w.asked.Load(), "a copy of what did not change meanwhile is kept")
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
