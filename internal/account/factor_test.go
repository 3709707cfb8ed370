package account_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// app is a user's authenticator app.
type app struct {
	t      *testing.T
	s      *apptest.Server
	user   *apptest.Client
	secret string
}

// code is what the app shows now.
func (a app) code() string {
	a.t.Helper()
	code, err := totp.GenerateCode(a.secret, time.Now())
	require.NoError(a.t, err)
	return code
}

// next is a code that was not used yet, as if half a minute had gone by.
func (a app) next() string {
	a.t.Helper()
	exec(a.t, a.s, "UPDATE authenticators SET last_step = 0 WHERE user_id = $1", a.user.ID)
	return a.code()
}

// wrong is a code that the app does not show now, nor soon, nor a while ago.
func (a app) wrong() string {
	a.t.Helper()
	var shown []string
	for step := -3; step <= 3; step++ {
		code, err := totp.GenerateCode(a.secret, time.Now().Add(time.Duration(step)*30*time.Second))
		require.NoError(a.t, err)
		shown = append(shown, code)
	}
	for i := 0; ; i++ {
		if code := fmt.Sprintf("%06d", i); !slices.Contains(shown, code) {
			return code
		}
	}
}

func startTotp(t *testing.T, s *apptest.Server, user *apptest.Client) app {
	t.Helper()
	got, err := user.StartTotpWithResponse(context.Background(), api.PasswordConfirmation{Password: apptest.Password})
	require.NoError(t, err)
	require.NotNil(t, got.JSON201, string(got.Body))
	require.Equal(t, "no-store", got.HTTPResponse.Header.Get("Cache-Control"))
	uri, err := url.Parse(got.JSON201.URI)
	require.NoError(t, err)
	require.Equal(t, "otpauth", uri.Scheme)
	require.Equal(t, "/PicASpot:"+user.Username, uri.Path)
	require.Equal(t, got.JSON201.Secret, uri.Query().Get("secret"))
	return app{t, s, user, got.JSON201.Secret}
}

func confirmTotp(t *testing.T, user *apptest.Client, code string) *api.ConfirmTotpResponse {
	t.Helper()
	got, err := user.ConfirmTotpWithResponse(context.Background(), api.TotpConfirmation{Otp: code})
	require.NoError(t, err)
	return got
}

// enrol gives a user a second factor.
func enrol(t *testing.T, s *apptest.Server, user *apptest.Client) (app, []string) {
	t.Helper()
	a := startTotp(t, s, user)
	got := confirmTotp(t, user, a.code())
	require.NotNil(t, got.JSON200, string(got.Body))
	return a, got.JSON200.RecoveryCodes
}

func withOTP(code string) func(*api.LoginRequest) {
	return func(in *api.LoginRequest) { in.Otp = &code }
}

// otpRefused logs in with a code that does not work.
func otpRefused(t *testing.T, s *apptest.Server, user *apptest.Client, code string) {
	t.Helper()
	got := tryLogin(t, s, user.Username, apptest.Password, withOTP(code))
	require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnauthorized, "otp_invalid", got.HTTPResponse, got.Body)))
}

func confirmation(password, code string) api.PasswordConfirmation {
	in := api.PasswordConfirmation{Password: password}
	if code != "" {
		in.Otp = &code
	}
	return in
}

func TestSecondFactorIsAdded(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	ctx := context.Background()
	user := s.User()
	elsewhere := login(t, s, user, nil)

	t.Run("not without the password", func(t *testing.T) {
		got, err := user.StartTotpWithResponse(ctx, api.PasswordConfirmation{Password: wrongPassword})
		require.NoError(t, err)
		require.Equal(t, "/password", pointer(t, refused(t, http.StatusUnprocessableEntity, "password_wrong", got.HTTPResponse, got.Body)))
		confirmed := confirmTotp(t, user, "000000")
		refused(t, http.StatusNotFound, "second_factor_missing", confirmed.HTTPResponse, confirmed.Body)
	})

	replaced := startTotp(t, s, user)
	a := startTotp(t, s, user)
	require.NotEqual(t, replaced.secret, a.secret)

	t.Run("not before a code was confirmed", func(t *testing.T) {
		require.False(t, me(t, user).HasSecondFactor)
		require.True(t, opens(t, s, user.Username, apptest.Password))
		require.True(t, works(t, s, elsewhere.AccessToken))
		for _, code := range []string{a.wrong(), "not-a-code", "k7mx-2q9d-tz4h-w"} {
			got := confirmTotp(t, user, code)
			require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_invalid", got.HTTPResponse, got.Body)))
		}
		if replaced.code() != a.code() {
			got := confirmTotp(t, user, replaced.code())
			refused(t, http.StatusUnprocessableEntity, "otp_invalid", got.HTTPResponse, got.Body)
		}
		response, body := s.Call(user, http.MethodPost, "/api/v1/me/mfa/totp/confirm", "application/json", strings.NewReader(`{"otp":"12345"}`))
		require.Equal(t, "/otp", pointer(t, refused(t, http.StatusBadRequest, "invalid_request", response, body)))
	})

	t.Run("not by half", func(t *testing.T) {
		for _, refusal := range [][2]string{{"UPDATE", "authenticators"}, {"UPDATE", "sessions"}, {"INSERT", "recovery_codes"}, {"UPDATE", "users"}, {"INSERT", "audit_logs"}, {"INSERT", "river_job"}} {
			relent := s.Refuse(refusal[0], refusal[1])
			got := confirmTotp(t, user, a.code())
			relent()
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		}
		require.False(t, me(t, user).HasSecondFactor)
		require.True(t, works(t, s, elsewhere.AccessToken))
	})

	t.Run("with codes for who loses the app", func(t *testing.T) {
		before := me(t, user)
		got := confirmTotp(t, user, a.code())
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, "no-store", got.HTTPResponse.Header.Get("Cache-Control"))
		codes := got.JSON200.RecoveryCodes
		require.Len(t, codes, 10)
		for i, code := range codes {
			require.Regexp(t, `^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{2,4})+$`, code)
			require.NotContains(t, codes[:i], code)
		}
		after := me(t, user)
		require.True(t, after.HasSecondFactor)
		require.True(t, after.UpdatedAt.After(before.UpdatedAt), "it is another version of the account")
		require.True(t, current(t, user).SecondFactor, "this session counts as proven")
		require.False(t, works(t, s, elsewhere.AccessToken), "nobody has proven the others")
		refreshRefused(t, s, *elsewhere.RefreshToken)
		require.Equal(t, 1, events(t, s, user, "second_factor_on"))
		text := notice(t, s, user.Email, "The second factor of your PicASpot account was turned on")
		require.NotContains(t, text, a.secret)
	})

	t.Run("once", func(t *testing.T) {
		got, err := user.StartTotpWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
		require.NoError(t, err)
		refused(t, http.StatusConflict, "second_factor_exists", got.HTTPResponse, got.Body)
		confirmed := confirmTotp(t, user, a.next())
		refused(t, http.StatusConflict, "second_factor_exists", confirmed.HTTPResponse, confirmed.Body)
	})

	t.Run("once, when several begin at once", func(t *testing.T) {
		user := s.User()
		started := make([]*api.StartTotpResponse, 4)
		var wg sync.WaitGroup
		for i := range started {
			wg.Go(func() {
				got, err := user.StartTotpWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
				if err != nil {
					t.Error(err)
				}
				started[i] = got
			})
		}
		wg.Wait()
		good := 0
		for _, got := range started {
			if got.JSON201 == nil {
				refused(t, http.StatusConflict, "second_factor_exists", got.HTTPResponse, got.Body)
				continue
			}
			confirmed := confirmTotp(t, user, app{t, s, user, got.JSON201.Secret}.code())
			if confirmed.JSON200 != nil {
				good++
			}
		}
		require.Equal(t, 1, good)
	})
}

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

func TestRecoveryCodesAreReplaced(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	user := s.User()
	replace := func(by *apptest.Client, password, code string) *api.ReplaceRecoveryCodesResponse {
		got, err := by.ReplaceRecoveryCodesWithResponse(context.Background(), confirmation(password, code))
		require.NoError(t, err)
		return got
	}
	got := replace(user, apptest.Password, "")
	refused(t, http.StatusNotFound, "second_factor_missing", got.HTTPResponse, got.Body)
	a, old := enrol(t, s, user)
	got = replace(user, wrongPassword, a.next())
	refused(t, http.StatusUnprocessableEntity, "password_wrong", got.HTTPResponse, got.Body)
	got = replace(user, apptest.Password, "")
	require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_required", got.HTTPResponse, got.Body)))
	got = replace(user, apptest.Password, a.wrong())
	require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_invalid", got.HTTPResponse, got.Body)))
	require.Equal(t, 2, events(t, s, user, "password_refused"), "a wrong password, and a wrong code")
	relent := s.Refuse("INSERT", "recovery_codes")
	got = replace(user, apptest.Password, a.next())
	relent()
	refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
	login(t, s, user, withOTP(old[0]))

	got = replace(user, apptest.Password, a.next())
	require.NotNil(t, got.JSON200, string(got.Body))
	require.Equal(t, "no-store", got.HTTPResponse.Header.Get("Cache-Control"))
	fresh := got.JSON200.RecoveryCodes
	require.Len(t, fresh, 10)
	otpRefused(t, s, user, old[1])
	login(t, s, user, withOTP(fresh[0]))
	require.Equal(t, 1, events(t, s, user, "recovery_codes_renewed"))
	notice(t, s, user.Email, "New recovery codes were made for your PicASpot account.")
	require.True(t, works(t, s, user.Token))
}

func TestSecondFactorIsRemoved(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	user := s.User()
	remove := func(password, code string) *api.RemoveTotpResponse {
		got, err := user.RemoveTotpWithResponse(context.Background(), confirmation(password, code))
		require.NoError(t, err)
		return got
	}
	got := remove(apptest.Password, "000000")
	refused(t, http.StatusNotFound, "second_factor_missing", got.HTTPResponse, got.Body)
	startTotp(t, s, user)
	got = remove(apptest.Password, "000000")
	refused(t, http.StatusNotFound, "second_factor_missing", got.HTTPResponse, got.Body)
	a, codes := enrol(t, s, user)
	got = remove(wrongPassword, a.next())
	require.Equal(t, "/password", pointer(t, refused(t, http.StatusUnprocessableEntity, "password_wrong", got.HTTPResponse, got.Body)))
	got = remove(apptest.Password, "")
	require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_required", got.HTTPResponse, got.Body)))
	got = remove(apptest.Password, a.wrong())
	require.Equal(t, "/otp", pointer(t, refused(t, http.StatusUnprocessableEntity, "otp_invalid", got.HTTPResponse, got.Body)))
	for _, refusal := range [][2]string{{"DELETE", "authenticators"}, {"DELETE", "recovery_codes"}, {"UPDATE", "sessions"}, {"INSERT", "river_job"}} {
		relent := s.Refuse(refusal[0], refusal[1])
		got = remove(apptest.Password, a.next())
		relent()
		refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
	}
	require.True(t, me(t, user).HasSecondFactor)
	elsewhere := login(t, s, user, withOTP(a.next()))

	got = remove(apptest.Password, codes[0])
	require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
	require.False(t, me(t, user).HasSecondFactor)
	require.False(t, current(t, user).SecondFactor)
	require.True(t, works(t, s, elsewhere.AccessToken))
	require.True(t, opens(t, s, user.Username, apptest.Password))
	require.Zero(t, count(t, s, "SELECT count(*) FROM recovery_codes WHERE user_id = $1", user.ID))
	require.Equal(t, 1, events(t, s, user, "second_factor_off"))
	notice(t, s, user.Email, "The second factor of your PicASpot account was turned off")
	b, _ := enrol(t, s, user)
	require.NotEqual(t, a.secret, b.secret)
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

func TestRoleThatRequiresSecondFactor(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	admin, moderator, user := s.As("admin"), s.As("moderator"), s.User()
	change := func(by *apptest.Client, role string, in api.RoleUpdate, params *api.UpdateRoleParams) *api.UpdateRoleResponse {
		got, err := by.UpdateRoleWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, role, params, in)
		require.NoError(t, err)
		return got
	}
	get := func(by *apptest.Client, role string, params *api.GetRoleParams) *api.GetRoleResponse {
		got, err := by.GetRoleWithResponse(ctx, role, params)
		require.NoError(t, err)
		return got
	}
	strict, lax := api.RoleUpdate{RequiresMfa: ptr(true)}, api.RoleUpdate{RequiresMfa: ptr(false)}
	areas := func(t *testing.T, by *apptest.Client) int {
		t.Helper()
		got, err := by.ListAreasWithResponse(ctx, nil)
		require.NoError(t, err)
		if got.JSON200 == nil {
			refused(t, http.StatusForbidden, "second_factor_required", got.HTTPResponse, got.Body)
		}
		return got.StatusCode()
	}

	t.Run("is for those to say who manage the policy", func(t *testing.T) {
		for _, by := range []*apptest.Client{user, moderator} {
			read := get(by, "moderator", nil)
			refused(t, http.StatusForbidden, "forbidden", read.HTTPResponse, read.Body)
			got := change(by, "moderator", strict, nil)
			refused(t, http.StatusForbidden, "forbidden", got.HTTPResponse, got.Body)
		}
		got := change(s.Anonymous(), "moderator", strict, nil)
		refused(t, http.StatusUnauthorized, "unauthenticated", got.HTTPResponse, got.Body)
		got = change(admin, "captain", strict, nil)
		refused(t, http.StatusNotFound, "not_found", got.HTTPResponse, got.Body)
		read := get(admin, "captain", nil)
		refused(t, http.StatusNotFound, "not_found", read.HTTPResponse, read.Body)
		response, body := s.Call(admin, http.MethodPatch, "/api/v1/admin/roles/moderator", mergeType, strings.NewReader(`{"requires_mfa":"yes"}`))
		require.Equal(t, "/requires_mfa", pointer(t, refused(t, http.StatusBadRequest, "invalid_request", response, body)))
	})

	first := get(admin, "moderator", nil)
	require.NotNil(t, first.JSON200, string(first.Body))
	require.False(t, first.JSON200.RequiresMfa)
	require.Equal(t, http.StatusOK, areas(t, moderator))

	t.Run("holds from the next request on", func(t *testing.T) {
		seen := first.HTTPResponse.Header.Get("ETag")
		got := change(admin, "moderator", strict, &api.UpdateRoleParams{IfMatch: &seen})
		require.NotNil(t, got.JSON200, string(got.Body))
		require.True(t, got.JSON200.RequiresMfa)
		require.Equal(t, http.StatusForbidden, areas(t, moderator))
		require.Equal(t, http.StatusOK, areas(t, user), "others go on")
		require.Equal(t, http.StatusOK, areas(t, admin), "also who inherits from it")

		stale := change(admin, "moderator", lax, &api.UpdateRoleParams{IfMatch: &seen})
		refused(t, http.StatusPreconditionFailed, "version_changed", stale.HTTPResponse, stale.Body)
		tag := got.HTTPResponse.Header.Get("ETag")
		require.Equal(t, http.StatusNotModified, get(admin, "moderator", &api.GetRoleParams{IfNoneMatch: &tag}).StatusCode())
		require.Equal(t, http.StatusOK, get(admin, "moderator", &api.GetRoleParams{IfNoneMatch: &seen}).StatusCode())
	})

	t.Run("lets one look after one's own account", func(t *testing.T) {
		require.Equal(t, "moderator", me(t, moderator).Role)
		require.Len(t, sessions(t, moderator, nil).Items, 1)
		enrol(t, s, moderator)
		require.Equal(t, http.StatusOK, areas(t, moderator), "in the same session")
	})

	t.Run("is not met by a refresh", func(t *testing.T) {
		other := s.As("moderator")
		tokens := login(t, s, other, nil)
		require.Equal(t, http.StatusForbidden, areas(t, withToken(t, s, other, tokens.AccessToken)))
		next := refresh(t, s, *tokens.RefreshToken)
		require.Equal(t, http.StatusForbidden, areas(t, withToken(t, s, other, next.AccessToken)))
	})

	t.Run("asks again once the factor is gone", func(t *testing.T) {
		other := s.As("moderator")
		a, codes := enrol(t, s, other)
		tokens := login(t, s, other, withOTP(a.next()))
		elsewhere := withToken(t, s, other, tokens.AccessToken)
		require.Equal(t, http.StatusOK, areas(t, elsewhere))
		require.Equal(t, http.StatusOK, areas(t, withToken(t, s, other, refresh(t, s, *tokens.RefreshToken).AccessToken)))
		removed, err := other.RemoveTotpWithResponse(ctx, confirmation(apptest.Password, codes[0]))
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, removed.StatusCode(), string(removed.Body))
		require.Equal(t, http.StatusForbidden, areas(t, other))
		require.Equal(t, http.StatusForbidden, areas(t, elsewhere))
	})

	t.Run("until it is lifted", func(t *testing.T) {
		other := s.As("moderator")
		require.Equal(t, http.StatusForbidden, areas(t, other))
		got := change(admin, "moderator", lax, nil)
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, http.StatusOK, areas(t, other))
		again := change(admin, "moderator", lax, nil)
		require.Equal(t, got.HTTPResponse.Header.Get("ETag"), again.HTTPResponse.Header.Get("ETag"), "nothing has changed")
		require.False(t, get(admin, "moderator", nil).JSON200.RequiresMfa)
	})
}
