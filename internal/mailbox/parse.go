package mailbox

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	// Registers the character sets that are not UTF-8.
	_ "github.com/emersion/go-message/charset"
	"github.com/emersion/go-message/mail"
)

// maxLinks bounds what is listed of one mail.
const maxLinks = 50

// Mail is one mail as it came in. All of it but ID and ReceivedAt is the
// sender's word.
type Mail struct {
	ID string
	// From is the address in the header, or the envelope's if there is none.
	From string
	// To are the recipients in the envelope, whatever the header says.
	To      []string
	Subject string
	// Text and HTML are the first part of their kind, decoded to UTF-8.
	Text string
	HTML string
	// Links are the http and https URLs in Text, then those of HTML, each once.
	Links      []string
	ReceivedAt time.Time
}

// MarshalJSON writes the recipients as one string, since nearly every mail has one.
func (m Mail) MarshalJSON() ([]byte, error) {
	links := m.Links
	if links == nil {
		links = []string{}
	}
	return json.Marshal(struct {
		ID         string    `json:"id"`
		From       string    `json:"from"`
		To         string    `json:"to"`
		Subject    string    `json:"subject"`
		Text       string    `json:"text"`
		HTML       string    `json:"html"`
		Links      []string  `json:"links"`
		ReceivedAt time.Time `json:"received_at"`
	}{m.ID, m.From, strings.Join(m.To, ", "), m.Subject, m.Text, m.HTML, links, m.ReceivedAt})
}

// parse reads a message (RFC 5322, MIME). What it cannot read it shows as text,
// so that no mail gets lost.
func parse(raw []byte) Mail {
	var m Mail
	// An unknown charset comes with a reader that works, hence no look at the error.
	reader, _ := mail.CreateReader(bytes.NewReader(raw))
	if reader == nil {
		m.Text = strings.ToValidUTF8(string(raw), "\uFFFD")
		m.Links = links(m)
		return m
	}
	// Errors mean an encoding that is unknown or broken; the text is then the raw one.
	m.Subject, _ = reader.Header.Subject()
	m.Subject = strings.ToValidUTF8(m.Subject, "\uFFFD")
	if from, err := reader.Header.AddressList("From"); err == nil && len(from) > 0 {
		m.From = strings.ToValidUTF8(from[0].Address, "\uFFFD")
	}
	var text, html *string
	for {
		part, _ := reader.NextPart()
		if part == nil {
			break
		}
		inline, ok := part.Header.(*mail.InlineHeader)
		if !ok {
			continue
		}
		kind, _, _ := inline.ContentType()
		switch {
		case kind == "text/html" && html == nil:
			html = read(part.Body)
		case (kind == "text/plain" || kind == "") && text == nil:
			text = read(part.Body)
		}
	}
	switch {
	case text != nil:
		m.Text = *text
	case html == nil:
		m.Text = strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	if html != nil {
		m.HTML = *html
	}
	m.Links = links(m)
	return m
}

// read returns what can be decoded of a part.
func read(body io.Reader) *string {
	decoded, _ := io.ReadAll(io.LimitReader(body, maxMessageBytes))
	text := strings.ToValidUTF8(strings.ReplaceAll(string(decoded), "\r\n", "\n"), "\uFFFD")
	return &text
}

var (
	urlInText = regexp.MustCompile(`(?i)\bhttps?://[^\s<>"'\x60]+`)
	urlInHTML = regexp.MustCompile(`(?i)\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
)

// links finds what a reader of the mail could follow. For HTML this is a guess
// that needs no parser: the links are a convenience, shown with their full address.
func links(m Mail) []string {
	var found []string
	add := func(link string) {
		parsed, err := url.Parse(link)
		if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
			return
		}
		if len(found) < maxLinks && !slices.Contains(found, link) {
			found = append(found, link)
		}
	}
	for _, link := range urlInText.FindAllString(m.Text, maxLinks) {
		// Not - and _, with which a token in base64url may end.
		add(strings.TrimRight(link, ".,;:!?)]}"))
	}
	for _, groups := range urlInHTML.FindAllStringSubmatch(m.HTML, maxLinks) {
		add(strings.TrimSpace(html.UnescapeString(groups[1] + groups[2] + groups[3])))
	}
	return found
}
