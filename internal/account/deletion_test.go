package account_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
)

func TestAccountIsDeleted(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	user := s.User()
	a, codes := enrol(t, s, user)
	elsewhere := login(t, s, user, withOTP(a.next()))
	remove := func(in api.PasswordConfirmation) *api.DeleteMeResponse {
		got, err := user.DeleteMeWithResponse(context.Background(), in)
		require.NoError(t, err)
		return got
	}

	t.Run("not without the password and a code", func(t *testing.T) {
		got := remove(confirmation(wrongPassword, a.next()))
		require.Equal(t, "/password", pointer(t, refused(t, http.StatusUnprocessableEntity, "password_wrong", got.HTTPResponse, got.Body)))
		got = remove(confirmation(apptest.Password, ""))
		require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_required", got.HTTPResponse, got.Body)))
		got = remove(confirmation(apptest.Password, a.wrong()))
		require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_invalid", got.HTTPResponse, got.Body)))
		response, body := s.Call(user, http.MethodDelete, "/api/v1/me", "", nil)
		apptest.Problem(t, http.StatusBadRequest, response, body)
	})

	t.Run("not by half", func(t *testing.T) {
		for _, refusal := range [][2]string{{"UPDATE", "users"}, {"UPDATE", "sessions"}, {"INSERT", "audit_logs"}, {"INSERT", "river_job"}} {
			relent := s.Refuse(refusal[0], refusal[1])
			got := remove(confirmation(apptest.Password, codes[0]))
			relent()
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		}
		require.True(t, works(t, s, elsewhere.AccessToken))
	})

	t.Run("at once", func(t *testing.T) {
		got := remove(confirmation(apptest.Password, codes[0]))
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		for _, access := range []string{user.Token, elsewhere.AccessToken} {
			require.False(t, works(t, s, access))
		}
		refreshRefused(t, s, *elsewhere.RefreshToken)
		require.False(t, opens(t, s, user.Username, wrongPassword))
		asked := tryLogin(t, s, user.Username, apptest.Password, nil)
		refused(t, http.StatusUnauthorized, "otp_required", asked.HTTPResponse, asked.Body)
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM users WHERE id = $1 AND deleted_by = id", user.ID), "that alone brings nothing back")
		require.Equal(t, 1, events(t, s, user, "delete"))
		notice(t, s, user.Email, "Your PicASpot account was deleted.")
	})

	t.Run("so that its name and its address are free", func(t *testing.T) {
		s.Mailbox.Clear("")
		register(t, s, user.Username, user.Email)
		require.Equal(t, http.StatusNoContent, follow(t, s, linkTo(t, s, "/verify-email", user.Email)).StatusCode())
		tokens := tryLogin(t, s, user.Username, apptest.Password, nil)
		require.NotNil(t, tokens.JSON200, "it is another account, without a second factor")
		require.NotEqual(t, user.ID, me(t, withToken(t, s, user, tokens.JSON200.AccessToken)).ID)
		require.False(t, works(t, s, user.Token))
	})
}

func TestAccountComesBack(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	ctx := context.Background()
	deleted := func(t *testing.T) *apptest.Client {
		t.Helper()
		user := s.User()
		got, err := user.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		return user
	}

	t.Run("by a login", func(t *testing.T) {
		user := deleted(t)
		for _, password := range []string{wrongPassword, nextPassword} {
			require.False(t, opens(t, s, user.Username, password))
		}
		tokens := login(t, s, user, nil)
		require.Equal(t, user.ID, me(t, withToken(t, s, user, tokens.AccessToken)).ID)
		require.False(t, works(t, s, user.Token), "the sessions from before do not")
		require.Equal(t, 1, events(t, s, user, "restore"))
		notice(t, s, user.Email, "your deleted PicASpot account, and so it is back")
		require.True(t, opens(t, s, user.Email, apptest.Password))
		require.Equal(t, 1, events(t, s, user, "restore"))
	})

	t.Run("once, when two do so at once", func(t *testing.T) {
		user := deleted(t)
		statuses := make([]int, 4)
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() {
				got, err := s.Anonymous().LoginWithResponse(ctx, api.LoginRequest{Identifier: user.Username, Password: apptest.Password})
				if err != nil {
					t.Error(err)
					return
				}
				statuses[i] = got.StatusCode()
			})
		}
		wg.Wait()
		require.Equal(t, []int{200, 200, 200, 200}, statuses)
		require.Equal(t, 1, events(t, s, user, "restore"))
	})

	t.Run("not too late", func(t *testing.T) {
		user := deleted(t)
		exec(t, s, "UPDATE users SET deleted_at = $2 WHERE id = $1", user.ID, time.Now().Add(-s.Config.TrashRetention))
		require.False(t, opens(t, s, user.Username, apptest.Password))
	})

	t.Run("not in the place of another", func(t *testing.T) {
		user := deleted(t)
		_, err := s.Accounts.Create(ctx, account.Registration{Username: user.Username, Email: "successor@example.org", Password: nextPassword}, "user")
		require.NoError(t, err)
		require.False(t, opens(t, s, user.Username, apptest.Password))
		require.False(t, opens(t, s, user.Email, apptest.Password))
		require.True(t, opens(t, s, user.Username, nextPassword))
	})

	t.Run("not while it is suspended", func(t *testing.T) {
		user := deleted(t)
		exec(t, s, "UPDATE users SET status = 'suspended' WHERE id = $1", user.ID)
		require.False(t, opens(t, s, user.Username, apptest.Password))
	})

	t.Run("not by half", func(t *testing.T) {
		user := deleted(t)
		for _, refusal := range [][2]string{{"UPDATE", "users"}, {"INSERT", "sessions"}} {
			relent := s.Refuse(refusal[0], refusal[1])
			got := tryLogin(t, s, user.Username, apptest.Password, nil)
			relent()
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		}
		require.Zero(t, events(t, s, user, "restore"))
		login(t, s, user, nil)
	})

	t.Run("not by a new password", func(t *testing.T) {
		user := deleted(t)
		askForReset(t, s, user.Email)
		settled(t, s)
		require.Len(t, s.Mailbox.Mails(user.Email), 1, "only that it was deleted")
	})
}
