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

var every = []string{mail.VerifyEmail, mail.AccountExists, mail.UsernameTaken, mail.PasswordReset, mail.EmailChange, mail.SecurityNotice}

var happened = time.Date(2026, 3, 1, 23, 5, 59, 0, time.FixedZone("", -2*60*60))

func TestRender(t *testing.T) {
	t.Parallel()
	data := mail.Data{
		To: "ada@example.org", Name: "ada", Code: "Zm9v-_", ValidFor: 24 * time.Hour,
		Link:  "https://picaspot.example/verify?token=Zm9v-_&x=1",
		Event: mail.PasswordChanged, At: happened,
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

			bare, err := mail.Render(name, mail.Data{To: "ada@example.org", Link: "http://127.0.0.1:8080/x", Event: mail.PasswordChanged, At: happened})
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
			Event: mail.PasswordChanged, At: happened,
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

func TestSecurityNotice(t *testing.T) {
	t.Parallel()
	const reset, open = "Choose a new password", "Open PicASpot"
	seen := map[string]mail.Event{}
	for _, c := range []struct {
		event        mail.Event
		says, action string
	}{
		{mail.PasswordChanged, "password of your PicASpot account was changed", reset},
		{mail.PasswordWasReset, "with a link that we had sent to this address", reset},
		{mail.EmailChangeRequested, "Another e-mail address was asked for", reset},
		{mail.EmailChanged, "This one does not belong to it any more", open},
		{mail.SecondFactorOn, "second factor of your PicASpot account was turned on", reset},
		{mail.SecondFactorOff, "second factor of your PicASpot account was turned off", reset},
		{mail.CodesGuessed, "Wrong codes were entered", reset},
		{mail.RecoveryCodeUsed, "recovery code of your PicASpot account was used", reset},
		{mail.RecoveryCodesRenewed, "New recovery codes were made", reset},
		{mail.AccountDeleted, "Your PicASpot account was deleted", open},
		{mail.AccountRestored, "and so it is back as it was", reset},
		{mail.RefreshTokenReused, "A session of your PicASpot account was ended", reset},
	} {
		t.Run(string(c.event), func(t *testing.T) {
			m, err := mail.Render(mail.SecurityNotice, mail.Data{
				To: "ada@example.org", Name: "ada", Link: "https://picaspot.example/reset-password",
				Event: c.event, At: happened, Address: "2001:db8::1", Device: "Firefox 140 on Linux",
			})
			require.NoError(t, err)
			require.Equal(t, "Security notice for your PicASpot account", m.Subject)
			for _, body := range []string{m.Text, m.HTML} {
				require.Contains(t, body, c.says)
				require.Contains(t, body, "When: 2 March 2026, 01:05 UTC")
				require.Contains(t, body, "From: 2001:db8::1")
				require.Contains(t, body, "Device: Firefox 140 on Linux")
				require.Contains(t, body, "https://picaspot.example/reset-password")
				require.Contains(t, body, "If this was you, there is nothing you need to do. If ")
			}
			require.Contains(t, m.Text, "\n\n"+c.action+":\n\n")
			require.Contains(t, m.HTML, ">"+c.action+"</a>")
			requireWellFormed(t, m.HTML)
			require.NotContains(t, seen, m.Text)
			seen[m.Text] = c.event
		})
	}

	bare, err := mail.Render(mail.SecurityNotice, mail.Data{
		To: "ada@example.org", Name: "ada", Link: "https://picaspot.example/reset-password", Event: mail.SecondFactorOff, At: happened,
	})
	require.NoError(t, err)
	require.Equal(t, `Hello ada,

The second factor of your PicASpot account was turned off: your password is enough to log in.

When: 2 March 2026, 01:05 UTC

If this was you, there is nothing you need to do. If this was not you, choose a new password at once: that ends all sessions on all devices.

Choose a new password:

https://picaspot.example/reset-password

You get such a notice whenever something about the protection of your account changes. We never ask for your password by mail.

--
PicASpot
This mail was sent automatically to ada@example.org. Replies are not read.`, bare.Text)
	require.NotContains(t, bare.HTML, "From:")
	require.NotContains(t, bare.HTML, "Device:")
}

// Whoever triggers a notice chooses what their client says of itself.
func TestSecurityNoticeOfAHostileDevice(t *testing.T) {
	t.Parallel()
	data := mail.Data{
		To: "ada@example.org", Link: "https://picaspot.example/reset-password", Event: mail.PasswordChanged, At: happened,
		Address: "192.0.2.1</p><script>\r\nBcc: eve@example.org",
		Device: "<img src=x onerror=alert(1)>\r\nBcc: eve@evil.example\r\n\r\nCall https://evil.example/x or www.evil.example" +
			"\u202e\u200b {{html}} &lt;b&gt; \xff" + strings.Repeat("y", 500),
	}
	m, err := mail.Render(mail.SecurityNotice, data)
	require.NoError(t, err)
	require.Equal(t, "Security notice for your PicASpot account", m.Subject)
	require.Equal(t, data.To, m.To)
	requireWellFormed(t, m.HTML)
	require.NotContains(t, m.HTML, "<img")
	require.NotContains(t, m.HTML, "<script")
	require.NotContains(t, m.HTML, "&lt;b&gt;")
	require.Contains(t, m.HTML, "&amp;lt;b&amp;gt;")
	require.Contains(t, m.HTML, "Device: img src=x onerror=alert(1) Bcc: eve@evil example")
	for _, body := range []string{m.Text, m.HTML} {
		require.NotContains(t, body, "\nBcc:")
		require.NotContains(t, body, "\nCall")
		require.NotContains(t, body, "\u202e")
		require.NotContains(t, body, "evil.example")
		require.NotContains(t, body, "@example.org\nDevice")
		require.Contains(t, body, "{{html}}", "shown as it is")
		require.NotContains(t, body, strings.Repeat("y", 160))
	}

	data.Device = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	m, err = mail.Render(mail.SecurityNotice, data)
	require.NoError(t, err)
	require.Contains(t, m.Text, "\nDevice: "+data.Device+"\n", "what is usual stays as it is")
}

func TestSecurityNoticeRefuses(t *testing.T) {
	t.Parallel()
	good := mail.Data{To: "ada@example.org", Link: "https://picaspot.example/", Event: mail.PasswordChanged, At: happened}
	for name, change := range map[string]func(*mail.Data){
		"no event":      func(d *mail.Data) { d.Event = "" },
		"unknown event": func(d *mail.Data) { d.Event = "password" },
		"no time":       func(d *mail.Data) { d.At = time.Time{} },
		"no link":       func(d *mail.Data) { d.Link = "" },
	} {
		data := good
		change(&data)
		_, err := mail.Render(mail.SecurityNotice, data)
		require.Error(t, err, name)
	}
}

// The address may be one that was never proven, by whoever registered it.
func TestAccountExistsFitsUnverifiedAddresses(t *testing.T) {
	t.Parallel()
	m, err := mail.Render(mail.AccountExists, mail.Data{To: "ada@example.org", Link: "https://picaspot.example/reset-password"})
	require.NoError(t, err)
	require.Equal(t, "This address already has a PicASpot account", m.Subject)
	for _, body := range []string{m.Text, m.HTML} {
		require.NotContains(t, body, "your account")
		require.Contains(t, body, "also confirms that the address is yours")
	}
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
