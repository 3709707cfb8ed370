package cache

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// popularKeys is how many keys of a kind count as popular.
	popularKeys = 256
	// popularInterval is how often a process tells which they are.
	popularInterval = time.Minute
	// warmAtOnce is how many keys are warmed in one query.
	warmAtOnce = 32
)

func popularKey(kind string) string { return "popular:" + kind }

// Watch tells the other processes what is asked for most, until ctx ends, so that one
// that starts can have it ready. Of each kind the hottest keys are told.
func (c *Cache) Watch(ctx context.Context, kinds ...string) {
	tick := time.NewTicker(popularInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, kind := range kinds {
				if err := c.tellPopular(ctx, kind); err != nil {
					slog.DebugContext(ctx, "popular keys not told", "kind", kind, "error", err)
				}
			}
		}
	}
}

func (c *Cache) tellPopular(ctx context.Context, kind string) error {
	var members []redis.Z
	now := float64(time.Now().Unix())
	for e := range c.local.Hottest() {
		if e.Key.kind == kind {
			members = append(members, redis.Z{Score: now, Member: e.Key.key})
		}
		if len(members) == popularKeys {
			break
		}
	}
	if len(members) == 0 {
		return nil
	}
	_, err := c.redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.ZAdd(ctx, popularKey(kind), members...)
		pipe.ZRemRangeByRank(ctx, popularKey(kind), 0, -2*popularKeys-1)
		pipe.Expire(ctx, popularKey(kind), ttl)
		return nil
	})
	return err
}

// Warm makes copies of what the processes told of as popular. load is asked for keys,
// which are their own words. It gives up at the first error: what is not there is
// loaded when it is asked for.
func Warm[V any](ctx context.Context, c *Cache, kind *Kind[V], load func(ctx context.Context, keys []string) ([]V, error)) error {
	if c == nil {
		return nil
	}
	keys, err := c.redis.ZRevRange(ctx, popularKey(kind.Name), 0, popularKeys-1).Result()
	if err != nil {
		return err
	}
	for len(keys) > 0 {
		some := keys[:min(warmAtOnce, len(keys))]
		keys = keys[len(some):]
		c.Note(some)
		_, err := GetAll(ctx, c, kind, some, some, func(ctx context.Context, missing []int) ([]V, error) {
			wanted := make([]string, len(missing))
			for n, i := range missing {
				wanted[n] = some[i]
			}
			return load(ctx, wanted)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
