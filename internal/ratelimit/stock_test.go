package ratelimit

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"
)

// Processes that take requests into stock never allow what a single one would not, and refuse nobody who has more left than they may have in stock.
func TestStocksKeepTheRate(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 3))
		server := miniredis.RunT(t)
		now := start
		processes := make([]*Limiter, 1+random.IntN(3))
		for i := range processes {
			processes[i] = New(client(t, "redis://"+server.Addr()))
			processes[i].now = func() time.Time { return now }
		}
		k := key(64+random.IntN(400), time.Second*time.Duration(1+random.IntN(60)))
		interval := k.Rate.interval()
		// From a fifth of the rate to five times as much, and in bursts.
		pace := interval/5 + random.Int64N(5*interval)
		var at int64 // of the one process that there would be
		for range 1500 {
			if random.IntN(4) > 0 {
				now = now.Add(time.Duration(random.Int64N(2*pace)) * time.Microsecond)
			}
			server.SetTime(now)
			result := processes[random.IntN(len(processes))].Allow(t.Context(), k)
			require.GreaterOrEqual(t, result.Remaining, 0)
			require.Less(t, result.Remaining, k.Rate.Requests)
			next, alone := gcra(at, now.UnixMicro(), k.Rate)
			if result.Allowed {
				require.True(t, alone.Allowed, "seed %d: more than the rate, %s", seed, k.Rate)
				at = next
				continue
			}
			stocked := int64(len(processes)) * k.Rate.atOnce()
			require.LessOrEqual(t, int64(alone.Remaining), stocked, "seed %d: refused with %d left", seed, alone.Remaining)
		}
	}
}

func TestAStockSavesQuestions(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	server.SetTime(start)
	l := New(client(t, "redis://"+server.Addr()))
	l.now = func() time.Time { return start }
	k := key(640, time.Minute)
	asked := 0
	for n := range 600 {
		pending, commands := l.Queue(t.Context(), nil, k)
		asked += len(commands)
		if len(commands) > 0 {
			pipe := l.client.Pipeline()
			_ = pipe.BatchProcess(t.Context(), commands...)
			_, _ = pipe.Exec(t.Context())
		}
		result, err := pending.Result(t.Context())
		require.NoError(t, err)
		require.True(t, result.Allowed)
		require.Equal(t, 639-n, result.Remaining, "what is in stock is left")
	}
	require.Less(t, asked, 330, "ten at once as long as half are free, then one by one")
	small := key(10, time.Minute)
	small.Subject = "another"
	for range 3 {
		_, commands := l.Queue(t.Context(), nil, small)
		require.Len(t, commands, 1, "a small limit is counted one by one")
	}
}
