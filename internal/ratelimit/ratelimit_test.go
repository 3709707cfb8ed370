package ratelimit

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/localstack"
	"github.com/picaspot/picaspot/internal/redisconn"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.WithLeakCheck()) }

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func client(t testing.TB, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	require.NoError(t, err)
	o.MaxRetries, o.DialerRetries = -1, 1
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// clocked is a limiter whose clock a test can turn.
type clocked struct {
	*Limiter
	set func(time.Time)
}

// everywhere runs a test within the process and in a Redis, by the same clock.
func everywhere(t *testing.T, test func(t *testing.T, l clocked)) {
	t.Helper()
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		now := start
		l := New(nil)
		l.now = func() time.Time { return now }
		test(t, clocked{l, func(at time.Time) { now = at }})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server := miniredis.RunT(t)
		server.SetTime(start)
		l := New(client(t, "redis://"+server.Addr()))
		l.now = func() time.Time { t.Error("counted locally"); return start }
		test(t, clocked{l, server.SetTime})
	})
}

func key(requests int, period time.Duration) Key {
	return Key{Policy: "read", Subject: "address:203.0.113.7", Rate: Rate{Requests: requests, Period: period}}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{
		"off": {}, "1/1s": {1, time.Second}, "600/1m": {600, time.Minute}, "5/1h30m": {5, 90 * time.Minute}, "1000000/24h": {1_000_000, 24 * time.Hour},
	} {
		got, err := ParseRate(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := ParseRate(got.String())
		require.NoError(t, err, text)
		require.Equal(t, got, again, text)
	}
	for _, text := range []string{"", "600", "/1m", "600/", "600/m", "0/1m", "-1/1m", "1/0s", "1/-1m", "1/500ms", "1/25h", "1000001/1h", "x/1m", "6/1m/1m", "Off", "99999999999999999999/1m"} {
		_, err := ParseRate(text)
		require.Error(t, err, text)
		require.Contains(t, err.Error(), strconv.Quote(text))
	}
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	defaults := Limits{
		"login": {Address: Rate{60, time.Minute}, Account: Rate{20, time.Minute}},
		"read":  {Address: Rate{6000, time.Minute}, Account: Rate{1200, time.Minute}},
	}
	got, err := ParseLimits(defaults, " login:address=20/1m, read:account=off ,")
	require.NoError(t, err)
	require.Equal(t, Limits{
		"login": {Address: Rate{20, time.Minute}, Account: Rate{20, time.Minute}},
		"read":  {Address: Rate{6000, time.Minute}},
	}, got)
	require.Equal(t, 60, defaults["login"].Address.Requests, "the defaults stay")

	got, err = ParseLimits(defaults, "")
	require.NoError(t, err)
	require.Equal(t, defaults, got)

	_, err = ParseLimits(defaults, "logn:address=1/1s, read:addresses=1/1s, read=1/1s, read:account=often")
	require.Error(t, err)
	require.Len(t, strings.Split(err.Error(), "\n"), 4, "all faults at once")
	require.Contains(t, err.Error(), "login, read")
	require.Contains(t, err.Error(), "address nor account")
}

func TestBurstAndRefill(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, l clocked) {
		k := key(3, 3*time.Second)
		for i, want := range []Result{
			{Allowed: true, Remaining: 2, Reset: time.Second},
			{Allowed: true, Remaining: 1, Reset: 2 * time.Second},
			{Allowed: true, Remaining: 0, Reset: 3 * time.Second},
			{Reset: 3 * time.Second, RetryAfter: time.Second},
			{Reset: 3 * time.Second, RetryAfter: time.Second},
		} {
			want.Policy, want.Rate = k.Policy, k.Rate
			require.Equal(t, want, l.Allow(t.Context(), k), i)
		}
		l.set(start.Add(time.Second - time.Microsecond))
		result := l.Allow(t.Context(), k)
		require.False(t, result.Allowed)
		require.Equal(t, time.Microsecond, result.RetryAfter)
		l.set(start.Add(time.Second))
		require.True(t, l.Allow(t.Context(), k).Allowed, "evenly, not all at the end")
		require.False(t, l.Allow(t.Context(), k).Allowed)
		l.set(start.Add(time.Hour))
		require.Equal(t, 2, l.Allow(t.Context(), k).Remaining, "full, and not more than full")
	})
}

func TestRefusalDoesNotExtendTheWait(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, l clocked) {
		k := key(1, 10*time.Second)
		require.True(t, l.Allow(t.Context(), k).Allowed)
		for second := range 10 {
			l.set(start.Add(time.Duration(second) * time.Second))
			for range 20 {
				result := l.Allow(t.Context(), k)
				require.False(t, result.Allowed)
				require.Equal(t, time.Duration(10-second)*time.Second, result.RetryAfter)
			}
		}
		l.set(start.Add(10 * time.Second))
		require.True(t, l.Allow(t.Context(), k).Allowed)
	})
}

func TestSeveralKeysTheTightestAnswers(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, l clocked) {
		address := Key{Policy: "address", Subject: "address:a", Rate: Rate{10, 10 * time.Second}}
		account := Key{Policy: "account", Subject: "account:b", Rate: Rate{2, time.Minute}}
		unlimited := Key{Policy: "none", Subject: "x"}
		result := l.Allow(t.Context(), address, unlimited, account)
		require.Equal(t, "account", result.Policy, "the least share is left of it")
		require.Equal(t, "account", l.Allow(t.Context(), account, address).Policy)
		result = l.Allow(t.Context(), address, account)
		require.False(t, result.Allowed)
		require.Equal(t, "account", result.Policy)
		require.Equal(t, 30*time.Second, result.RetryAfter)
		for l.Allow(t.Context(), address).Allowed {
		}
		result = l.Allow(t.Context(), address, account)
		require.Equal(t, "account", result.Policy, "the longest wait of those that refuse")
		require.Equal(t, 30*time.Second, result.RetryAfter)
	})
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, l clocked) {
		require.Equal(t, Result{Allowed: true}, l.Allow(t.Context()))
		for _, rate := range []Rate{{}, {Requests: 1}, {Period: time.Second}, {Requests: -1, Period: time.Second}} {
			require.Equal(t, Result{Allowed: true}, l.Allow(t.Context(), Key{Policy: "read", Subject: "x", Rate: rate}))
		}
	})
}

func TestSubjectsCountApart(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, l clocked) {
		long := strings.Repeat("x", 10_000)
		for _, subject := range []string{"a", "b", "", "{}", "a\r\nb", long, long + "y"} {
			for _, policy := range []string{"read", "write"} {
				k := Key{Policy: policy, Subject: subject, Rate: Rate{1, time.Minute}}
				require.True(t, l.Allow(t.Context(), k).Allowed, "%.20q", subject)
				require.False(t, l.Allow(t.Context(), k).Allowed, "%.20q", subject)
				require.Less(t, len(k.name()), 100)
			}
		}
	})
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		result        Result
		policy, limit string
	}{
		{Result{Policy: "read", Rate: Rate{600, time.Minute}, Remaining: 599, Reset: 100 * time.Millisecond}, `"read";q=600;w=60`, `"read";r=599;t=1`},
		{Result{Policy: "login", Rate: Rate{1, time.Hour}, Reset: time.Hour}, `"login";q=1;w=3600`, `"login";r=0;t=3600`},
		{Result{Policy: "login", Rate: Rate{1, time.Hour}, Reset: time.Second + 1}, `"login";q=1;w=3600`, `"login";r=0;t=2`},
	} {
		policy, limit := test.result.Headers()
		require.Equal(t, test.policy, policy)
		require.Equal(t, test.limit, limit)
	}
}

// The script and the function agree on random sequences, in a real Redis and in
// the one of make run. The clock that the script reads is put in its place, and what it
// stores lasts a while longer, since that is by the clock of Redis.
func TestScriptIsGCRA(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*redis.Client{
		"redis": client(t, testenv.Redis(t)), "miniredis": client(t, "redis://"+miniredis.RunT(t).Addr()),
	} {
		t.Run(name, func(t *testing.T) {
			const clock, life, longer = "redis.call('TIME')", "math.ceil((next - now) / 1000)", 10 * time.Minute
			require.Contains(t, script, clock)
			require.Contains(t, script, life)
			injected := redis.NewScript(strings.NewReplacer(
				clock, "{ARGV[4], ARGV[5]}", life, life+" + "+strconv.FormatInt(longer.Milliseconds(), 10),
			).Replace(script))
			for seed := range uint64(60) {
				random := rand.New(rand.NewPCG(seed, 1))
				rate := Rate{1 + random.IntN(20), time.Second * time.Duration(1+random.IntN(86_400))}
				if seed%5 == 0 {
					rate = Rate{1 + random.IntN(maxRequests), time.Second + time.Duration(random.Int64N(int64(maxPeriod)))}
				}
				id, tat := "k"+strconv.FormatUint(seed, 10), int64(0)
				now := start.UnixMicro() + random.Int64N(1e6)
				interval := rate.interval()
				for step := range 60 {
					if random.IntN(3) == 0 {
						// About an interval, to the microsecond before and after it too.
						now += max(0, interval+random.Int64N(5)-2)
					} else {
						now += random.Int64N(max(1, interval))
					}
					ahead, err := injected.Run(t.Context(), c, []string{id}, interval, interval*int64(rate.Requests), 1, now/1e6, now%1e6).Int64()
					require.NoError(t, err)
					_, got := gcra(ahead, 0, rate)
					next, want := gcra(tat, now, rate)
					require.Equal(t, want, got, "seed %d, step %d, %s", seed, step, rate)
					if want.Allowed {
						stored, err := c.Get(t.Context(), id).Int64()
						require.NoError(t, err)
						require.Equal(t, next, stored)
						left := c.PTTL(t.Context(), id).Val() - longer
						require.LessOrEqual(t, left, want.Reset+time.Millisecond)
						require.Greater(t, left, want.Reset/2-time.Minute)
					}
					tat = next
				}
				c.Del(t.Context(), id)
			}
		})
	}
}

// What was allowed in any window is at most what the rate says.
func TestNeverMoreThanTheRate(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		rate := Rate{1 + random.IntN(10), time.Second * time.Duration(1+random.IntN(60))}
		var tat int64
		var allowed []int64
		now := start.UnixMicro()
		for range 500 {
			now += random.Int64N(rate.interval())
			var r Result
			if tat, r = gcra(tat, now, rate); r.Allowed {
				allowed = append(allowed, now)
			}
			require.GreaterOrEqual(t, r.Remaining, 0)
			require.Equal(t, r.Allowed, r.RetryAfter == 0)
		}
		for i, from := range allowed {
			for j := i; j < len(allowed); j++ {
				most := int64(rate.Requests) + (allowed[j]-from)/rate.interval()
				if int64(j-i+1) > most {
					t.Fatalf("seed %d: %d within %d µs, %s", seed, j-i+1, allowed[j]-from, rate)
				}
			}
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*Limiter{"local": New(nil), "redis": New(client(t, testenv.Redis(t)))} {
		t.Run(name, func(t *testing.T) {
			k := key(37, time.Hour)
			var allowed atomic.Int64
			var wg sync.WaitGroup
			for range 200 {
				wg.Go(func() {
					if l.Allow(t.Context(), k).Allowed {
						allowed.Add(1)
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, 37, allowed.Load())
		})
	}
}

func TestRedisForgetsTheScript(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	c := client(t, "redis://"+server.Addr())
	l := New(c)
	l.now = func() time.Time { t.Error("counted locally"); return start }
	k := key(5, time.Hour)
	for left := 4; left >= 0; left-- {
		require.NoError(t, c.ScriptFlush(t.Context()).Err())
		require.Equal(t, left, l.Allow(t.Context(), k).Remaining)
	}
	require.False(t, l.Allow(t.Context(), k).Allowed)
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	c := client(t, testenv.Redis(t))
	k := key(2, time.Second)
	require.True(t, New(c).Allow(t.Context(), k).Allowed)
	require.InDelta(t, 500, c.PTTL(t.Context(), k.name()).Val().Milliseconds(), 200)
	require.Eventually(t, func() bool { return c.Exists(t.Context(), k.name()).Val() == 0 }, time.Minute, 20*time.Millisecond)
}

func TestErrorsOfRedisAreLocal(t *testing.T) {
	t.Parallel()
	c := client(t, testenv.Redis(t))
	l := New(c)
	k := key(2, time.Hour)
	require.NoError(t, c.LPush(t.Context(), k.name(), "not ours").Err())
	require.True(t, l.Allow(t.Context(), k).Allowed)
	require.True(t, l.Allow(t.Context(), k).Allowed)
	require.False(t, l.Allow(t.Context(), k).Allowed)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	other := Key{Policy: "write", Subject: "x", Rate: Rate{1, time.Hour}}
	require.True(t, l.Allow(cancelled, other).Allowed)
	require.False(t, l.Allow(cancelled, other).Allowed)
}

func TestRedisKilledUnderLoad(t *testing.T) {
	t.Parallel()
	server, err := localstack.StartRedisServer(t.Context(), t.TempDir())
	require.NoError(t, err)
	conn, err := redisconn.Open(server.URL())
	require.NoError(t, err)
	defer conn.Close()
	l := New(conn)
	k := key(50, time.Hour)
	var allowed, asked atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for ctx.Err() == nil {
				result := l.Allow(t.Context(), k)
				asked.Add(1)
				if result.Allowed {
					allowed.Add(1)
				}
				if result.Policy != "read" || result.Allowed != (result.RetryAfter == 0) {
					t.Error(result)
				}
			}
		})
	}
	// Each waits until many more have asked than are let through.
	asks := func() {
		before := asked.Load()
		require.Eventually(t, func() bool { return asked.Load() > before+200 }, time.Minute, time.Millisecond)
	}
	asks()
	require.EqualValues(t, 50, allowed.Load())
	require.NoError(t, server.Stop(context.WithoutCancel(t.Context())))
	asks()
	cancel()
	wg.Wait()
	require.EqualValues(t, 100, allowed.Load(), "the process began with a quota of its own")
}

func TestLocalMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l := New(nil)
	for i := range 2 * localSubjects {
		l.Local(Key{Policy: "read", Subject: strconv.Itoa(i), Rate: Rate{1, time.Hour}})
	}
	require.LessOrEqual(t, l.local.Len(), localSubjects)
}

// A lowered rate and a clock that was set back lock nobody out for longer than a period.
func TestNoWaitIsLongerThanAPeriod(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, l clocked) {
		require.True(t, l.Allow(t.Context(), key(1, 24*time.Hour)).Allowed)
		result := l.Allow(t.Context(), key(10, time.Minute))
		require.LessOrEqual(t, result.RetryAfter, time.Minute, "the rate was another")
		k := key(2, time.Minute)
		k.Policy = "write"
		require.True(t, l.Allow(t.Context(), k).Allowed)
		l.set(start.Add(-time.Hour))
		require.LessOrEqual(t, l.Allow(t.Context(), k).RetryAfter, time.Minute, "the clock was set back")
	})
}

func BenchmarkAllow(b *testing.B) {
	const forever = 1_000_000
	address := Key{Policy: "read", Subject: "address:203.0.113.7", Rate: Rate{forever, time.Second}}
	account := Key{Policy: "read", Subject: "account:018f4b7e-6c1d-7c3a-9b1e-2f6f3f1f0a55", Rate: Rate{forever, time.Second}}
	for name, l := range map[string]*Limiter{"redis": New(client(b, testenv.Redis(b))), "local": New(nil)} {
		for count, keys := range map[string][]Key{"one": {address}, "two": {address, account}} {
			b.Run(name+"/"+count+"/serial", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					l.Allow(b.Context(), keys...)
				}
			})
			b.Run(name+"/"+count+"/parallel", func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(16)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						l.Allow(b.Context(), keys...)
					}
				})
			})
		}
	}
}

// What EVALSHA saves.
func BenchmarkScript(b *testing.B) {
	c := client(b, testenv.Redis(b))
	s := redis.NewScript(script)
	require.NoError(b, s.Load(b.Context(), c).Err())
	keys := []string{"key"}
	b.Run("evalsha", func(b *testing.B) {
		for b.Loop() {
			s.EvalSha(b.Context(), c, keys, 1, 1_000_000)
		}
	})
	b.Run("eval", func(b *testing.B) {
		for b.Loop() {
			s.Eval(b.Context(), c, keys, 1, 1_000_000)
		}
	})
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			c.Get(b.Context(), "key")
		}
	})
}
