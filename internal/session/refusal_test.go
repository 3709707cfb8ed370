package session_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/testenv"
)

// A Redis that refuses writes has no mark of a change, and answers what was before it.
func TestChangeWhileRedisRefusesWrites(t *testing.T) {
	t.Parallel()
	for how := range testenv.Refusals {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			f := newFrozen(t)
			b := newBenchOn(t, f.URL())
			writer, knows, reads := b.replica(t), b.replica(t), b.replica(t)
			other := b.logIn(t)
			// One knows the session already, the other one would find it in Redis.
			require.Equal(t, "user", knows.role(t))
			require.Equal(t, "user", knows.role(t))
			_, err := reads.ask(t.Context(), other)
			require.NoError(t, err)

			allow := testenv.RefuseWrites(t, f.URL(), how)
			require.NoError(t, b.switchRole(t.Context(), writer, "admin"))
			for range 3 {
				require.Equal(t, "admin", knows.role(t))
				require.Equal(t, "admin", reads.role(t))
			}
			b.exec(t, "UPDATE sessions SET ended_at = now() WHERE user_id = $1")
			for _, r := range []*replica{knows, reads, writer} {
				_, err := r.ask(t.Context(), b.session)
				require.ErrorIs(t, err, session.ErrEnded)
			}
			allow()
			for range 20 {
				_, err := knows.ask(t.Context(), b.session)
				require.ErrorIs(t, err, session.ErrEnded)
			}
		})
	}
}
