package account_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
)

const (
	// nextPassword is a good one that is not the one that accounts are made with.
	nextPassword  = "nine herons over the weir"
	wrongPassword = "four otters in the rain"
	formType      = "application/x-www-form-urlencoded"
	mergeType     = "application/merge-patch+json"
)

func ptr[T any](value T) *T { return &value }

func set(name, value string) api.RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set(name, value)
		return nil
	}
}

// from makes a request come from an address, as the proxy before the server tells.
func from(address string) api.RequestEditorFn { return set("X-Forwarded-For", address) }

// behindProxy is a server that believes what [from] says.
func behindProxy(c *config.Config) { c.TrustedProxies = []string{"127.0.0.1"} }

// tryLogin logs in with a password, and with what change makes of the request.
func tryLogin(t *testing.T, s *apptest.Server, identifier, password string, change func(*api.LoginRequest), editors ...api.RequestEditorFn) *api.LoginResponse {
	t.Helper()
	in := api.LoginRequest{Identifier: identifier, Password: password}
	if change != nil {
		change(&in)
	}
	got, err := s.Anonymous().LoginWithResponse(context.Background(), in, editors...)
	require.NoError(t, err)
	return got
}

// login starts another session of a user.
func login(t *testing.T, s *apptest.Server, user *apptest.Client, change func(*api.LoginRequest), editors ...api.RequestEditorFn) api.TokenResponse {
	t.Helper()
	got := tryLogin(t, s, user.Username, apptest.Password, change, editors...)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

// withToken is the client of a user in another session.
func withToken(t *testing.T, s *apptest.Server, user *apptest.Client, access string) *apptest.Client {
	t.Helper()
	client, err := api.NewClientWithResponses(s.URL, api.WithRequestEditorFn(set("Authorization", "Bearer "+access)))
	require.NoError(t, err)
	return &apptest.Client{ClientWithResponses: client, ID: user.ID, Username: user.Username, Email: user.Email, Token: access}
}

// works reports whether an access token is taken.
func works(t *testing.T, s *apptest.Server, access string) bool {
	t.Helper()
	response, body := s.Call(&apptest.Client{Token: access}, http.MethodGet, "/api/v1/me", "", nil)
	if response.StatusCode != http.StatusOK {
		refused(t, http.StatusUnauthorized, "session_ended", response, body)
	}
	return response.StatusCode == http.StatusOK
}

// refused checks the status and the code of a problem.
func refused(t *testing.T, status int, code string, response *http.Response, body []byte) api.Problem {
	t.Helper()
	p := apptest.Problem(t, status, response, body)
	require.Equal(t, "/problems/"+code, p.Type)
	return p
}

// pointer is the field that a problem names.
func pointer(t *testing.T, p api.Problem) string {
	t.Helper()
	require.NotNil(t, p.Errors)
	require.Len(t, *p.Errors, 1)
	require.NotNil(t, (*p.Errors)[0].Pointer)
	return *(*p.Errors)[0].Pointer
}

func exec(t *testing.T, s *apptest.Server, statement string, args ...any) {
	t.Helper()
	_, err := s.Store.Pool.Exec(context.Background(), statement, args...)
	require.NoError(t, err)
}

// events counts what the record says of a kind that a user did.
func events(t *testing.T, s *apptest.Server, user *apptest.Client, action string) int {
	t.Helper()
	return count(t, s, "SELECT count(*) FROM audit_logs WHERE actor_id = $1 AND action = $2", user.ID, action)
}

// settled waits until every mail that was asked for is sent, or is not going to be.
func settled(t *testing.T, s *apptest.Server) {
	t.Helper()
	require.Eventually(t, func() bool {
		return count(t, s, "SELECT count(*) FROM river_job WHERE kind IN ('mail', 'mail_request') AND finalized_at IS NULL") == 0
	}, 30*time.Second, 10*time.Millisecond, "mails are not sent")
}

// notice waits for the mail to an address that says something.
func notice(t *testing.T, s *apptest.Server, to, says string) string {
	t.Helper()
	text := ""
	require.Eventually(t, func() bool {
		for _, mail := range s.Mailbox.Mails(to) {
			if strings.Contains(mail.Text, says) {
				text = mail.Text
				return true
			}
		}
		return false
	}, 30*time.Second, 10*time.Millisecond, "no mail to %s says %q", to, says)
	return text
}

// linkTo waits for a mail with a link to a page, and returns the newest one's token.
func linkTo(t *testing.T, s *apptest.Server, page, to string) string {
	t.Helper()
	token := ""
	require.Eventually(t, func() bool {
		for _, mail := range s.Mailbox.Mails(to) {
			for _, link := range mail.Links {
				if u, err := url.Parse(link); err == nil && u.Path == page && u.Query().Get("token") != "" {
					token = u.Query().Get("token")
					return true
				}
			}
		}
		return false
	}, 30*time.Second, 10*time.Millisecond, "no link to %s for %s", page, to)
	return token
}
