package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	html "html/template"
	"net/url"
	"strings"
	text "text/template"
	"time"
	"unicode"
	"unicode/utf8"
)

// The mails there are.
const (
	// VerifyEmail goes to a new account: Link and Code prove the address.
	VerifyEmail = "verify_email"
	// AccountExists goes to the owner of an address that somebody registered
	// again: Link leads to a new password, which also proves an address that
	// never was.
	AccountExists = "account_exists"
	// UsernameTaken goes to a free address whose owner wanted a name that is
	// not: Link leads back to the registration.
	UsernameTaken = "username_taken"
	// PasswordReset carries Link and Code for a new password.
	PasswordReset = "password_reset"
	// EmailChange goes to the new address of an account: Link and Code prove it.
	EmailChange = "email_change"
	// SecurityNotice tells the owner of an account that something about its
	// protection changed: Event, At, Address and Device say what, when and by
	// whom. Link leads to a new password, for [EmailChanged] and
	// [AccountDeleted] to where people reach the server.
	SecurityNotice = "security_notice"
)

// How much of a name and of a device is shown, in characters. Whoever registers
// a stranger's address chooses it, so it must not carry a message of their own.
const (
	maxName   = 64
	maxDevice = 160
)

// Data is what the templates show.
type Data struct {
	// To is the recipient's address.
	To string
	// Name is the user's name, or for [UsernameTaken] the name that was wanted.
	Name string
	// Link is an absolute http or https URL.
	Link string
	// Code is the token, for those who cannot follow the link; it may be empty.
	Code string
	// ValidFor is how long Link and Code work; 0 says nothing about it.
	ValidFor time.Duration

	// Event is what a [SecurityNotice] tells of.
	Event Event
	// At is when it happened.
	At time.Time
	// Address is the network address that it came from; it may be empty.
	Address string
	// Device is what the client says of itself, as in the User-Agent header, or
	// what was made of it; it may be empty.
	Device string
}

//go:embed templates
var files embed.FS

// mailTemplates are the two halves of each mail, by its name.
var mailTemplates = parseTemplates()

type halves struct {
	text *text.Template
	html *html.Template
}

func parseTemplates() map[string]halves {
	parsed := make(map[string]halves)
	functions := map[string]any{
		"duration": duration, "instant": instant, "notice": func(e Event) notice { return notices[e] },
	}
	for _, name := range []string{VerifyEmail, AccountExists, UsernameTaken, PasswordReset, EmailChange, SecurityNotice} {
		parsed[name] = halves{
			text: text.Must(text.New("layout.txt").Funcs(functions).
				ParseFS(files, "templates/layout.txt", "templates/"+name+".txt")),
			html: html.Must(html.New("layout.html").Funcs(functions).
				ParseFS(files, "templates/layout.html", "templates/"+name+".html")),
		}
	}
	return parsed
}

// Render fills in one of the mails. The subjects are fixed, so that nothing a
// user wrote is in a header. A mail or an event that there is not, a link that is
// not absolute and an event without its time are errors.
func Render(template string, data Data) (Message, error) {
	t, ok := mailTemplates[template]
	if !ok {
		return Message{}, fmt.Errorf("there is no mail %q", template)
	}
	link, err := url.Parse(data.Link)
	if err != nil || link.Host == "" || link.Scheme != "https" && link.Scheme != "http" {
		return Message{}, errors.New("render mail: the link is not an absolute http or https URL")
	}
	if hasControl(data.Code) {
		return Message{}, errors.New("render mail: control character in the code")
	}
	if template == SecurityNotice {
		if _, ok := notices[data.Event]; !ok {
			return Message{}, fmt.Errorf("render mail: there is no event %q", data.Event)
		}
		if data.At.IsZero() {
			return Message{}, errors.New("render mail: an event without its time")
		}
	}
	data.Name, data.Link = oneLine(data.Name, maxName), link.String()
	data.Address, data.Device = device(data.Address), device(data.Device)

	message := Message{To: data.To}
	for _, part := range []struct {
		into    *string
		execute func(*bytes.Buffer) error
	}{
		{&message.Subject, func(b *bytes.Buffer) error { return t.text.ExecuteTemplate(b, "subject", data) }},
		{&message.Text, func(b *bytes.Buffer) error { return t.text.Execute(b, data) }},
		{&message.HTML, func(b *bytes.Buffer) error { return t.html.Execute(b, data) }},
	} {
		var b bytes.Buffer
		if err := part.execute(&b); err != nil {
			return Message{}, fmt.Errorf("render mail %q: %w", template, err)
		}
		*part.into = strings.TrimSpace(b.String())
	}
	return message, nil
}

// oneLine makes a name safe to show inside a sentence: no line ends, no
// invisible or text-turning characters, no address that a mail program would
// turn into a link, no more characters than limit.
func oneLine(name string, limit int) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r), r == utf8.RuneError, r == '<', r == '>':
			return -1
		}
		return r
	}, name)
	name = strings.Join(strings.Fields(strings.ReplaceAll(name, "://", " ")), " ")
	if runes := []rune(name); len(runes) > limit {
		name = string(runes[:limit-1]) + "…"
	}
	return name
}

// duration says how long something is valid in the largest unit that fits.
func duration(d time.Duration) string {
	say := func(n int64, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return say(int64(d/(24*time.Hour)), "day")
	case d >= time.Hour && d%time.Hour == 0:
		return say(int64(d/time.Hour), "hour")
	default:
		return say(max(1, int64(d/time.Minute)), "minute")
	}
}
