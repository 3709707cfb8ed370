package account_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oapi-codegen/runtime/types"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
)

func tryChangeEmail(t *testing.T, by *apptest.Client, email, password string) *api.ChangeEmailResponse {
	t.Helper()
	got, err := by.ChangeEmailWithResponse(context.Background(), api.EmailChange{Email: types.Email(email), Password: password})
	require.NoError(t, err)
	return got
}

func changeEmail(t *testing.T, by *apptest.Client, email string) string {
	t.Helper()
	got := tryChangeEmail(t, by, email, apptest.Password)
	require.NotNil(t, got.JSON202, string(got.Body))
	return string(got.Body)
}

func follow(t *testing.T, s *apptest.Server, token string) *api.VerifyEmailResponse {
	t.Helper()
	got, err := s.Anonymous().VerifyEmailWithResponse(context.Background(), api.VerifyEmailRequest{Token: token})
	require.NoError(t, err)
	return got
}

func me(t *testing.T, by *apptest.Client) api.Me {
	t.Helper()
	got, err := by.GetMeWithResponse(context.Background(), nil)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

func TestEmailIsChanged(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	user, other := s.User(), s.User()
	const next = "lovelace@example.org"
	earlier := resetLink(t, s, user.Email)
	s.Mailbox.Clear("")

	t.Run("not without the password", func(t *testing.T) {
		got := tryChangeEmail(t, user, next, wrongPassword)
		require.Equal(t, "/password", pointer(t, refused(t, http.StatusUnprocessableEntity, "password_wrong", got.HTTPResponse, got.Body)))
		got = tryChangeEmail(t, s.Anonymous(), next, apptest.Password)
		refused(t, http.StatusUnauthorized, "unauthenticated", got.HTTPResponse, got.Body)
		response, body := s.Call(user, http.MethodPut, "/api/v1/me/email", "application/json", strings.NewReader(`{"email":"lovelace","password":"x"}`))
		require.Equal(t, "/email", pointer(t, refused(t, http.StatusBadRequest, "invalid_request", response, body)))
		settled(t, s)
		require.Empty(t, s.Mailbox.Mails(""))
	})

	changeEmail(t, user, next)
	link := linkTo(t, s, "/verify-email", next)

	t.Run("not before the link was followed", func(t *testing.T) {
		require.Equal(t, types.Email(user.Email), me(t, user).Email)
		require.True(t, opens(t, s, user.Email, apptest.Password))
		require.False(t, opens(t, s, next, apptest.Password))
		settled(t, s)
		require.Len(t, s.Mailbox.Mails(user.Email), 1, "that it was asked for")
		linkRefused(t, s, link)
	})

	t.Run("not by half", func(t *testing.T) {
		for _, refusal := range [][2]string{{"UPDATE", "users"}, {"UPDATE", "mail_tokens"}, {"INSERT", "audit_logs"}, {"INSERT", "river_job"}} {
			relent := s.Refuse(refusal[0], refusal[1])
			got := follow(t, s, link)
			relent()
			refused(t, http.StatusInternalServerError, "internal", got.HTTPResponse, got.Body)
		}
		require.Equal(t, types.Email(user.Email), me(t, user).Email)
	})

	t.Run("once it was", func(t *testing.T) {
		got := follow(t, s, link)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		require.Equal(t, types.Email(next), me(t, user).Email, "the session goes on")
		require.True(t, opens(t, s, next, apptest.Password))
		require.False(t, opens(t, s, user.Email, apptest.Password))
		require.Equal(t, 1, events(t, s, user, "email_changed"))
		text := notice(t, s, user.Email, "The e-mail address of your PicASpot account was changed.")
		require.NotContains(t, text, next)
		settled(t, s)
		require.Len(t, s.Mailbox.Mails(next), 1, "the new address had the link")
		again := follow(t, s, link)
		refused(t, http.StatusUnprocessableEntity, "mail_token_invalid", again.HTTPResponse, again.Body)
	})

	t.Run("after which the old address has no power", func(t *testing.T) {
		linkRefused(t, s, earlier)
		s.Mailbox.Clear("")
		askForReset(t, s, user.Email)
		settled(t, s)
		require.Empty(t, s.Mailbox.Mails(user.Email))
		register(t, s, "newcomer", user.Email)
		require.Equal(t, http.StatusNoContent, follow(t, s, linkTo(t, s, "/verify-email", user.Email)).StatusCode(), "it is free again")
	})

	t.Run("not to one that is taken, of which its owner hears", func(t *testing.T) {
		s.Mailbox.Clear("")
		free := changeEmail(t, user, "free@example.org")
		taken := changeEmail(t, user, strings.ToUpper(other.Email))
		require.Equal(t, strings.ReplaceAll(free, "free@example.org", strings.ToUpper(other.Email)), taken)
		require.NotContains(t, notice(t, s, other.Email, "already"), "token=")
		settled(t, s)
		require.Len(t, s.Mailbox.Mails(other.Email), 1)
		require.Len(t, s.Mailbox.Mails(next), 2, "the present address hears of both")
		require.Equal(t, types.Email(next), me(t, user).Email)
	})

	t.Run("to the same in other letters", func(t *testing.T) {
		s.Mailbox.Clear("")
		changeEmail(t, user, "Lovelace@Example.org")
		require.Equal(t, http.StatusNoContent, follow(t, s, linkTo(t, s, "/verify-email", next)).StatusCode())
		require.Equal(t, types.Email("Lovelace@Example.org"), me(t, user).Email)
	})
}

func TestEmailIsTakenInBetween(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	ctx := context.Background()
	user := s.User()
	const next = "lovelace@example.org"
	changeEmail(t, user, next)
	link := linkTo(t, s, "/verify-email", next)
	taker, err := s.Accounts.Create(ctx, account.Registration{Username: "taker", Email: next, Password: apptest.Password}, authz.DefaultRole)
	require.NoError(t, err)

	got := follow(t, s, link)
	refused(t, http.StatusConflict, "email_taken", got.HTTPResponse, got.Body)
	response, page := s.Call(nil, http.MethodPost, "/verify-email", formType, strings.NewReader(url.Values{"token": {link}}.Encode()))
	require.Equal(t, http.StatusUnprocessableEntity, response.StatusCode)
	require.Contains(t, string(page), "The address belongs to another account.")
	require.Equal(t, types.Email(user.Email), me(t, user).Email)
	settled(t, s)
	require.Len(t, s.Mailbox.Mails(user.Email), 1, "that it was asked for, and not of what did not happen")
	require.Zero(t, events(t, s, user, "email_changed"))

	free := s.LogIn(taker.ID, taker.Username, next)
	deleted, err := free.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	require.Equal(t, http.StatusNoContent, follow(t, s, link).StatusCode(), "the link was not used up")
	require.Equal(t, types.Email(next), me(t, user).Email)
}

func TestEmailOfAnAccountThatIsGone(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	ctx := context.Background()
	user := s.User()
	changeEmail(t, user, "lovelace@example.org")
	link := linkTo(t, s, "/verify-email", "lovelace@example.org")
	got, err := user.DeleteMeWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, got.StatusCode())
	followed := follow(t, s, link)
	refused(t, http.StatusUnprocessableEntity, "mail_token_invalid", followed.HTTPResponse, followed.Body)

	t.Run("gets no mail any more", func(t *testing.T) {
		require.NoError(t, s.Accounts.AnswerRequest(ctx, account.RequestArgs{Purpose: "change_email", Email: "hopper@example.org", UserID: &user.ID}))
		require.Error(t, s.Accounts.AnswerRequest(ctx, account.RequestArgs{Purpose: "change_email", Email: "hopper@example.org"}))
		require.Error(t, s.Accounts.AnswerRequest(ctx, account.RequestArgs{Purpose: "letter", Email: "hopper@example.org"}))
		require.Empty(t, s.Mailbox.Mails("hopper@example.org"))
	})
}
