package ratelimit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A rate that was lowered or a clock that was set back: who waits as long as
// they are told gets in.
func TestNobodyIsLockedOutForLongerThanTold(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, l clocked) {
		require.True(t, l.Allow(t.Context(), key(1, 24*time.Hour)).Allowed)
		result := l.Allow(t.Context(), key(10, time.Minute))
		require.False(t, result.Allowed)
		require.Equal(t, 6*time.Second, result.RetryAfter)
		require.Equal(t, result, l.Allow(t.Context(), key(10, time.Minute)))
		l.set(start.Add(result.RetryAfter))
		require.True(t, l.Allow(t.Context(), key(10, time.Minute)).Allowed, "the rate was another")

		k := key(2, time.Minute)
		k.Policy = "write"
		require.True(t, l.Allow(t.Context(), k).Allowed)
		l.set(start.Add(-time.Hour))
		result = l.Allow(t.Context(), k)
		require.False(t, result.Allowed)
		l.set(start.Add(-time.Hour + result.RetryAfter))
		require.True(t, l.Allow(t.Context(), k).Allowed, "the clock was set back")
	})
}

// A period that is no whole number of seconds is announced as a longer one.
func TestHeadersRoundUp(t *testing.T) {
	t.Parallel()
	policy, limit := Result{Policy: "read", Rate: Rate{3, 1500 * time.Millisecond}, Remaining: 2, Reset: 500 * time.Millisecond}.Headers()
	require.Equal(t, `"read";q=3;w=2`, policy)
	require.Equal(t, `"read";r=2;t=1`, limit)
}
