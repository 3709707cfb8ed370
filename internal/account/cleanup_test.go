package account_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/store"
)

func TestCleanUp(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	cleanUp := func(t *testing.T) {
		t.Helper()
		require.NoError(t, s.Accounts.CleanUp(ctx))
	}

	t.Run("removes sessions that ended long ago", func(t *testing.T) {
		user := s.User()
		const ofUser = "SELECT count(*) FROM sessions WHERE user_id = $1"
		for _, when := range []string{
			"ended_at = now() - interval '91 days'", "ended_at = now() - interval '89 days'",
			"expires_at = now() - interval '91 days'", "expires_at = now() - interval '89 days'",
			"idle_expires_at = now() - interval '91 days'", "idle_expires_at = now() - interval '89 days'",
		} {
			login(t, s, user, nil)
			exec(t, s, "UPDATE sessions SET "+when+" WHERE id = (SELECT id FROM sessions WHERE user_id = $1 ORDER BY created_at DESC LIMIT 1)", user.ID)
		}
		require.Equal(t, 7, count(t, s, ofUser, user.ID))
		cleanUp(t)
		require.Equal(t, 4, count(t, s, ofUser, user.ID))
		require.True(t, works(t, s, user.Token))
	})

	t.Run("removes links that nobody can follow any more", func(t *testing.T) {
		user := s.User()
		exec(t, s, `INSERT INTO mail_tokens (id, created_at, updated_at, user_id, purpose, email, token_hash, expires_at, used_at)
			SELECT gen_random_uuid(), now(), now(), $1, 'reset_password', $2, decode(md5(i::text), 'hex'), now() - i * interval '1 day', CASE WHEN i < 91 THEN now() END
			FROM generate_series(88, 93) AS i`, user.ID, user.Email)
		cleanUp(t)
		require.Equal(t, 2, count(t, s, "SELECT count(*) FROM mail_tokens WHERE user_id = $1 AND expires_at > now() - interval '90 days'", user.ID))
		require.Equal(t, 2, count(t, s, "SELECT count(*) FROM mail_tokens WHERE user_id = $1", user.ID))
	})

	t.Run("removes registrations that nobody proved, and frees their names", func(t *testing.T) {
		old, young, proven := "ada", "grace", s.User()
		register(t, s, old, "ada@example.org")
		register(t, s, young, "grace@example.org")
		exec(t, s, "UPDATE users SET created_at = now() - interval '169 hours' WHERE username IN ($1, $2)", old, proven.Username)
		exec(t, s, "UPDATE users SET created_at = now() - interval '167 hours' WHERE username = $1", young)
		user, err := s.Accounts.FindByEmail(ctx, "ada@example.org")
		require.NoError(t, err)
		require.NoError(t, s.Accounts.SendMail(ctx, account.MailArgs{Template: "verify_email", To: user.Email, Username: old, UserID: &user.ID}))
		link := linkTo(t, s, "/verify-email", user.Email)

		cleanUp(t)
		require.Zero(t, count(t, s, "SELECT count(*) FROM users WHERE username = $1", old), "for good, not as a deletion")
		require.Zero(t, count(t, s, "SELECT count(*) FROM mail_tokens WHERE user_id = $1", user.ID))
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM users WHERE username = $1", young))
		require.True(t, works(t, s, proven.Token))
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM audit_logs WHERE action = 'purge' AND entity_id = $1", user.ID))
		got := follow(t, s, link)
		refused(t, http.StatusUnprocessableEntity, "mail_token_invalid", got.HTTPResponse, got.Body)

		register(t, s, old, "ada@example.org")
		again, err := s.Accounts.FindByEmail(ctx, "ada@example.org")
		require.NoError(t, err)
		require.NotEqual(t, user.ID, again.ID)
	})

	t.Run("takes as many rounds as it needs", func(t *testing.T) {
		user := s.User()
		exec(t, s, `INSERT INTO sessions (id, created_at, updated_at, user_id, refresh_hash, last_used_at, idle_expires_at, expires_at)
			SELECT gen_random_uuid(), now(), now(), $1, '\x00', now(), now() - interval '91 days', now() FROM generate_series(1, 2500)`, user.ID)
		cleanUp(t)
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM sessions WHERE user_id = $1", user.ID))
	})

	t.Run("says when it could not", func(t *testing.T) {
		exec(t, s, "UPDATE sessions SET ended_at = now() - interval '91 days'")
		relent := s.Refuse("DELETE", "sessions")
		require.ErrorContains(t, s.Accounts.CleanUp(ctx), "clean up accounts")
		relent()
		cleanUp(t)
		require.Zero(t, count(t, s, "SELECT count(*) FROM sessions"))
	})
}

func TestCleanUpIsAJob(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	ctx := context.Background()
	login(t, s, s.User(), nil)
	exec(t, s, "UPDATE sessions SET ended_at = now() - interval '91 days'")
	require.NoError(t, s.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.Enqueue(ctx, account.CleanUpArgs{}, nil)
	}))
	require.Eventually(t, func() bool { return count(t, s, "SELECT count(*) FROM sessions") == 0 }, 30*time.Second, 10*time.Millisecond, "nobody cleans up")
}
