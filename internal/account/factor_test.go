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
