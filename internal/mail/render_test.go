package mail_test

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/mail"
)

var every = []string{mail.VerifyEmail, mail.AccountExists, mail.UsernameTaken, mail.PasswordReset, mail.EmailChange}

func TestRender(t *testing.T) {
	t.Parallel()
	data := mail.Data{
		To: "ada@example.org", Name: "ada", Code: "Zm9v-_", ValidFor: 24 * time.Hour,
		Link: "https://picaspot.example/verify?token=Zm9v-_&x=1",
	}
	subjects := map[string]bool{}
	for _, name := range every {
		t.Run(name, func(t *testing.T) {
			m, err := mail.Render(name, data)
			require.NoError(t, err)
			require.Equal(t, "ada@example.org", m.To)
			require.Contains(t, m.Subject, "PicASpot")
			require.False(t, subjects[m.Subject], "each has its own")
			subjects[m.Subject] = true
			require.Contains(t, m.Text, "\n"+data.Link+"\n")
			require.Contains(t, m.HTML, `<a href="https://picaspot.example/verify?token=Zm9v-_&amp;x=1"`)
			for _, body := range []string{m.Text, m.HTML} {
				require.Contains(t, body, "Hello")
				require.Contains(t, body, "ada")
				require.Contains(t, body, "Zm9v-_")
				require.Contains(t, body, "works for 24 hours and only once")
				require.Contains(t, body, "sent automatically to ada@example.org")
				require.NotContains(t, body, "{{")
				require.NotContains(t, body, "<no value>")
				require.NotContains(t, body, "ZgotmplZ")
			}
			require.NotContains(t, m.Text, "\n\n\n")
			requireWellFormed(t, m.HTML)

			bare, err := mail.Render(name, mail.Data{To: "ada@example.org", Link: "http://127.0.0.1:8080/x"})
			require.NoError(t, err)
			for _, body := range []string{bare.Text, bare.HTML} {
				require.Contains(t, body, "Hello,")
				require.NotContains(t, body, "only once")
				require.NotContains(t, body, "this code")
			}
		})
	}
}

// requireWellFormed checks that elements are closed in order.
func requireWellFormed(t *testing.T, document string) {
	t.Helper()
	document = regexp.MustCompile(`(?i)<!doctype html>`).ReplaceAllString(document, "")
	decoder := xml.NewDecoder(strings.NewReader(regexp.MustCompile(`<(meta|br)([^>]*)>`).ReplaceAllString(document, "<$1$2/>")))
	decoder.Entity = xml.HTMLEntity
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestRenderEscapesWhatUsersWrote(t *testing.T) {
	t.Parallel()
	for _, name := range every {
		m, err := mail.Render(name, mail.Data{
			To:   `"<script>"@example.org`,
			Name: "</td><script>alert(1)</script>\r\nBcc: eve@example.org\u202e\u200b https://evil.example " + strings.Repeat("x", 500),
			Code: "<b>", Link: "https://picaspot.example/\"><script>",
		})
		require.NoError(t, err)
		require.NotContains(t, m.HTML, "<script")
		require.NotContains(t, m.HTML, "<b>")
		for _, body := range []string{m.Text, m.HTML} {
			require.NotContains(t, body, "\nBcc:")
			require.NotContains(t, body, "\u202e")
			require.NotContains(t, body, "https://evil.example")
			require.NotContains(t, body, strings.Repeat("x", 100))
		}
		require.NotContains(t, m.Subject, "script")
	}
}

func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	good := mail.Data{To: "ada@example.org", Link: "https://picaspot.example/"}
	_, err := mail.Render("nothing", good)
	require.ErrorContains(t, err, `"nothing"`)
	for _, link := range []string{"", "/verify", "javascript:alert(1)", "mailto:x@example.org", "https:///x", "https://%zz", "https://a\r\nb"} {
		data := good
		data.Link = link
		_, err := mail.Render(mail.VerifyEmail, data)
		require.Error(t, err, link)
	}
	data := good
	data.Code = "a\r\nb"
	_, err = mail.Render(mail.VerifyEmail, data)
	require.Error(t, err)
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		7 * 24 * time.Hour: "7 days", 48 * time.Hour: "2 days", 24 * time.Hour: "24 hours", time.Hour: "1 hour",
		90 * time.Minute: "90 minutes", 30 * time.Minute: "30 minutes", time.Minute: "1 minute", time.Second: "1 minute",
	} {
		m, err := mail.Render(mail.PasswordReset, mail.Data{To: "a@example.org", Link: "https://picaspot.example/", ValidFor: d})
		require.NoError(t, err)
		require.Contains(t, m.Text, "This works for "+want+" and only once.")
	}
}
