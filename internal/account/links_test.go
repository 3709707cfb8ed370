package account_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/oapi-codegen/runtime/types"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/version"
)

// jobArgs takes the waiting jobs of one kind out of the queue.
func jobArgs[Args any](t *testing.T, s *apptest.Server, kind string) []Args {
	t.Helper()
	rows, err := s.Store.Pool.Query(context.Background(), "DELETE FROM river_job WHERE kind = $1 AND state = 'available' RETURNING args", kind)
	require.NoError(t, err)
	var all []Args
	for rows.Next() {
		var data []byte
		require.NoError(t, rows.Scan(&data))
		var args Args
		require.NoError(t, json.Unmarshal(data, &args))
		all = append(all, args)
	}
	require.NoError(t, rows.Err())
	return all
}

// work runs the waiting jobs of one kind, as a worker does.
func work[Args any](t *testing.T, s *apptest.Server, kind string, do func(context.Context, Args) error) {
	t.Helper()
	for _, args := range jobArgs[Args](t, s, kind) {
		require.NoError(t, do(context.Background(), args))
	}
}

// stage is how far a mail with a link is.
type stage int

const (
	requested stage = iota // The request is acknowledged; no job has run.
	queued                 // The mail is written and waits to be sent.
	sent                   // It is in the mailbox.
)

// advance brings what was asked for to a stage.
func advance(t *testing.T, s *apptest.Server, to stage) {
	t.Helper()
	if to >= queued {
		work(t, s, account.RequestArgs{}.Kind(), s.Accounts.AnswerRequest)
	}
	if to >= sent {
		work(t, s, account.MailArgs{}.Kind(), s.Accounts.SendMail)
	}
}

// purpose is a purpose of links: how one is asked for, and followed.
type purpose struct {
	name, page string
	to         func(*apptest.Client) string
	ask        func(*testing.T, *apptest.Server, *apptest.Client)
	follow     func(*testing.T, *apptest.Server, string) (*http.Response, []byte)
}

func followVerification(t *testing.T, s *apptest.Server, token string) (*http.Response, []byte) {
	t.Helper()
	got := follow(t, s, token)
	return got.HTTPResponse, got.Body
}

const wanted = "lovelace@example.org"

var purposes = []purpose{
	{
		name: "verify_email", page: "/verify-email", to: func(c *apptest.Client) string { return c.Email },
		ask: func(t *testing.T, s *apptest.Server, user *apptest.Client) {
			t.Helper()
			exec(t, s, "UPDATE users SET email_verified_at = NULL WHERE id = $1", user.ID)
			got, err := s.Anonymous().ResendVerificationWithResponse(context.Background(), api.EmailRequest{Email: types.Email(user.Email)})
			require.NoError(t, err)
			require.NotNil(t, got.JSON202, string(got.Body))
		},
		follow: followVerification,
	},
	{
		name: "reset_password", page: "/reset-password", to: func(c *apptest.Client) string { return c.Email },
		ask: func(t *testing.T, s *apptest.Server, user *apptest.Client) {
			t.Helper()
			askForReset(t, s, user.Email)
		},
		follow: func(t *testing.T, s *apptest.Server, token string) (*http.Response, []byte) {
			t.Helper()
			got := reset(t, s, token, "ten foxes in the orchard")
			return got.HTTPResponse, got.Body
		},
	},
	{
		name: "change_email", page: "/verify-email", to: func(*apptest.Client) string { return wanted },
		ask: func(t *testing.T, _ *apptest.Server, user *apptest.Client) {
			t.Helper()
			changeEmail(t, user, wanted)
		},
		follow: followVerification,
	},
}

func purposeOf(t *testing.T, name string) purpose {
	t.Helper()
	for _, p := range purposes {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("there is no purpose %q", name)
	return purpose{}
}

// newest returns the token in the newest mail with a link of a purpose.
func newest(t *testing.T, s *apptest.Server, p purpose, user *apptest.Client) string {
	t.Helper()
	for _, got := range s.Mailbox.Mails(p.to(user)) {
		if strings.Contains(got.Text, p.page+"?token=") {
			return linkTo(t, s, p.page, p.to(user))
		}
	}
	t.Fatalf("no mail to %s has a link to %s", p.to(user), p.page)
	return ""
}

// recovery is an event of an account's recovery, and what becomes of open links of each
// purpose: "ends" or "stays".
type recovery struct {
	name string
	do   func(*testing.T, *apptest.Server, *apptest.Client)
	// The columns of the table in docs/security.md.
	verify, reset, change string
}

func noContent(t *testing.T, err error, response interface{ StatusCode() int }) {
	t.Helper()
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, response.StatusCode())
}

// mailed sends a user one mail with a link, and leaves those that wait where they are.
func mailed(t *testing.T, s *apptest.Server, template string, user *apptest.Client, to string) {
	t.Helper()
	require.NoError(t, s.Accounts.SendMail(context.Background(), account.MailArgs{
		Template: template, To: to, Username: user.Username, UserID: &user.ID,
	}))
}

// recoveries are the rows of the table in docs/security.md.
var recoveries = []recovery{
	{"another request to verify the address", func(t *testing.T, s *apptest.Server, user *apptest.Client) {
		t.Helper()
		purposeOf(t, "verify_email").ask(t, s, user)
	}, "stays", "stays", "stays"},
	{"another request to reset the password", func(t *testing.T, s *apptest.Server, user *apptest.Client) {
		t.Helper()
		askForReset(t, s, user.Email)
	}, "stays", "stays", "stays"},
	{"another request to change the address", func(t *testing.T, _ *apptest.Server, user *apptest.Client) {
		t.Helper()
		changeEmail(t, user, "hopper@example.org")
	}, "stays", "stays", "ends"},
	{"a request to change to the present address", func(t *testing.T, _ *apptest.Server, user *apptest.Client) {
		t.Helper()
		changeEmail(t, user, user.Email)
	}, "stays", "stays", "ends"},
	{"the address is verified", func(t *testing.T, s *apptest.Server, user *apptest.Client) {
		t.Helper()
		mailed(t, s, mail.VerifyEmail, user, user.Email)
		noContent(t, nil, follow(t, s, linkTo(t, s, "/verify-email", user.Email)))
	}, "stays", "stays", "stays"},
	{"the password is changed", func(t *testing.T, _ *apptest.Server, user *apptest.Client) {
		t.Helper()
		noContent(t, nil, changePassword(t, user, apptest.Password, nextPassword))
	}, "ends", "ends", "ends"},
	{"the password is reset", func(t *testing.T, s *apptest.Server, user *apptest.Client) {
		t.Helper()
		mailed(t, s, mail.PasswordReset, user, user.Email)
		noContent(t, nil, reset(t, s, linkTo(t, s, "/reset-password", user.Email), nextPassword))
	}, "ends", "ends", "ends"},
	{"the address is changed", func(t *testing.T, s *apptest.Server, user *apptest.Client) {
		t.Helper()
		const other = "hopper@example.org"
		mailed(t, s, mail.EmailChange, user, other)
		noContent(t, nil, follow(t, s, linkTo(t, s, "/verify-email", other)))
	}, "ends", "ends", "ends"},
	{"all sessions are logged out", func(t *testing.T, s *apptest.Server, user *apptest.Client) {
		t.Helper()
		tokens := login(t, s, user, nil)
		got, err := withToken(t, s, user, tokens.AccessToken).LogoutAllWithResponse(context.Background())
		noContent(t, err, got)
	}, "ends", "ends", "ends"},
	{"one session is logged out", func(t *testing.T, s *apptest.Server, user *apptest.Client) {
		t.Helper()
		tokens := login(t, s, user, nil)
		got, err := withToken(t, s, user, tokens.AccessToken).LogoutWithResponse(context.Background())
		noContent(t, err, got)
	}, "stays", "stays", "stays"},
	{"the second factor is added", func(t *testing.T, s *apptest.Server, user *apptest.Client) {
		t.Helper()
		enrol(t, s, user)
	}, "ends", "ends", "ends"},
	{"the account is suspended", func(t *testing.T, s *apptest.Server, user *apptest.Client) {
		t.Helper()
		status := entuser.StatusSuspended
		_, err := s.Accounts.Manage(context.Background(), user.ID, account.Change{Status: &status}, version.Precondition{})
		require.NoError(t, err)
	}, "ends", "ends", "ends"},
	{"the account is deleted", func(t *testing.T, _ *apptest.Server, user *apptest.Client) {
		t.Helper()
		got, err := user.DeleteMeWithResponse(context.Background(), api.PasswordConfirmation{Password: apptest.Password})
		noContent(t, err, got)
	}, "ends", "ends", "ends"},
	{"the account comes back by a login", func(t *testing.T, s *apptest.Server, user *apptest.Client) {
		t.Helper()
		got, err := user.DeleteMeWithResponse(context.Background(), api.PasswordConfirmation{Password: apptest.Password})
		noContent(t, err, got)
		login(t, s, user, nil)
	}, "ends", "ends", "ends"},
}

// Each purpose of links meets each event of recovery, wherever the mail is by then.
func TestLinksAndRecovery(t *testing.T) {
	t.Parallel()
	for _, p := range purposes {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s := apptest.NewWithoutWorkers(t)
			for _, event := range recoveries {
				want := map[string]string{"verify_email": event.verify, "reset_password": event.reset, "change_email": event.change}[p.name]
				for at, stage := range map[string]stage{"requested": requested, "queued": queued, "sent": sent} {
					if stage == requested && p.name != "change_email" {
						continue // The account is looked for when the job runs: nothing is open until then.
					}
					t.Run(event.name+", once it is "+at, func(t *testing.T) {
						exec(t, s, "UPDATE users SET email = id || '@example.org' WHERE email IN ('hopper@example.org', $1)", wanted)
						user := s.User()
						p.ask(t, s, user)
						advance(t, s, stage)
						// An address that is not verified keeps the owner out; those who have a
						// session verified it another way.
						exec(t, s, "UPDATE users SET email_verified_at = now() WHERE id = $1", user.ID)
						token := ""
						if stage == sent {
							token = newest(t, s, p, user)
						}
						s.Mailbox.Clear("")
						event.do(t, s, user)
						if stage != sent {
							s.Mailbox.Clear("")
							advance(t, s, sent)
							if want == "ends" {
								for _, got := range s.Mailbox.Mails(p.to(user)) {
									require.NotContains(t, got.Text, "token=", "no mail with a link leaves any more")
								}
								return
							}
							token = newest(t, s, p, user)
						}
						response, body := p.follow(t, s, token)
						if want == "ends" {
							refused(t, http.StatusUnprocessableEntity, "mail_token_invalid", response, body)
						} else {
							require.Equal(t, http.StatusNoContent, response.StatusCode, string(body))
						}
					})
				}
			}
		})
	}
}

// docs/security.md says what the test above holds.
func TestLinksAndRecoveryAreDocumented(t *testing.T) {
	t.Parallel()
	file, err := os.Open("../../docs/security.md")
	require.NoError(t, err)
	defer file.Close()
	var rows [][]string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(lines.Text(), "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		if len(cells) == 4 && (cells[3] == "ends" || cells[3] == "stays") {
			rows = append(rows, cells)
		}
	}
	require.NoError(t, lines.Err())
	var want [][]string
	for _, event := range recoveries {
		want = append(want, []string{event.name, event.verify, event.reset, event.change})
	}
	require.Equal(t, want, rows)
}

// blocked waits until a statement of the test's database waits for a lock.
func blocked(t *testing.T, s *apptest.Server) {
	t.Helper()
	require.Eventually(t, func() bool {
		return count(t, s, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	}, 30*time.Second, 10*time.Millisecond, "nothing waits for a lock")
}

// A request that was let in before all sessions ended begins nothing after.
func TestNothingBeginsAfterTheSessionsEnded(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	for name, request := range map[string]func(*apptest.Client) (*http.Response, []byte, error){
		"a change of address": func(c *apptest.Client) (*http.Response, []byte, error) {
			got, err := c.ChangeEmailWithResponse(ctx, api.EmailChange{Email: wanted, Password: apptest.Password})
			if err != nil {
				return nil, nil, err
			}
			return got.HTTPResponse, got.Body, nil
		},
		"a second factor": func(c *apptest.Client) (*http.Response, []byte, error) {
			got, err := c.StartTotpWithResponse(ctx, api.PasswordConfirmation{Password: apptest.Password})
			if err != nil {
				return nil, nil, err
			}
			return got.HTTPResponse, got.Body, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			user := s.User()
			tx, err := s.Store.Pool.Begin(ctx)
			require.NoError(t, err)
			defer func() { _ = tx.Rollback(ctx) }()
			_, err = tx.Exec(ctx, "SELECT FROM users WHERE id = $1 FOR UPDATE", user.ID)
			require.NoError(t, err)
			_, err = tx.Exec(ctx, "UPDATE sessions SET ended_at = now(), end_reason = 'logout_all' WHERE user_id = $1", user.ID)
			require.NoError(t, err)
			type answer struct {
				response *http.Response
				body     []byte
				err      error
			}
			done := make(chan answer, 1)
			go func() {
				response, body, err := request(user)
				done <- answer{response, body, err}
			}()
			blocked(t, s)
			require.NoError(t, tx.Commit(ctx))
			got := <-done
			require.NoError(t, got.err)
			refused(t, http.StatusUnauthorized, "session_ended", got.response, got.body)
			require.Zero(t, count(t, s, "SELECT count(*) FROM mail_tokens WHERE user_id = $1", user.ID))
			require.Zero(t, count(t, s, "SELECT count(*) FROM authenticators WHERE user_id = $1", user.ID))
		})
	}
}

// Of two requests at once the later one counts.
func TestOneChangeOfAddressIsOpen(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	statuses := make(chan int, 6)
	for range cap(statuses) {
		go func() {
			got, err := user.ChangeEmailWithResponse(context.Background(), api.EmailChange{Email: wanted, Password: apptest.Password})
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			statuses <- got.StatusCode()
		}()
	}
	for range cap(statuses) {
		require.Equal(t, http.StatusAccepted, <-statuses)
	}
	require.Equal(t, 1, count(t, s, "SELECT count(*) FROM mail_tokens WHERE user_id = $1 AND used_at IS NULL", user.ID))
	advance(t, s, sent)
	require.Len(t, s.Mailbox.Mails(wanted), 1)
}

// What the owner and the audit log learn of a request to change the address.
func TestChangeOfAddressIsAnnounced(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, behindProxy)
	ctx := context.Background()
	user := s.User()
	got, err := user.ChangeEmailWithResponse(ctx, api.EmailChange{Email: wanted, Password: apptest.Password}, from(stranger))
	require.NoError(t, err)
	require.NotNil(t, got.JSON202, string(got.Body))
	require.Equal(t, 1, count(t, s, `SELECT count(*) FROM audit_logs WHERE action = 'email_change_requested' AND entity_id = $1 AND actor_id = $1
		AND ip_address = $2 AND changes = jsonb_build_object('email', jsonb_build_object('before', $3::text, 'after', $4::text))`,
		user.ID, stranger, user.Email, wanted))
	work(t, s, account.MailArgs{}.Kind(), s.Accounts.SendMail)
	text := notice(t, s, user.Email, "Another e-mail address was asked for your PicASpot account.")
	require.Contains(t, text, stranger)
	require.NotContains(t, text, wanted)
	require.Contains(t, text, "/forgot-password")

	withdrawn := changeEmail(t, user, user.Email)
	require.Contains(t, withdrawn, "is your address")
	require.Equal(t, 1, events(t, s, user, "email_change_withdrawn"))
	advance(t, s, sent)
	require.Empty(t, s.Mailbox.Mails(wanted))
	require.Len(t, s.Mailbox.Mails(user.Email), 1)
}

// A second factor that was begun is begun anew after a recovery.
func TestRecoveryEndsAnEnrolment(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	a := startTotp(t, s, user)
	noContent(t, nil, changePassword(t, user, apptest.Password, nextPassword))
	got := confirmTotp(t, user, a.code())
	refused(t, http.StatusNotFound, "second_factor_missing", got.HTTPResponse, got.Body)
}
