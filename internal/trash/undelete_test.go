package trash_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/store"
)

// code is what an authenticator app shows at a step (RFC 6238).
func code(t *testing.T, secret string, step int64) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	require.NoError(t, err)
	mac := hmac.New(sha1.New, key)
	require.NoError(t, binary.Write(mac, binary.BigEndian, step))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:at+4])&0x7fffffff%1_000_000)
}

func (b *bundle) login(identifier, password, otp string) *api.LoginResponse {
	b.t.Helper()
	in := api.LoginRequest{Identifier: identifier, Password: password}
	if otp != "" {
		in.Otp = &otp
	}
	got, err := b.Anonymous().LoginWithResponse(b.ctx, in)
	require.NoError(b.t, err)
	return got
}

func (b *bundle) refused(got *api.LoginResponse, code string) {
	b.t.Helper()
	require.Equal(b.t, "/problems/"+code, apptest.Problem(b.t, http.StatusUnauthorized, got.HTTPResponse, got.Body).Type)
}

// deleted reports whether an account is in the trash.
func (b *bundle) deleted(user *apptest.Client) bool {
	b.t.Helper()
	return b.count("users WHERE id = $1 AND deleted_at IS NOT NULL", user.ID) == 1
}

func TestUndeleteByLogin(t *testing.T) {
	t.Parallel()

	t.Run("brings the account back and tells its owner", func(t *testing.T) {
		t.Parallel()
		b := of(t, apptest.New(t))
		user := b.User()
		b.put(user, "/api/v1/me/avatar")
		b.deleteMe(user)
		b.refused(b.login(user.Username, "four otters in the rain", ""), "bad_credentials")
		require.True(t, b.deleted(user))

		got := b.login(strings.ToUpper(user.Email), apptest.Password, "")
		require.NotNil(t, got.JSON200, string(got.Body))
		require.False(t, b.deleted(user))
		back := b.LogIn(user.ID, user.Username, user.Email)
		profile, err := back.GetMeWithResponse(b.ctx, nil)
		require.NoError(t, err)
		require.False(t, profile.JSON200.Avatar.IsNull(), "with all that it had")
		require.Equal(t, 1, b.count("audit_logs WHERE action = 'restore' AND entity_type = 'user' AND entity_id = $1 AND actor_id = $1", user.ID))
		require.Eventually(t, func() bool {
			for _, m := range b.Mailbox.Mails(user.Email) {
				if strings.Contains(m.Text, "so it is back as it was") {
					return true
				}
			}
			return false
		}, 30*time.Second, 10*time.Millisecond)
		require.Empty(t, b.list(b.admin, nil).Items)
	})

	t.Run("needs the second factor too", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user := b.User()
		started, err := user.StartTotpWithResponse(b.ctx, api.PasswordConfirmation{Password: apptest.Password})
		require.NoError(t, err)
		require.NotNil(t, started.JSON201, string(started.Body))
		step := time.Now().Unix() / 30
		confirmed, err := user.ConfirmTotpWithResponse(b.ctx, api.TotpConfirmation{Otp: code(t, started.JSON201.Secret, step-1)})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, confirmed.StatusCode(), string(confirmed.Body))
		now := code(t, started.JSON201.Secret, step)
		left, err := user.DeleteMeWithResponse(b.ctx, api.PasswordConfirmation{Password: apptest.Password, Otp: &now})
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, left.StatusCode(), string(left.Body))

		b.refused(b.login(user.Username, apptest.Password, ""), "otp_required")
		b.refused(b.login(user.Username, apptest.Password, now), "otp_invalid") // Used for the deletion.
		require.True(t, b.deleted(user))
		got := b.login(user.Username, apptest.Password, code(t, started.JSON201.Secret, step+1))
		require.NotNil(t, got.JSON200, string(got.Body))
		require.False(t, b.deleted(user))
	})

	t.Run("does not when the name or the address is taken", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		named, addressed := b.User(), b.User()
		b.deleteMe(named)
		b.deleteMe(addressed)
		other, another := b.User(), b.User()
		b.exec("UPDATE users SET username = $2 WHERE id = $1", other.ID, named.Username)
		b.exec("UPDATE users SET email = $2 WHERE id = $1", another.ID, addressed.Email)
		b.exec("UPDATE users SET password_hash = 'x' WHERE id = ANY($1)", []any{other.ID, another.ID})
		for _, identifier := range []string{named.Email, addressed.Username} {
			failures := b.count("audit_logs WHERE action = 'login_failed'")
			b.refused(b.login(identifier, apptest.Password, ""), "bad_credentials")
			require.Equal(t, failures+1, b.count("audit_logs WHERE action = 'login_failed'"))
		}
		require.True(t, b.deleted(named) && b.deleted(addressed))
		require.Zero(t, b.count("sessions WHERE user_id = $1 AND ended_at IS NULL", named.ID))
	})

	t.Run("does not after the retention", func(t *testing.T) {
		t.Parallel()
		b := setup(t, retention(time.Hour))
		user := b.User()
		b.deleteMe(user)
		b.exec("UPDATE users SET deleted_at = now() - interval '61 minutes' WHERE id = $1", user.ID)
		b.refused(b.login(user.Username, apptest.Password, ""), "bad_credentials")
		b.exec("UPDATE users SET deleted_at = now() - interval '59 minutes' WHERE id = $1", user.ID)
		require.NotNil(t, b.login(user.Username, apptest.Password, "").JSON200)
	})

	t.Run("does not when somebody else deleted it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user, unknown := b.User(), b.User()
		require.NoError(t, b.Store.InTx(mixin.WithDeletion(as(b.admin)), func(ctx context.Context, tx *store.Tx) error {
			return tx.User.DeleteOneID(user.ID).Exec(ctx)
		}))
		b.deleteMe(unknown)
		b.exec("UPDATE users SET deleted_by = NULL WHERE id = $1", unknown.ID)
		b.refused(b.login(user.Username, apptest.Password, ""), "bad_credentials")
		b.refused(b.login(unknown.Username, apptest.Password, ""), "bad_credentials")
		require.NotNil(t, b.restoreUser(user.ID).JSON200)
		require.NotNil(t, b.login(user.Username, apptest.Password, "").JSON200)
	})

	t.Run("does not while it is suspended", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user := b.User()
		b.deleteMe(user)
		b.exec("UPDATE users SET status = 'suspended' WHERE id = $1", user.ID)
		b.refused(b.login(user.Username, apptest.Password, ""), "bad_credentials")
		require.True(t, b.deleted(user))
	})

	t.Run("takes the one that was deleted last", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first, last := b.User(), b.User()
		b.deleteMe(first)
		b.exec("UPDATE users SET username = $2 WHERE id = $1", last.ID, first.Username)
		b.deleteMe(last)
		require.NotNil(t, b.login(first.Username, apptest.Password, "").JSON200)
		require.True(t, b.deleted(first))
		require.False(t, b.deleted(last))
	})

	t.Run("once, whoever logs in at the same time", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user := b.User()
		b.deleteMe(user)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				got, err := b.Anonymous().LoginWithResponse(b.ctx, api.LoginRequest{Identifier: user.Username, Password: apptest.Password})
				if err != nil || got.JSON200 == nil {
					t.Error("each is let in", err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, b.count("audit_logs WHERE action = 'restore'"))
		require.Equal(t, 1, b.count("river_job WHERE args->>'event' = 'account_restored'"))
	})
}
