package photo

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What one photo may take is no matter of what runs at the moment: a photo that is
// counted with less than it takes would break the bound on memory.
func TestLimitsDoNotDependOnWhatRuns(t *testing.T) {
	t.Parallel()
	a := newAdmission(64 << 20)
	small, large := a.limit(laneSmall), a.limit(laneLarge)
	require.Equal(t, int64(64<<20), small+large)
	for _, l := range []lane{laneSmall, laneLarge} {
		running := &ticket{account: "ada", lane: l, bytes: a.limit(l) - 1}
		require.NoError(t, a.acquire(t.Context(), running))
		defer a.release(running)
	}
	require.Equal(t, small, a.limit(laneSmall))
	require.Equal(t, large, a.limit(laneLarge))
	require.Equal(t, laneSmall, a.laneOf(1<<20, 1))
}
