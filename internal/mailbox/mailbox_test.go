package mailbox_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/mailbox"
)

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// bundle is a mailbox with its page. Its clock goes on by a second per mail.
type bundle struct {
	*mailbox.Mailbox
	web *httptest.Server
}

func setup(t testing.TB, folder string) *bundle {
	t.Helper()
	var ticks atomic.Int64
	box, err := mailbox.Listen(t.Context(), mailbox.Config{
		Folder: folder,
		Logger: slog.New(slog.DiscardHandler),
		Clock:  func() time.Time { return start.Add(time.Duration(ticks.Add(1)) * time.Second) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = box.Close() })
	mux := http.NewServeMux()
	mux.Handle(mailbox.Path, box.Handler())
	mux.Handle(mailbox.Path+"/", box.Handler())
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return &bundle{box, web}
}

// deliver hands in a message as it stands, line ends apart.
func (b *bundle) deliver(t testing.TB, to, message string) {
	t.Helper()
	require.NoError(t, b.submit(t, to, strings.ReplaceAll(message, "\n", "\r\n")))
}

func (b *bundle) submit(t testing.TB, to, message string) error {
	t.Helper()
	client, err := smtp.Dial(b.Addr())
	require.NoError(t, err)
	defer client.Close()
	if err := client.SendMail("bounce@picaspot.example", strings.Split(to, ","), strings.NewReader(message)); err != nil {
		return err
	}
	return client.Quit()
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (b *bundle) do(t testing.TB, method, path string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.web.URL+path, nil)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := *b.web.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{response.StatusCode, response.Header, string(body)}
}

type item struct {
	ID         string    `json:"id"`
	From       string    `json:"from"`
	To         string    `json:"to"`
	Subject    string    `json:"subject"`
	Text       string    `json:"text"`
	HTML       string    `json:"html"`
	Links      []string  `json:"links"`
	ReceivedAt time.Time `json:"received_at"`
}

func (b *bundle) items(t testing.TB, query string) []item {
	t.Helper()
	got := b.do(t, http.MethodGet, mailbox.Path+query, "Accept", "application/json")
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	var list struct{ Items []item }
	require.NoError(t, json.Unmarshal([]byte(got.body), &list))
	require.NotNil(t, list.Items, "an empty list is a list")
	return list.Items
}

func TestMailsOfTheSenderArrive(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	sender, err := mail.New(mail.Config{URL: b.URL(), From: "PicASpot <no-reply@picaspot.example>"})
	require.NoError(t, err)
	// Codes may end in what looks like punctuation.
	link := "https://picaspot.example/verify?token=abc_-_"
	for _, to := range []string{"ada@example.org", "grace@example.org", "ada@example.org"} {
		message, err := mail.Render(mail.VerifyEmail, mail.Data{To: to, Name: "Ada Ünal", Link: link, Code: "abc_-_"})
		require.NoError(t, err)
		require.NoError(t, sender.Send(t.Context(), message))
	}

	items := b.items(t, "?to=ada@example.org")
	require.Len(t, items, 2)
	require.True(t, items[0].ReceivedAt.After(items[1].ReceivedAt), "newest first")
	first := items[0]
	require.Equal(t, "no-reply@picaspot.example", first.From)
	require.Equal(t, "ada@example.org", first.To)
	require.Equal(t, "Confirm your e-mail address for PicASpot", first.Subject)
	require.Contains(t, first.Text, "Hello Ada Ünal,")
	require.Contains(t, first.HTML, "Hello Ada Ünal,")
	require.Equal(t, []string{link}, first.Links, "once, though it is there three times")

	require.Len(t, b.items(t, ""), 3)
	require.Len(t, b.items(t, "?to=ADA@EXAMPLE.ORG"), 2)
	require.Empty(t, b.items(t, "?to=nobody@example.org"))

	one := b.do(t, http.MethodGet, mailbox.Path+"/"+first.ID, "Accept", "application/json")
	var got item
	require.NoError(t, json.Unmarshal([]byte(one.body), &got))
	require.Equal(t, first, got)
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		message string
		want    mailbox.Mail
	}{
		"plain": {
			"From: Ada <ada@example.org>\nSubject: Hello\n\nSee http://a.example/x, or (https://b.example/y).\n",
			mailbox.Mail{From: "ada@example.org", Subject: "Hello", Text: "See http://a.example/x, or (https://b.example/y).\n", Links: []string{"http://a.example/x", "https://b.example/y"}},
		},
		"encoded subject and body": {
			"From: a@example.org\nSubject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?= =?UTF-8?B?IPCfjok=?=\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nZ=FCrich=\n!\n",
			mailbox.Mail{From: "a@example.org", Subject: "Grüße 🎉", Text: "Zürich!\n"},
		},
		"alternatives in a mixture": {
			"From: a@example.org\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; boundary=i\n\n--i\nContent-Type: text/plain\n\nText\n--i\nContent-Type: text/html\n\n<a href=\"https://c.example/?a=1&amp;b=2\">c</a><a href='https://d.example/'>d</a><a href=https://e.example/>e</a><a href=\"javascript:alert(1)\">f</a><a href=\"/g\">g</a>\n--i--\n--o\nContent-Type: text/plain\nContent-Disposition: attachment; filename=x.txt\n\nnot this\n--o--\n",
			mailbox.Mail{From: "a@example.org", Subject: "x", Text: "Text", HTML: `<a href="https://c.example/?a=1&amp;b=2">c</a><a href='https://d.example/'>d</a><a href=https://e.example/>e</a><a href="javascript:alert(1)">f</a><a href="/g">g</a>`, Links: []string{"https://c.example/?a=1&b=2", "https://d.example/", "https://e.example/"}},
		},
		"no From": {
			"Subject: x\n\ny\n",
			mailbox.Mail{From: "bounce@picaspot.example", Subject: "x", Text: "y\n"},
		},
		"charset that nobody knows": {
			"From: a@example.org\nContent-Type: text/plain; charset=klingon\n\ny\n",
			mailbox.Mail{From: "a@example.org", Text: "y\n"},
		},
		"not text at all": {
			"From: a@example.org\nContent-Type: image/png\n\n\x89PNG\n",
			mailbox.Mail{From: "a@example.org", Text: "From: a@example.org\r\nContent-Type: image/png\r\n\r\n\uFFFDPNG\r\n"},
		},
		"no header": {
			"just a line that is no header\n",
			mailbox.Mail{From: "bounce@picaspot.example", Text: "just a line that is no header\r\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "")
			b.deliver(t, "ada@example.org", c.message)
			got := b.Mails("")
			require.Len(t, got, 1)
			require.NotEmpty(t, got[0].ID)
			c.want.ID, c.want.To, c.want.ReceivedAt = got[0].ID, []string{"ada@example.org"}, start.Add(time.Second)
			require.Equal(t, c.want, got[0])
		})
	}
}

const attack = `<script>alert("x")</script><img src=x onerror=alert(1)>'"></pre></iframe>`

func TestPagesEscapeMails(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	b.deliver(t, `"<script>alert(1)</script>"@example.org`, "From: \"<b>\" <\"<i>\"@example.org>\nSubject: "+attack+
		"\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=i\n\n--i\nContent-Type: text/plain\n\n"+attack+
		" https://a.example/\"onmouseover=alert(1) javascript:alert(1)\n--i\nContent-Type: text/html\n\n"+
		`<base href="https://evil.example/" target="_top"><h1>Hi</h1>`+attack+`<a href="https://ok.example/?a=&quot;><script>">x</a>`+"\n--i--\n")
	mail := b.Mails("")[0]

	list := b.do(t, http.MethodGet, mailbox.Path)
	one := b.do(t, http.MethodGet, mailbox.Path+"/"+mail.ID)
	filtered := b.do(t, http.MethodGet, mailbox.Path+"?to="+url.QueryEscape(`"><script>alert(1)</script>`))
	for name, page := range map[string]reply{"list": list, "mail": one, "filter": filtered} {
		require.Equal(t, http.StatusOK, page.status, name)
		require.Equal(t, "text/html; charset=utf-8", page.header.Get("Content-Type"), name)
		require.NotContains(t, strings.ToLower(page.body), "<script", name)
		require.NotContains(t, page.body, "<img", name)
		require.NotContains(t, page.body, "<base", name)
		require.NotContains(t, page.body, `href="javascript:`, name)
		require.NotContains(t, page.body, ` style=`, name)
		require.NotContains(t, page.body, `<style`, name)
		policy := page.header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'", name)
		require.NotContains(t, policy, "unsafe", name)
		require.Equal(t, "nosniff", page.header.Get("X-Content-Type-Options"), name)
		require.Equal(t, "no-store", page.header.Get("Cache-Control"), name)
		require.Equal(t, "no-referrer", page.header.Get("Referrer-Policy"), name)
	}
	require.Contains(t, list.body, "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;")
	require.Contains(t, one.body, "&lt;/pre&gt;&lt;/iframe&gt;")
	require.Contains(t, one.body, `sandbox="allow-popups allow-popups-to-escape-sandbox"`)
	require.Contains(t, one.body, `src="/dev/mail/`+mail.ID+`/html"`)
	require.Contains(t, one.body, `href="https://ok.example/?a=%22%3e%3cscript%3e"`)

	framed := b.do(t, http.MethodGet, mailbox.Path+"/"+mail.ID+"/html")
	require.Contains(t, framed.body, "<h1>Hi</h1>")
	require.True(t, strings.HasPrefix(framed.body, `<!doctype html><meta charset="utf-8">`))
	require.Less(t, strings.Index(framed.body, `<base target="_blank">`), strings.Index(framed.body, "_top"))
	policy := framed.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.Contains(t, policy, "base-uri 'none'")
	require.Contains(t, policy, "sandbox allow-popups")
	require.NotContains(t, policy, "allow-scripts")
	require.NotContains(t, policy, "allow-same-origin")
	require.NotContains(t, policy, "script-src")
	require.Equal(t, "SAMEORIGIN", framed.header.Get("X-Frame-Options"))

	raw := b.do(t, http.MethodGet, mailbox.Path, "Accept", "application/json")
	require.NotContains(t, raw.body, "<", "even a browser that guesses finds no markup")
	require.Equal(t, "<script>", b.items(t, "")[0].Subject[:8])
}

func TestLinksWork(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	b.deliver(t, "ada@example.org", "Subject: x\n\nhttps://picaspot.example/reset?token=a&u=b#top\n")
	page := b.do(t, http.MethodGet, mailbox.Path+"/"+b.Mails("")[0].ID)
	require.Contains(t, page.body,
		`<a href="https://picaspot.example/reset?token=a&amp;u=b#top" target="_blank" rel="noopener noreferrer">`)
	require.NotContains(t, page.body, "<iframe", "there is no HTML to show")
}

func TestAccept(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	for accept, want := range map[string]string{
		"":                                       "text/html; charset=utf-8",
		"*/*":                                    "text/html; charset=utf-8",
		"text/html,application/xml;q=0.9,*/*":    "text/html; charset=utf-8",
		"application/json;q=0.5, text/html":      "text/html; charset=utf-8",
		"application/json;q=x":                   "text/html; charset=utf-8",
		"application/json;q=0":                   "text/html; charset=utf-8",
		";;;":                                    "text/html; charset=utf-8",
		"application/json":                       "application/json",
		"application/json, text/plain, */*":      "application/json",
		"text/html;q=0.8, application/json":      "application/json",
		"APPLICATION/JSON; charset=utf-8, */*":   "application/json",
		"application/json;q=0.9,text/html;q=0.1": "application/json",
	} {
		got := b.do(t, http.MethodGet, mailbox.Path, "Accept", accept)
		require.Equal(t, want, got.header.Get("Content-Type"), accept)
		require.Equal(t, "Accept", got.header.Get("Vary"))
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	for _, to := range []string{"ada@example.org", "ada+test@example.org", "ada@example.org", "eve@example.org,ada@example.org"} {
		b.deliver(t, to, "Subject: x\n\ny\n")
	}
	require.Len(t, b.items(t, "?to=ada+test@example.org"), 1, "a plus need not be escaped")
	require.Len(t, b.items(t, "?to=ada%2Btest@example.org"), 1)
	require.Equal(t, "eve@example.org, ada@example.org", b.items(t, "?to=eve@example.org")[0].To)

	id := b.items(t, "?to=ada@example.org")[1].ID
	require.Equal(t, http.StatusNoContent, b.do(t, http.MethodDelete, mailbox.Path+"/"+id).status)
	require.Equal(t, http.StatusNotFound, b.do(t, http.MethodDelete, mailbox.Path+"/"+id).status)
	require.Len(t, b.items(t, ""), 3)
	require.Equal(t, http.StatusNoContent, b.do(t, http.MethodDelete, mailbox.Path+"?to=ada@example.org").status)
	require.Len(t, b.items(t, ""), 1)
	require.Equal(t, http.StatusNoContent, b.do(t, http.MethodDelete, mailbox.Path).status)
	require.Empty(t, b.items(t, ""))
}

func TestClearButton(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	for _, to := range []string{"ada@example.org", "eve@example.org"} {
		b.deliver(t, to, "Subject: x\n\ny\n")
	}
	post := func(body string, headers ...string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.web.URL+mailbox.Path+"/clear", strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		client := *b.web.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		response, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusForbidden, post("", "Sec-Fetch-Site", "cross-site"))
	require.Equal(t, http.StatusBadRequest, post("to="+strings.Repeat("x", 5000)))
	require.Len(t, b.Mails(""), 2)
	require.Equal(t, http.StatusSeeOther, post("to=ada%40example.org", "Sec-Fetch-Site", "same-origin"))
	require.Len(t, b.Mails(""), 1)
	require.Equal(t, http.StatusSeeOther, post(""))
	require.Empty(t, b.Mails(""))
}

func TestOtherAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	b.deliver(t, "ada@example.org", "Subject: x\n\ny\n")
	id := b.Mails("")[0].ID

	missing := b.do(t, http.MethodGet, mailbox.Path+"/nothing", "Accept", "application/json")
	require.Equal(t, http.StatusNotFound, missing.status)
	require.Equal(t, "application/problem+json", missing.header.Get("Content-Type"))
	require.JSONEq(t, `{"type":"about:blank","title":"Not Found","status":404,"detail":"There is no such mail. It may have been cleared."}`, missing.body)
	require.Equal(t, http.StatusNotFound, b.do(t, http.MethodGet, mailbox.Path+"/nothing").status)
	require.Equal(t, http.StatusNotFound, b.do(t, http.MethodGet, mailbox.Path+"/"+id+"/html").status, "it has no HTML")
	require.Equal(t, http.StatusMethodNotAllowed, b.do(t, http.MethodPut, mailbox.Path).status)
	require.Equal(t, mailbox.Path, b.do(t, http.MethodGet, mailbox.Path+"/").header.Get("Location"))

	css := b.do(t, http.MethodGet, mailbox.Path+"/style.css")
	require.Equal(t, http.StatusOK, css.status)
	require.Equal(t, "text/css; charset=utf-8", css.header.Get("Content-Type"))
}

func TestLimits(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	err := b.submit(t, "ada@example.org", "Subject: x\r\n\r\n"+strings.Repeat(strings.Repeat("x", 998)+"\r\n", 1100))
	var refused *smtp.SMTPError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 552, refused.Code)
	require.Empty(t, b.Mails(""))
}

func TestListenRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	b := setup(t, "")
	for name, config := range map[string]mailbox.Config{
		"all addresses":     {Addr: ":0"},
		"another address":   {Addr: "192.0.2.1:0"},
		"a name":            {Addr: "localhost:0"},
		"no port":           {Addr: "127.0.0.1"},
		"a port in use":     {Addr: b.Addr(), Folder: t.TempDir()},
		"folder is a file":  {Folder: file},
		"folder not usable": {Folder: filepath.Join(file, "x")},
	} {
		_, err := mailbox.Listen(t.Context(), config)
		require.Error(t, err, name)
	}
}

func TestCloseAtOnce(t *testing.T) {
	t.Parallel()
	box, err := mailbox.Listen(t.Context(), mailbox.Config{})
	require.NoError(t, err)
	require.NoError(t, box.Close())
	_, err = smtp.Dial(box.Addr())
	require.Error(t, err)
	require.Empty(t, box.Mails(""))
}
