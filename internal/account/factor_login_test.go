package account_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
)

func TestLoginWithSecondFactor(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	user := s.User()
	a, codes := enrol(t, s, user)
	settled(t, s)
	s.Mailbox.Clear("")

	t.Run("needs a code", func(t *testing.T) {
		before := events(t, s, user, "login")
		got := tryLogin(t, s, user.Username, apptest.Password, nil)
		require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnauthorized, "otp_required", got.HTTPResponse, got.Body)))
		require.Nil(t, got.JSON200)
		require.Equal(t, before, events(t, s, user, "login"))
		response, body := s.Call(nil, http.MethodPost, "/api/v1/auth/token", formType, strings.NewReader(url.Values{
			"grant_type": {"password"}, "username": {user.Username}, "password": {apptest.Password},
		}.Encode()))
		require.Equal(t, "invalid_grant", *refused(t, http.StatusUnauthorized, "otp_required", response, body).Error)
	})

	t.Run("of which nobody learns without the password", func(t *testing.T) {
		for _, change := range []func(*api.LoginRequest){nil, withOTP(a.next()), withOTP(codes[9])} {
			got := tryLogin(t, s, user.Username, wrongPassword, change)
			refused(t, http.StatusUnauthorized, "bad_credentials", got.HTTPResponse, got.Body)
		}
	})

	t.Run("that is right", func(t *testing.T) {
		before := count(t, s, "SELECT count(*) FROM audit_logs WHERE action = 'login_failed' AND entity_id = $1", user.ID)
		for _, code := range []string{a.wrong(), "abcdef", "0000-0000-0000-0000"} {
			otpRefused(t, s, user, code)
		}
		require.Equal(t, before+3, count(t, s, "SELECT count(*) FROM audit_logs WHERE action = 'login_failed' AND entity_id = $1", user.ID))
		code := a.next()
		tokens := login(t, s, user, withOTP(code[:3]+" "+code[3:]))
		require.True(t, current(t, withToken(t, s, user, tokens.AccessToken)).SecondFactor)
		require.True(t, works(t, s, refresh(t, s, *tokens.RefreshToken).AccessToken), "to refresh it takes no other")
	})

	t.Run("through OAuth too", func(t *testing.T) {
		response, body := s.Call(nil, http.MethodPost, "/api/v1/auth/token", formType, strings.NewReader(url.Values{
			"grant_type": {"password"}, "username": {user.Username}, "password": {apptest.Password}, "otp": {a.next()},
		}.Encode()))
		require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	})

	t.Run("each code once", func(t *testing.T) {
		code := a.next()
		login(t, s, user, withOTP(code))
		otpRefused(t, s, user, code)
		otpRefused(t, s, user, code[:3]+"-"+code[3:])
	})

	t.Run("each code once, when several use it at once", func(t *testing.T) {
		for _, code := range []string{a.next(), codes[1]} {
			var mu sync.Mutex
			statuses := map[int]int{}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					got, err := s.Anonymous().LoginWithResponse(context.Background(), api.LoginRequest{Identifier: user.Username, Password: apptest.Password, Otp: &code})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					statuses[got.StatusCode()]++
				})
			}
			wg.Wait()
			require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusUnauthorized: 3}, statuses)
		}
	})

	t.Run("or a recovery code, once, of which the owner hears", func(t *testing.T) {
		settled(t, s)
		s.Mailbox.Clear("")
		before := events(t, s, user, "recovery_code_used")
		tokens := login(t, s, user, withOTP(strings.ToUpper(strings.ReplaceAll(codes[0], "-", " "))))
		require.True(t, current(t, withToken(t, s, user, tokens.AccessToken)).SecondFactor)
		otpRefused(t, s, user, codes[0])
		require.Equal(t, before+1, events(t, s, user, "recovery_code_used"))
		require.NotContains(t, notice(t, s, user.Email, "A recovery code of your PicASpot account was used."), codes[0])
		settled(t, s)
		require.Len(t, s.Mailbox.Mails(user.Email), 1)
		login(t, s, user, withOTP(codes[2]))
	})

	t.Run("of one's own", func(t *testing.T) {
		other := s.User()
		_, foreign := enrol(t, s, other)
		otpRefused(t, s, user, foreign[0])
		login(t, s, other, withOTP(foreign[0]))
	})

	t.Run("which is not used up by a login that fails", func(t *testing.T) {
		for _, code := range []string{a.next(), codes[3]} {
			relent := s.Refuse("INSERT", "sessions")
			got := tryLogin(t, s, user.Username, apptest.Password, withOTP(code))
			relent()
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
			login(t, s, user, withOTP(code))
		}
	})

	t.Run("also after a new password", func(t *testing.T) {
		got := reset(t, s, resetLink(t, s, user.Email), nextPassword)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		tried := tryLogin(t, s, user.Username, nextPassword, nil)
		refused(t, http.StatusUnauthorized, "otp_required", tried.HTTPResponse, tried.Body)
		tried = tryLogin(t, s, user.Username, nextPassword, withOTP(a.next()))
		require.NotNil(t, tried.JSON200, string(tried.Body))
	})
}

func TestCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, apptest.WithLimits("otp:account=5/1h"), behindProxy)
	ctx := context.Background()
	try := func(user *apptest.Client, code, address string) *api.LoginResponse {
		return tryLogin(t, s, user.Username, apptest.Password, withOTP(code), from(address))
	}
	// guessed makes an account with a session at home, whose strangers have used up what
	// they may try.
	guessed := func(t *testing.T) (*apptest.Client, app, []string) {
		t.Helper()
		user := person(t, s, "guessed-"+strings.ToLower(rand.Text()[:8]))
		tokens := login(t, s, user, nil, from(home))
		owner := withToken(t, s, user, tokens.AccessToken)
		a, codes := enrol(t, s, owner)
		for i := range 5 {
			got := try(owner, a.wrong(), fmt.Sprintf("198.51.100.%d", i))
			refused(t, http.StatusUnauthorized, "otp_invalid", got.HTTPResponse, got.Body)
		}
		return owner, a, codes
	}

	t.Run("by strangers, wherever they are", func(t *testing.T) {
		other := s.User()
		b, _ := enrol(t, s, other)
		owner, a, _ := guessed(t)
		got := tryLogin(t, s, owner.Username, apptest.Password, nil, from(stranger))
		refused(t, http.StatusUnauthorized, "otp_required", got.HTTPResponse, got.Body)
		for _, code := range []string{a.next(), a.wrong()} {
			got := try(owner, code, stranger)
			refused(t, http.StatusTooManyRequests, "too_many_attempts", got.HTTPResponse, got.Body)
			require.NotEmpty(t, got.HTTPResponse.Header.Get("Retry-After"))
		}
		login(t, s, other, withOTP(b.next()))
	})

	t.Run("which does not lock the owner out at home", func(t *testing.T) {
		owner, a, _ := guessed(t)
		got := try(owner, a.next(), home)
		require.NotNil(t, got.JSON200, string(got.Body))
		for range 4 {
			got := try(owner, a.wrong(), home)
			refused(t, http.StatusUnauthorized, "otp_invalid", got.HTTPResponse, got.Body)
		}
		got = try(owner, a.next(), home)
		refused(t, http.StatusTooManyRequests, "too_many_attempts", got.HTTPResponse, got.Body)
	})

	t.Run("nor with a recovery code", func(t *testing.T) {
		owner, _, codes := guessed(t)
		for range 6 {
			got := try(owner, "k7mx-2q9d-tz4h-w8ce-3fjb-n5rv-p6", stranger)
			refused(t, http.StatusUnauthorized, "otp_invalid", got.HTTPResponse, got.Body)
		}
		got := try(owner, codes[0], stranger)
		require.NotNil(t, got.JSON200, string(got.Body))
	})

	t.Run("nor in a session, each of which has a rate of its own", func(t *testing.T) {
		owner, a, codes := guessed(t)
		elsewhere := withToken(t, s, owner, login(t, s, owner, withOTP(codes[0])).AccessToken)
		remove := func(by *apptest.Client, code string) *api.RemoveTotpResponse {
			got, err := by.RemoveTotpWithResponse(ctx, confirmation(apptest.Password, code), from(stranger))
			require.NoError(t, err)
			return got
		}
		for range 5 {
			got := remove(elsewhere, a.wrong())
			refused(t, http.StatusUnprocessableEntity, "otp_invalid", got.HTTPResponse, got.Body)
		}
		got := remove(elsewhere, a.next())
		refused(t, http.StatusTooManyRequests, "too_many_attempts", got.HTTPResponse, got.Body)
		deleted, err := elsewhere.DeleteMeWithResponse(ctx, confirmation(apptest.Password, a.next()))
		require.NoError(t, err)
		refused(t, http.StatusTooManyRequests, "too_many_attempts", deleted.HTTPResponse, deleted.Body)
		changed, err := owner.ChangePasswordWithResponse(ctx, api.PasswordChange{
			CurrentPassword: apptest.Password, Password: nextPassword, Otp: ptr(a.next()),
		}, from(stranger))
		noContent(t, err, changed)
	})

	t.Run("of which the owner is told once", func(t *testing.T) {
		owner, a, _ := guessed(t)
		for range 2 {
			try(owner, a.wrong(), stranger)
		}
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM audit_logs WHERE action = 'codes_guessed' AND entity_id = $1", owner.ID))
		work(t, s, account.MailArgs{}.Kind(), s.Accounts.SendMail)
		notice(t, s, owner.Email, "Wrong codes were entered for the second factor of your PicASpot account")
		told := 0
		for _, mail := range s.Mailbox.Mails(owner.Email) {
			if strings.Contains(mail.Text, "Wrong codes were entered") {
				told++
			}
		}
		require.Equal(t, 1, told)
	})

	t.Run("of which the owner is told when they are guessed slowly", func(t *testing.T) {
		user := person(t, s, "slowly")
		owner := withToken(t, s, user, login(t, s, user, nil, from(home)).AccessToken)
		a, _ := enrol(t, s, owner)
		for i := range 4 { // Fewer than are taken at once.
			require.Zero(t, count(t, s, "SELECT count(*) FROM audit_logs WHERE action = 'codes_guessed' AND entity_id = $1", owner.ID), i)
			try(owner, a.wrong(), stranger)
		}
		require.Equal(t, 1, count(t, s, "SELECT count(*) FROM audit_logs WHERE action = 'codes_guessed' AND entity_id = $1", owner.ID))
	})
}

func TestSecondFactorGuardsTheAccount(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	ctx := context.Background()
	user := s.User()
	a, codes := enrol(t, s, user)
	for name, do := range map[string]func(code *string) (*http.Response, []byte){
		"its password": func(code *string) (*http.Response, []byte) {
			got, err := user.ChangePasswordWithResponse(ctx, api.PasswordChange{CurrentPassword: apptest.Password, Password: nextPassword, Otp: code})
			require.NoError(t, err)
			return got.HTTPResponse, got.Body
		},
		"its address": func(code *string) (*http.Response, []byte) {
			got, err := user.ChangeEmailWithResponse(ctx, api.EmailChange{Email: "lovelace@example.org", Password: apptest.Password, Otp: code})
			require.NoError(t, err)
			return got.HTTPResponse, got.Body
		},
		"its recovery codes": func(code *string) (*http.Response, []byte) {
			got, err := user.ReplaceRecoveryCodesWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password, Otp: code})
			require.NoError(t, err)
			return got.HTTPResponse, got.Body
		},
		"its end": func(code *string) (*http.Response, []byte) {
			got, err := user.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password, Otp: code})
			require.NoError(t, err)
			return got.HTTPResponse, got.Body
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := events(t, s, user, "password_refused")
			response, body := do(nil)
			require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_required", response, body)))
			require.Equal(t, before, events(t, s, user, "password_refused"))
			response, body = do(ptr(a.wrong()))
			require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_invalid", response, body)))
			require.Equal(t, before+1, events(t, s, user, "password_refused"), "a wrong code is on record")
		})
	}
	settled(t, s)
	require.Empty(t, s.Mailbox.Mails("lovelace@example.org"))
	require.True(t, works(t, s, user.Token))
	login(t, s, user, withOTP(codes[0]))

	changed, err := user.ChangeEmailWithResponse(ctx, api.EmailChange{Email: "lovelace@example.org", Password: apptest.Password, Otp: ptr(a.next())})
	require.NoError(t, err)
	require.NotNil(t, changed.JSON202, string(changed.Body))
	linkTo(t, s, "/verify-email", "lovelace@example.org")
	got, err := user.ChangePasswordWithResponse(ctx, api.PasswordChange{CurrentPassword: apptest.Password, Password: nextPassword, Otp: ptr(a.next())})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
}
