package cache_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/cache"
)

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
