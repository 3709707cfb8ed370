package account_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/oapi-codegen/runtime/types"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/version"
)

// opens reports whether a password is good for a login.
func opens(t *testing.T, s *apptest.Server, identifier, password string) bool {
	t.Helper()
	got := tryLogin(t, s, identifier, password, nil)
	if got.JSON200 == nil {
		refused(t, http.StatusUnauthorized, "bad_credentials", got.HTTPResponse, got.Body)
	}
	return got.JSON200 != nil
}

func changePassword(t *testing.T, by *apptest.Client, current, next string) *api.ChangePasswordResponse {
	t.Helper()
	got, err := by.ChangePasswordWithResponse(context.Background(), api.PasswordChange{CurrentPassword: current, Password: next})
	require.NoError(t, err)
	return got
}

func askForReset(t *testing.T, s *apptest.Server, email string) string {
	t.Helper()
	got, err := s.Anonymous().RequestPasswordResetWithResponse(context.Background(), api.EmailRequest{Email: types.Email(email)})
	require.NoError(t, err)
	require.NotNil(t, got.JSON202, string(got.Body))
	return string(got.Body)
}

// resetLink asks for a link to set a new password, and returns its token.
func resetLink(t *testing.T, s *apptest.Server, email string) string {
	t.Helper()
	s.Mailbox.Clear(email)
	askForReset(t, s, email)
	return linkTo(t, s, "/reset-password", email)
}

func reset(t *testing.T, s *apptest.Server, token, next string) *api.ResetPasswordResponse {
	t.Helper()
	got, err := s.Anonymous().ResetPasswordWithResponse(context.Background(), api.PasswordResetRequest{Token: token, Password: next})
	require.NoError(t, err)
	return got
}

func linkRefused(t *testing.T, s *apptest.Server, token string) {
	t.Helper()
	got := reset(t, s, token, nextPassword)
	require.Equal(t, "/token", pointer(t, refused(t, http.StatusUnprocessableEntity, "mail_token_invalid", got.HTTPResponse, got.Body)))
}

func TestPasswordIsChanged(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	user := s.User()
	elsewhere := login(t, s, user, nil)
	link := resetLink(t, s, user.Email)
	s.Mailbox.Clear(user.Email)

	t.Run("not without the present one", func(t *testing.T) {
		got := changePassword(t, user, wrongPassword, nextPassword)
		require.Equal(t, "/current_password", pointer(t, refused(t, http.StatusUnprocessableEntity, "password_wrong", got.HTTPResponse, got.Body)))
		require.Equal(t, 1, events(t, s, user, "password_refused"))
		got = changePassword(t, s.Anonymous(), apptest.Password, nextPassword)
		refused(t, http.StatusUnauthorized, "unauthenticated", got.HTTPResponse, got.Body)
	})

	t.Run("not to a weak one", func(t *testing.T) {
		for code, password := range map[string]string{"too_common": "password1", "contains_identity": user.Username + "12"} {
			got := changePassword(t, user, apptest.Password, password)
			p := refused(t, http.StatusUnprocessableEntity, "password_weak", got.HTTPResponse, got.Body)
			require.Equal(t, "/password", pointer(t, p))
			require.Equal(t, code, (*p.Errors)[0].Code)
		}
		got := changePassword(t, user, apptest.Password, "x7#kq")
		require.Equal(t, "/password", pointer(t, refused(t, http.StatusBadRequest, "invalid_request", got.HTTPResponse, got.Body)))
	})

	t.Run("not by half", func(t *testing.T) {
		for _, refusal := range [][2]string{{"UPDATE", "users"}, {"UPDATE", "mail_tokens"}, {"UPDATE", "sessions"}, {"INSERT", "audit_logs"}, {"INSERT", "river_job"}} {
			relent := s.Refuse(refusal[0], refusal[1])
			got := changePassword(t, user, apptest.Password, nextPassword)
			relent()
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		}
		require.True(t, works(t, s, elsewhere.AccessToken))
		require.True(t, opens(t, s, user.Username, apptest.Password))
	})

	t.Run("which ends all other sessions", func(t *testing.T) {
		got := changePassword(t, user, apptest.Password, nextPassword)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		require.True(t, works(t, s, user.Token), "this one goes on")
		require.False(t, works(t, s, elsewhere.AccessToken))
		refreshRefused(t, s, *elsewhere.RefreshToken)
		require.False(t, opens(t, s, user.Username, apptest.Password))
		require.True(t, opens(t, s, user.Username, nextPassword))
		require.Equal(t, 1, events(t, s, user, "password_changed"))
	})

	t.Run("of which the owner hears", func(t *testing.T) {
		text := notice(t, s, user.Email, "The password of your PicASpot account was changed.")
		require.Contains(t, text, "127.0.0.1")
		require.NotContains(t, text, nextPassword)
		settled(t, s)
		require.Len(t, s.Mailbox.Mails(user.Email), 1, "of what did not happen nobody is told")
	})

	t.Run("after which links in earlier mails are dead", func(t *testing.T) { linkRefused(t, s, link) })

	t.Run("once, when two do it at once", func(t *testing.T) {
		user := s.User()
		statuses := make([]int, 2)
		var wg sync.WaitGroup
		for i, next := range []string{nextPassword, wrongPassword} {
			wg.Go(func() {
				got, err := user.ChangePasswordWithResponse(context.Background(), api.PasswordChange{CurrentPassword: apptest.Password, Password: next})
				if err != nil {
					t.Error(err)
					return
				}
				statuses[i] = got.StatusCode()
			})
		}
		wg.Wait()
		first, second := statuses[0] == http.StatusNoContent, statuses[1] == http.StatusNoContent
		require.NotEqual(t, first, second, "%v", statuses)
		require.Equal(t, first, opens(t, s, user.Username, nextPassword))
		require.Equal(t, second, opens(t, s, user.Username, wrongPassword))
	})
}

func TestPasswordIsReset(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	ctx := context.Background()
	user := s.User()

	t.Run("by mail, of which nobody else learns", func(t *testing.T) {
		known, unknown := askForReset(t, s, user.Email), askForReset(t, s, "nobody@example.org")
		require.Equal(t, known, unknown)
		linkTo(t, s, "/reset-password", user.Email)
		settled(t, s)
		require.Empty(t, s.Mailbox.Mails("nobody@example.org"))
		relent := s.Refuse("INSERT", "river_job")
		for _, path := range []string{"/api/v1/auth/password-reset", "/api/v1/auth/resend-verification"} {
			response, body := s.Call(nil, http.MethodPost, path, "application/json", strings.NewReader(`{"email":"nobody@example.org"}`))
			refused(t, http.StatusInternalServerError, "internal", response, body)
		}
		relent()
		for _, path := range []string{"/api/v1/auth/password-reset", "/api/v1/auth/resend-verification"} {
			for _, email := range []string{"nobody", "", "Ada <ada@example.org>"} {
				response, body := s.Call(nil, http.MethodPost, path, "application/json", strings.NewReader(`{"email":"`+email+`"}`))
				require.Equal(t, "/email", pointer(t, refused(t, http.StatusBadRequest, "invalid_request", response, body)))
			}
		}
	})

	t.Run("once, to a good one", func(t *testing.T) {
		elsewhere := login(t, s, user, nil)
		link, second := resetLink(t, s, user.Email), resetLink(t, s, strings.ToUpper(user.Email))
		s.Mailbox.Clear("")
		for range 2 {
			got := reset(t, s, link, "password1")
			require.Equal(t, "/password", pointer(t, refused(t, http.StatusUnprocessableEntity, "password_weak", got.HTTPResponse, got.Body)))
		}
		got := reset(t, s, link, "otto")
		apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body)
		for _, refusal := range [][2]string{{"UPDATE", "users"}, {"UPDATE", "mail_tokens"}, {"UPDATE", "sessions"}, {"INSERT", "audit_logs"}, {"INSERT", "river_job"}} {
			relent := s.Refuse(refusal[0], refusal[1])
			got = reset(t, s, link, nextPassword)
			relent()
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		}
		require.True(t, works(t, s, elsewhere.AccessToken), "nothing has happened yet")
		require.True(t, opens(t, s, user.Username, apptest.Password))

		got = reset(t, s, link, nextPassword)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		require.False(t, opens(t, s, user.Username, apptest.Password))
		require.True(t, opens(t, s, user.Username, nextPassword))
		for _, access := range []string{elsewhere.AccessToken, user.Token} {
			require.False(t, works(t, s, access), "every session ends")
		}
		refreshRefused(t, s, *elsewhere.RefreshToken)
		linkRefused(t, s, link)
		linkRefused(t, s, second)
		require.Equal(t, 1, events(t, s, user, "password_reset"))
		require.Contains(t, notice(t, s, user.Email, "A new password was chosen for your PicASpot account"), "change the password of your mailbox first")
	})

	t.Run("once, when two do it at once", func(t *testing.T) {
		user := s.User()
		link := resetLink(t, s, user.Email)
		statuses := make([]int, 4)
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() {
				got, err := s.Anonymous().ResetPasswordWithResponse(ctx, api.PasswordResetRequest{Token: link, Password: nextPassword})
				if err != nil {
					t.Error(err)
					return
				}
				statuses[i] = got.StatusCode()
			})
		}
		wg.Wait()
		n := 0
		for _, status := range statuses {
			if status == http.StatusNoContent {
				n++
			}
		}
		require.Equal(t, 1, n, "%v", statuses)
		require.Equal(t, 1, events(t, s, user, "password_reset"))
	})

	t.Run("not with a link for something else", func(t *testing.T) {
		register(t, s, "grace", "grace@example.org")
		verification := linkTo(t, s, "/verify-email", "grace@example.org")
		linkRefused(t, s, verification)
		link := resetLink(t, s, "grace@example.org")
		got, err := s.Anonymous().VerifyEmailWithResponse(ctx, api.VerifyEmailRequest{Token: link})
		require.NoError(t, err)
		refused(t, http.StatusUnprocessableEntity, "mail_token_invalid", got.HTTPResponse, got.Body)
		linkRefused(t, s, "token")
	})

	t.Run("which proves an address", func(t *testing.T) {
		register(t, s, "hedy", "hedy@example.org")
		require.False(t, opens(t, s, "hedy", apptest.Password))
		got := reset(t, s, resetLink(t, s, "hedy@example.org"), nextPassword)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		require.True(t, opens(t, s, "hedy", nextPassword))
	})

	t.Run("not too late", func(t *testing.T) {
		user := s.User()
		link := resetLink(t, s, user.Email)
		require.Equal(t, 1, count(t, s, `SELECT count(*) FROM mail_tokens
			WHERE user_id = $1 AND expires_at - created_at BETWEEN interval '59 minutes' AND interval '61 minutes'`, user.ID))
		exec(t, s, "UPDATE mail_tokens SET expires_at = now() WHERE user_id = $1", user.ID)
		linkRefused(t, s, link)
		require.True(t, opens(t, s, user.Username, apptest.Password))
	})

	t.Run("not of an account that is gone", func(t *testing.T) {
		user := s.User()
		link := resetLink(t, s, user.Email)
		got, err := user.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, got.StatusCode())
		linkRefused(t, s, link)
	})

	t.Run("which lets nobody in who may not", func(t *testing.T) {
		user := s.User()
		before := resetLink(t, s, user.Email)
		suspended := entuser.StatusSuspended
		_, err := s.Accounts.Manage(ctx, user.ID, account.Change{Status: &suspended}, version.Precondition{})
		require.NoError(t, err)
		linkRefused(t, s, before)
		link := resetLink(t, s, user.Email)
		got := reset(t, s, link, nextPassword)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		require.False(t, opens(t, s, user.Username, nextPassword))
	})
}

func TestPasswordIsResetInABrowser(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	user := s.User()
	get := func(path string) string {
		response, page := s.Call(nil, http.MethodGet, path, "", nil)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Equal(t, "text/html; charset=utf-8", response.Header.Get("Content-Type"))
		require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
		require.Contains(t, response.Header.Get("Content-Security-Policy"), "form-action 'self'")
		require.Equal(t, "no-referrer", response.Header.Get("Referrer-Policy"), "the link stays here")
		return string(page)
	}
	post := func(path string, values url.Values) (int, string) {
		response, page := s.Call(nil, http.MethodPost, path, formType, strings.NewReader(values.Encode()))
		return response.StatusCode, string(page)
	}

	require.Contains(t, get("/forgot-password"), `action="/forgot-password"`)
	for _, email := range []string{"", "nobody", "@", strings.Repeat("a", 250) + "@example.org", "a\x00b@example.org"} {
		status, page := post("/forgot-password", url.Values{"email": {email}})
		require.Equal(t, http.StatusUnprocessableEntity, status)
		require.Contains(t, page, "That is not an e-mail address.")
	}
	status, known := post("/forgot-password", url.Values{"email": {user.Email}})
	require.Equal(t, http.StatusOK, status)
	status, unknown := post("/forgot-password", url.Values{"email": {"nobody@example.org"}})
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, known, unknown)
	token := linkTo(t, s, "/reset-password", user.Email)

	require.Contains(t, get("/reset-password?token="+url.QueryEscape(token)), `value="`+token+`"`)
	require.NotContains(t, get("/reset-password?token="+url.QueryEscape(`"><script>`)), "<script>")
	require.True(t, opens(t, s, user.Username, apptest.Password), "to look at the page changes nothing")

	status, page := post("/reset-password", url.Values{"token": {token}, "password": {"password1"}})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, page, "too common")
	require.Contains(t, page, `value="`+token+`"`, "the link is good for another try")
	status, _ = post("/reset-password", url.Values{"token": {token}, "password": {strings.Repeat("maple", 1000)}})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	status, page = post("/reset-password", url.Values{"token": {token}, "password": {nextPassword}})
	require.Equal(t, http.StatusOK, status, page)
	require.Contains(t, page, "Your new password is in force")
	require.NotContains(t, page, token)
	require.True(t, opens(t, s, user.Username, nextPassword))
	require.False(t, works(t, s, user.Token))

	status, page = post("/reset-password", url.Values{"token": {token}, "password": {apptest.Password}})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, page, "The link is not valid, was used before, or has expired.")

	t.Run("or says that it could not be done", func(t *testing.T) {
		defer s.Refuse("INSERT", "river_job")()
		response, body := s.Call(nil, http.MethodPost, "/forgot-password", formType, strings.NewReader(url.Values{"email": {user.Email}}.Encode()))
		require.Equal(t, http.StatusInternalServerError, response.StatusCode)
		require.NotContains(t, string(body), "refused")
	})
}

func TestVerificationIsSentAgain(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	ctx := context.Background()
	resend := func(email string) string {
		got, err := s.Anonymous().ResendVerificationWithResponse(ctx, api.EmailRequest{Email: types.Email(email)})
		require.NoError(t, err)
		require.NotNil(t, got.JSON202, string(got.Body))
		return string(got.Body)
	}
	register(t, s, "ada", "ada@example.org")
	first := linkTo(t, s, "/verify-email", "ada@example.org")
	s.Mailbox.Clear("")
	verified := s.User()
	waits := resend("ADA@example.org")
	require.Equal(t, waits, resend(verified.Email))
	require.Equal(t, waits, resend("nobody@example.org"))
	second := linkTo(t, s, "/verify-email", "ada@example.org")
	settled(t, s)
	require.Len(t, s.Mailbox.Mails(""), 1, "only who waits for it gets one")
	require.NotEqual(t, first, second)

	got, err := s.Anonymous().VerifyEmailWithResponse(ctx, api.VerifyEmailRequest{Token: first})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, got.StatusCode(), "the first mail may be the one that arrives")
	require.True(t, opens(t, s, "ada", apptest.Password))
	resend("ada@example.org")
	settled(t, s)
	require.Len(t, s.Mailbox.Mails(""), 1)
}

func TestMailsToOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, apptest.WithLimits("mail:account=3/1h"))
	ctx := context.Background()
	resend := func(email string) {
		got, err := s.Anonymous().ResendVerificationWithResponse(ctx, api.EmailRequest{Email: types.Email(email)})
		require.NoError(t, err)
		require.NotNil(t, got.JSON202, string(got.Body))
	}
	// mails are the subjects of those that an address has got since the last time.
	mails := func(to string) (subjects []string) {
		advance(t, s, sent)
		for _, mail := range s.Mailbox.Mails(to) {
			subjects = append(subjects, mail.Subject)
		}
		s.Mailbox.Clear("")
		return subjects
	}

	t.Run("however the address is spelled, of which nobody is told", func(t *testing.T) {
		user := s.User()
		answer := askForReset(t, s, user.Email)
		for _, email := range []string{strings.ToUpper(user.Email), strings.ToUpper(user.Email[:1]) + user.Email[1:], user.Email, user.Email} {
			require.Equal(t, answer, askForReset(t, s, email))
		}
		require.Len(t, mails(user.Email), 3)
		calm := s.User()
		askForReset(t, s, calm.Email)
		require.Len(t, mails(calm.Email), 1)
	})

	t.Run("those of one kind without those of another", func(t *testing.T) {
		user := s.User()
		for range 5 { // They send nothing, since the address is verified.
			resend(user.Email)
		}
		require.Empty(t, mails(user.Email))
		for range 5 { // They tell the owner that there is an account.
			register(t, s, "somebody", user.Email)
		}
		require.Len(t, mails(user.Email), 3)
		askForReset(t, s, user.Email)
		require.Equal(t, []string{"Choose a new PicASpot password"}, mails(user.Email))
		exec(t, s, "UPDATE users SET email_verified_at = NULL WHERE id = $1", user.ID)
		for range 5 {
			resend(user.Email)
		}
		require.Len(t, mails(user.Email), 3)
		askForReset(t, s, user.Email)
		require.Len(t, mails(user.Email), 1)
	})

	t.Run("a change of address by its account", func(t *testing.T) {
		thief, owner := s.User(), s.User()
		for range 5 {
			changeEmail(t, thief, "free@example.org")
			advance(t, s, sent)
		}
		require.Len(t, mails("free@example.org"), 3)
		changeEmail(t, owner, "free@example.org")
		require.Len(t, mails("free@example.org"), 1, "another account does not use up what the owner needs")
	})

	t.Run("not those that the mail server does not take", func(t *testing.T) {
		user := s.User()
		askForReset(t, s, user.Email)
		advance(t, s, queued)
		args := jobArgs[account.MailArgs](t, s, account.MailArgs{}.Kind())
		require.Len(t, args, 1)
		for range 4 {
			relent := s.Refuse("UPDATE", "mail_tokens")
			require.Error(t, s.Accounts.SendMail(ctx, args[0]))
			relent()
		}
		require.NoError(t, s.Accounts.SendMail(ctx, args[0]))
		require.Len(t, mails(user.Email), 1)
	})
}
