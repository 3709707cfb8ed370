package cache_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/testenv"
)

// A Redis that refuses writes has no new generations, and answers the old ones.
func TestChangeWhileRedisRefusesWrites(t *testing.T) {
	t.Parallel()
	for how := range testenv.Refusals {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			writer, _ := replica(t, s.url())
			knows, _ := replica(t, s.url())
			finds, _ := replica(t, s.url())
			w := &world{}
			w.values[1].Store(1)
			require.EqualValues(t, 1, mustRead(t, w, writer, 1))
			require.EqualValues(t, 1, mustRead(t, w, knows, 1))
			before := w.asked.Load()
			require.EqualValues(t, 1, mustRead(t, w, knows, 1))
			require.Equal(t, before, w.asked.Load(), "it is a copy")

			allow := testenv.RefuseWrites(t, s.url(), how)
			w.write(t.Context(), writer, 1, 2)
			require.EqualValues(t, 2, mustRead(t, w, knows, 1))
			require.EqualValues(t, 2, mustRead(t, w, finds, 1), "not the copy in Redis either")
			w.write(t.Context(), writer, 1, 3)
			require.EqualValues(t, 3, mustRead(t, w, knows, 1))
			allow()
			require.Eventually(t, func() bool {
				require.EqualValues(t, 3, mustRead(t, w, knows, 1))
				before := w.asked.Load()
				require.EqualValues(t, 3, mustRead(t, w, knows, 1))
				return w.asked.Load() == before
			}, soon, often, "copies are kept again")
		})
	}
}
