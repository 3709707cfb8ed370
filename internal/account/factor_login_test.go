package account_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
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
	user, other := s.User(), s.User()
	a, codes := enrol(t, s, user)
	b, _ := enrol(t, s, other)
	for i := range 4 {
		address := fmt.Sprintf("203.0.113.%d", i)
		got := tryLogin(t, s, user.Username, apptest.Password, withOTP(a.wrong()), from(address))
		refused(t, http.StatusUnauthorized, "otp_invalid", got.HTTPResponse, got.Body)
	}
	got := tryLogin(t, s, user.Username, apptest.Password, nil)
	refused(t, http.StatusUnauthorized, "otp_required", got.HTTPResponse, got.Body)
	changed, err := user.RemoveTotpWithResponse(ctx, confirmation(apptest.Password, a.wrong()))
	require.NoError(t, err)
	refused(t, http.StatusUnprocessableEntity, "otp_invalid", changed.HTTPResponse, changed.Body)

	for _, code := range []string{a.next(), a.wrong(), codes[0]} {
		got := tryLogin(t, s, user.Username, apptest.Password, withOTP(code), from("203.0.113.9"))
		refused(t, http.StatusTooManyRequests, "too_many_attempts", got.HTTPResponse, got.Body)
		require.NotEmpty(t, got.HTTPResponse.Header.Get("Retry-After"))
		removed, err := user.RemoveTotpWithResponse(ctx, confirmation(apptest.Password, code))
		require.NoError(t, err)
		refused(t, http.StatusTooManyRequests, "too_many_attempts", removed.HTTPResponse, removed.Body)
		deleted, err := user.DeleteMeWithResponse(ctx, confirmation(apptest.Password, code))
		require.NoError(t, err)
		refused(t, http.StatusTooManyRequests, "too_many_attempts", deleted.HTTPResponse, deleted.Body)
	}
	require.True(t, works(t, s, user.Token))
	login(t, s, other, withOTP(b.next()))
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
