package redisconn_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// counted counts the pipelines that go to the network.
type counted struct{ pipelines atomic.Int64 }

func (c *counted) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counted) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (c *counted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.pipelines.Add(1)
		return next(ctx, cmds)
	}
}

func TestTogether(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := open(t, s.url())
	hook := &counted{}
	c.AddHook(hook)
	const all = 500
	var wg sync.WaitGroup
	start := make(chan struct{})
	for n := range all {
		wg.Go(func() {
			<-start
			pipe := c.Pipeline()
			key := strconv.Itoa(n)
			set, missing, get := pipe.Set(t.Context(), key, n, 0), pipe.Get(t.Context(), "none"), pipe.Get(t.Context(), key)
			_ = c.Together(pipe.Cmds())
			got, err := get.Int()
			if set.Err() != nil || missing.Err() != redis.Nil || err != nil || got != n {
				t.Errorf("%d: %v %v %v %v", n, set.Err(), missing.Err(), got, err)
			}
		})
	}
	close(start)
	wg.Wait()
	require.Less(t, hook.pipelines.Load(), int64(all), "some went along with others")

	s.stop()
	for range 5 {
		pipe := c.Pipeline()
		get := pipe.Get(t.Context(), "1")
		_ = c.Together(pipe.Cmds())
		require.Error(t, get.Err())
	}
	require.True(t, c.Away())
}
