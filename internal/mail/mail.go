// Package mail writes the mails that PicASpot sends and hands them to an SMTP
// server. What a mail says is in templates, once as text and once as HTML.
package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	gomail "github.com/wneessen/go-mail"
)

// defaultTimeout bounds what the context of [Sender.Send] leaves open.
const defaultTimeout = 30 * time.Second

// ErrRejected means that the server, or our own check of the message, refused it
// for good: sending the same message again will not help. Every other error of
// [Sender.Send] may pass.
var ErrRejected = errors.New("mail was rejected")

// Message is one mail to one person.
type Message struct {
	// To is an address (RFC 5322), with or without a name.
	To      string
	Subject string
	Text    string
	// HTML is an alternative to Text and may be empty.
	HTML string
	// Headers are further ones. Those that [Sender] writes itself are refused.
	Headers map[string]string
}

// Config says where mails go and whom they come from.
type Config struct {
	// URL is smtp://user:password@host:port?starttls=required, or smtps:// for
	// TLS from the first byte. Starttls is required, optional or never; without
	// it, it is required, except for a loopback address, where it is never. The
	// port is 587 or 465 by default.
	URL string
	// From is the sender's address, such as "PicASpot <no-reply@picaspot.example>".
	From string
	// TLS is for a certificate of a private authority; nil uses the system's.
	TLS *tls.Config
	// Timeout bounds a delivery whose context has no deadline; 0 is 30 seconds.
	Timeout time.Duration
}

// Sender sends mails through one server. It is safe for concurrent use; each
// mail has a connection of its own.
type Sender struct {
	host     string
	from     *mail.Address
	domain   string
	implicit *tls.Config // nil unless the connection begins with TLS
	timeout  time.Duration
	options  []gomail.Option
}

// New checks the configuration; it does not connect. The error never contains the password.
func New(config Config) (*Sender, error) {
	from, err := mail.ParseAddress(config.From)
	if err != nil {
		return nil, fmt.Errorf("mail: sender %q: %w", config.From, err)
	}
	server, err := url.Parse(config.URL)
	if err != nil || server.Hostname() == "" {
		return nil, errors.New("mail: the server is not a URL such as smtp://user:password@host:587")
	}
	secure := server.Scheme == "smtps"
	if !secure && server.Scheme != "smtp" {
		return nil, fmt.Errorf("mail: scheme %q is neither smtp nor smtps", server.Scheme)
	}
	port := 587
	if secure {
		port = 465
	}
	if text := server.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return nil, fmt.Errorf("mail: port %q", text)
		}
	}
	policy, err := startTLS(server)
	if err != nil {
		return nil, err
	}

	s := &Sender{host: server.Hostname(), from: from, timeout: config.Timeout}
	_, s.domain, _ = strings.Cut(from.Address, "@")
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	tlsConfig := &tls.Config{}
	if config.TLS != nil {
		tlsConfig = config.TLS.Clone()
	}
	tlsConfig.ServerName = s.host
	tlsConfig.MinVersion = max(tlsConfig.MinVersion, tls.VersionTLS12)
	if secure {
		s.implicit, policy = tlsConfig, gomail.NoTLS
	}
	s.options = []gomail.Option{
		gomail.WithPort(port),
		gomail.WithTLSConfig(tlsConfig),
		gomail.WithTLSPolicy(policy),
		// We ask nothing of the connection between two mails, there is one.
		gomail.WithoutNoop(),
	}
	if server.User != nil {
		password, _ := server.User.Password()
		s.options = append(s.options,
			gomail.WithUsername(server.User.Username()),
			gomail.WithPassword(password),
			// Of these, the last two refuse to run without TLS.
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin),
		)
	}
	if _, err := gomail.NewClient(s.host, s.options...); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return s, nil
}

func startTLS(server *url.URL) (gomail.TLSPolicy, error) {
	query := server.Query()
	for name := range query {
		if name != "starttls" {
			return 0, fmt.Errorf("mail: unknown parameter %q, only starttls is known", name)
		}
	}
	switch value := query.Get("starttls"); value {
	case "required":
		return gomail.TLSMandatory, nil
	case "optional":
		return gomail.TLSOpportunistic, nil
	case "never":
		return gomail.NoTLS, nil
	case "":
		if ip := net.ParseIP(server.Hostname()); server.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return gomail.NoTLS, nil
		}
		return gomail.TLSMandatory, nil
	default:
		return 0, fmt.Errorf("mail: starttls=%q is not required, optional or never", value)
	}
}

// Send delivers a message to the server and returns when the server has taken
// it, or with an error when the context ends before. Errors for which a retry
// is of no use are [ErrRejected].
func (s *Sender) Send(ctx context.Context, m Message) error {
	message, err := s.compose(m)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRejected, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()

	// The client knows the context only while it dials. Closing the connection
	// under it ends whatever it waits for.
	stop := func() bool { return true }
	defer func() { stop() }()
	dial := func(dialCtx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(dialCtx, network, address)
		if err != nil {
			return nil, err
		}
		stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
		if s.implicit == nil {
			return conn, nil
		}
		secure := tls.Client(conn, s.implicit)
		if err := secure.HandshakeContext(dialCtx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
	// The client's own timeout is longer, so that it is the context that ends a delivery.
	client, err := gomail.NewClient(s.host, append(slices.Clone(s.options),
		gomail.WithTimeout(2*s.timeout), gomail.WithDialContextFunc(dial))...)
	if err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	if err := client.DialAndSendWithContext(ctx, message); err != nil {
		if message.IsDelivered() {
			// The server has it; that the farewell failed is no reason to send it twice.
			return nil
		}
		if ended := ctx.Err(); ended != nil {
			return fmt.Errorf("send mail: %w", errors.Join(ended, err))
		}
		var refused *gomail.SendError
		if errors.As(err, &refused) && !refused.IsTemp() && refused.ErrorCode() >= 500 {
			return fmt.Errorf("send mail: %w: %w", ErrRejected, err)
		}
		return fmt.Errorf("send mail: %w", err)
	}
	return nil
}

// compose builds the MIME message. Nothing that comes in can end a header line.
func (s *Sender) compose(m Message) (*gomail.Msg, error) {
	to, err := ParseAddress(m.To)
	if err != nil {
		return nil, err
	}
	if m.Subject == "" || m.Text == "" {
		return nil, errors.New("mail has no subject or no text")
	}
	if hasControl(m.Subject) {
		return nil, errors.New("control character in the subject")
	}
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	message.FromMailAddress(s.from)
	message.ToMailAddress(to)
	message.Subject(m.Subject)
	message.SetDate()
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	// The library's own would tell the name of this machine.
	message.SetMessageIDWithValue(id.String() + "@" + s.domain)
	// No holiday replies, please (RFC 3834, and what Exchange listens to).
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetGenHeader("X-Auto-Response-Suppress", "All")
	for name, value := range m.Headers {
		if err := checkHeader(name, value); err != nil {
			return nil, err
		}
		message.SetGenHeader(gomail.Header(name), value)
	}
	message.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		message.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return message, nil
}

// ParseAddress reads the address of one recipient. It takes less than RFC 5322
// does: no control characters, no address literals, no more octets than fit an
// SMTP command (RFC 5321, section 4.5.3.1).
func ParseAddress(text string) (*mail.Address, error) {
	if hasControl(text) {
		return nil, errors.New("control character in an address")
	}
	address, err := mail.ParseAddress(text)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	at := strings.LastIndexByte(address.Address, '@')
	local, domain := address.Address[:at], address.Address[at+1:]
	if len(local) > 64 || len(address.Address) > 254 || strings.ContainsAny(domain, "[]") ||
		strings.ContainsAny(address.Address, " <>\"\\") {
		return nil, errors.New("address is not one that mail can be sent to")
	}
	return address, nil
}

// ours are the headers that compose writes, with those that would redirect a mail.
var ours = []string{
	"from", "to", "cc", "bcc", "sender", "subject", "date", "message-id", "return-path",
	"auto-submitted", "x-auto-response-suppress", "mime-version",
}

func checkHeader(name, value string) error {
	lower := strings.ToLower(name)
	if slices.Contains(ours, lower) || strings.HasPrefix(lower, "content-") || strings.HasPrefix(lower, "resent-") {
		return fmt.Errorf("header %q cannot be set", name)
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
		return fmt.Errorf("%q is not the name of a header", name)
	}
	if hasControl(value) {
		return fmt.Errorf("control character in header %q", name)
	}
	return nil
}

// hasControl also finds U+2028 and U+2029, which some take for line ends.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
	})
}
