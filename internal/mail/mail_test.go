package mail_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/mail"
)

const from = "PicASpot <no-reply@picaspot.example>"

var hello = mail.Message{To: "ada@example.org", Subject: "Hello", Text: "Hello, Ada", HTML: "<p>Hello, Ada</p>"}

// server is an SMTP server that a test can make to refuse.
type server struct {
	addr   string
	refuse func(step string) error

	mu       sync.Mutex
	received []received
}

type received struct {
	from, to, raw, user string
	secure              bool
}

// start runs a server, with STARTTLS if there is a certificate and TLS from the
// first byte if implicit. A password is asked for where it is protected.
func start(t *testing.T, certificate *tls.Certificate, implicit bool) *server {
	t.Helper()
	s := &server{refuse: func(string) error { return nil }}
	backend := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		_, secure := c.TLSConnectionState()
		return &session{server: s, mail: received{secure: secure}}, nil
	}))
	backend.Domain, backend.ErrorLog = "localhost", quiet{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = listener.Addr().String()
	if certificate != nil {
		backend.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		if implicit {
			listener = tls.NewListener(listener, backend.TLSConfig)
		}
	}
	go func() { _ = backend.Serve(listener) }()
	t.Cleanup(func() { _ = backend.Close(); _ = listener.Close() })
	return s
}

func (s *server) mails() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.received...)
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

type session struct {
	server *server
	mail   received
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "p@ss word" {
			return smtp.ErrAuthFailed
		}
		s.mail.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.mail.from = from
	return s.server.refuse("MAIL")
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.to += to
	return s.server.refuse("RCPT")
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mail.raw = string(raw)
	if err := s.server.refuse("DATA"); err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.received = append(s.server.received, s.mail)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// certificate makes one for 127.0.0.1 and the pool that trusts it.
func certificate(t *testing.T) (*tls.Certificate, *tls.Config) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, &tls.Config{RootCAs: pool}
}

func sender(t *testing.T, config mail.Config) *mail.Sender {
	t.Helper()
	if config.From == "" {
		config.From = from
	}
	s, err := mail.New(config)
	require.NoError(t, err)
	return s
}

func TestSend(t *testing.T) {
	t.Parallel()
	server := start(t, nil, false)
	message := hello
	message.Subject = "Grüße aus Zürich 🎉"
	message.Headers = map[string]string{"X-PicASpot-Kind": "verify_email", "List-Id": "ümlaut"}
	require.NoError(t, sender(t, mail.Config{URL: "smtp://" + server.addr}).Send(t.Context(), message))

	mails := server.mails()
	require.Len(t, mails, 1)
	require.Equal(t, "no-reply@picaspot.example", mails[0].from)
	require.Equal(t, "ada@example.org", mails[0].to)
	got, err := netmail.ReadMessage(strings.NewReader(mails[0].raw))
	require.NoError(t, err)
	require.Equal(t, `"PicASpot" <no-reply@picaspot.example>`, got.Header.Get("From"))
	require.Equal(t, "<ada@example.org>", got.Header.Get("To"))
	require.Equal(t, "auto-generated", got.Header.Get("Auto-Submitted"))
	require.Equal(t, "All", got.Header.Get("X-Auto-Response-Suppress"))
	require.Equal(t, "verify_email", got.Header.Get("X-PicASpot-Kind"))
	require.Regexp(t, `^<[0-9a-f-]{36}@picaspot\.example>$`, got.Header.Get("Message-ID"))
	require.NotContains(t, mails[0].raw, "go-mail")
	require.Contains(t, got.Header.Get("Content-Type"), "multipart/alternative")
	for _, line := range strings.Split(mails[0].raw, "\r\n") {
		require.LessOrEqual(t, len(line), 998)
		for _, r := range line {
			require.Less(t, r, rune(128), "header and body are encoded")
		}
	}
}

func TestSendSecurely(t *testing.T) {
	t.Parallel()
	cert, trusting := certificate(t)
	explicit, implicit, plain := start(t, cert, false), start(t, cert, true), start(t, nil, false)
	for name, c := range map[string]struct {
		server *server
		config mail.Config
		fails  bool
		user   string
		secure bool
	}{
		"STARTTLS with a password": {
			server: explicit, secure: true, user: "ada",
			config: mail.Config{URL: "smtp://ada:p%40ss%20word@" + explicit.addr + "?starttls=required", TLS: trusting},
		},
		"STARTTLS where there is": {
			server: explicit, secure: true,
			config: mail.Config{URL: "smtp://" + explicit.addr + "?starttls=optional", TLS: trusting},
		},
		"TLS from the start with a password": {
			server: implicit, secure: true, user: "ada",
			config: mail.Config{URL: "smtps://ada:p%40ss%20word@" + implicit.addr, TLS: trusting},
		},
		"no STARTTLS where it is optional": {
			server: plain, config: mail.Config{URL: "smtp://" + plain.addr + "?starttls=optional"},
		},
		"no STARTTLS where it is required": {
			server: plain, fails: true, config: mail.Config{URL: "smtp://" + plain.addr + "?starttls=required"},
		},
		"STARTTLS with a stranger": {
			server: explicit, fails: true, config: mail.Config{URL: "smtp://" + explicit.addr + "?starttls=required"},
		},
		"TLS with a stranger": {
			server: implicit, fails: true, config: mail.Config{URL: "smtps://" + implicit.addr},
		},
		"wrong password": {
			server: explicit, fails: true,
			config: mail.Config{URL: "smtp://ada:wrong@" + explicit.addr + "?starttls=required", TLS: trusting},
		},
		"password for who does not ask": {
			server: plain, fails: true, config: mail.Config{URL: "smtp://ada:p%40ss%20word@" + plain.addr},
		},
	} {
		t.Run(name, func(t *testing.T) {
			message := hello
			message.Subject = name
			err := sender(t, c.config).Send(t.Context(), message)
			if c.fails {
				require.Error(t, err)
				require.NotErrorIs(t, err, mail.ErrRejected, "the message is not at fault")
				require.NotContains(t, err.Error(), "p@ss")
				return
			}
			require.NoError(t, err)
			for _, got := range c.server.mails() {
				if strings.Contains(got.raw, name) {
					require.Equal(t, c.secure, got.secure)
					require.Equal(t, c.user, got.user)
					return
				}
			}
			t.Fatal("the mail did not arrive")
		})
	}
}

func TestRefusedForGoodOrForNow(t *testing.T) {
	t.Parallel()
	for step, codes := range map[string]map[int]bool{
		"MAIL": {550: true, 451: false}, "RCPT": {550: true, 450: false}, "DATA": {554: true, 452: false},
	} {
		for code, forGood := range codes {
			server := start(t, nil, false)
			server.refuse = func(at string) error {
				if at != step {
					return nil
				}
				return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCodeNotSet, Message: "no"}
			}
			err := sender(t, mail.Config{URL: "smtp://" + server.addr}).Send(t.Context(), hello)
			require.Error(t, err, "%s %d", step, code)
			require.Equal(t, forGood, errors.Is(err, mail.ErrRejected), "%s %d: %v", step, code, err)
		}
	}
}

func TestContextEndsSending(t *testing.T) {
	t.Parallel()
	// It accepts connections and never says a word.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })

	for name, url := range map[string]string{"greeting": "smtp://", "handshake": "smtps://"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err = sender(t, mail.Config{URL: url + listener.Addr().String()}).Send(ctx, hello)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
	}
	err = sender(t, mail.Config{URL: "smtp://" + listener.Addr().String(), Timeout: 50 * time.Millisecond}).Send(t.Context(), hello)
	require.ErrorIs(t, err, context.DeadlineExceeded, "without a deadline of the caller's")

	stuck := start(t, nil, false)
	ctx, cancel := context.WithCancel(t.Context())
	stuck.refuse = func(string) error { cancel(); <-ctx.Done(); return nil }
	require.ErrorIs(t, sender(t, mail.Config{URL: "smtp://" + stuck.addr}).Send(ctx, hello), context.Canceled)

	require.NoError(t, listener.Close())
	require.Error(t, sender(t, mail.Config{URL: "smtp://" + listener.Addr().String()}).Send(t.Context(), hello), "nobody there")
}

func TestNothingIsInjected(t *testing.T) {
	t.Parallel()
	server := start(t, nil, false)
	s := sender(t, mail.Config{URL: "smtp://" + server.addr})
	change := func(f func(*mail.Message)) mail.Message { m := hello; f(&m); return m }
	for name, message := range map[string]mail.Message{
		"address with a header":   change(func(m *mail.Message) { m.To = "ada@example.org\r\nBcc: eve@example.org" }),
		"two addresses":           change(func(m *mail.Message) { m.To = "ada@example.org, eve@example.org" }),
		"name with a header":      change(func(m *mail.Message) { m.To = "\"Ada\r\nBcc: eve@example.org\" <ada@example.org>" }),
		"command in the address":  change(func(m *mail.Message) { m.To = "\"ada> RCPT TO:<eve\"@example.org" }),
		"address with a line":     change(func(m *mail.Message) { m.To = "ada@example.org\u2028x" }),
		"address literal":         change(func(m *mail.Message) { m.To = "ada@[127.0.0.1]" }),
		"no domain":               change(func(m *mail.Message) { m.To = "ada" }),
		"no address":              change(func(m *mail.Message) { m.To = "" }),
		"long local part":         change(func(m *mail.Message) { m.To = strings.Repeat("a", 65) + "@example.org" }),
		"long address":            change(func(m *mail.Message) { m.To = "ada@" + strings.Repeat("a.", 130) + "example" }),
		"subject with a header":   change(func(m *mail.Message) { m.Subject = "x\r\nBcc: eve@example.org" }),
		"subject with a bare CR":  change(func(m *mail.Message) { m.Subject = "x\rBcc: eve@example.org" }),
		"subject with a NUL":      change(func(m *mail.Message) { m.Subject = "x\x00" }),
		"no subject":              change(func(m *mail.Message) { m.Subject = "" }),
		"no text":                 change(func(m *mail.Message) { m.Text = "" }),
		"header's value":          change(func(m *mail.Message) { m.Headers = map[string]string{"X-A": "x\nBcc: eve@example.org"} }),
		"header's name":           change(func(m *mail.Message) { m.Headers = map[string]string{"X-A: x\r\nBcc": "eve@example.org"} }),
		"header's name with a :":  change(func(m *mail.Message) { m.Headers = map[string]string{"X:A": "x"} }),
		"header without a name":   change(func(m *mail.Message) { m.Headers = map[string]string{"": "x"} }),
		"header of ours":          change(func(m *mail.Message) { m.Headers = map[string]string{"BCC": "eve@example.org"} }),
		"header of the MIME part": change(func(m *mail.Message) { m.Headers = map[string]string{"Content-Type": "text/html"} }),
		"header of a forwarder":   change(func(m *mail.Message) { m.Headers = map[string]string{"Resent-To": "eve@example.org"} }),
	} {
		require.ErrorIs(t, s.Send(t.Context(), message), mail.ErrRejected, name)
	}
	require.Empty(t, server.mails())

	message := change(func(m *mail.Message) {
		m.To = `"Ada, Countess" <ada@example.org>`
		m.Text = "one\n.\nQUIT\n..two\r\nBcc: eve@example.org"
	})
	require.NoError(t, s.Send(t.Context(), message))
	mails := server.mails()
	require.Len(t, mails, 1, "a dot on a line of its own ends no mail")
	require.Contains(t, mails[0].raw, "..two")
	got, err := netmail.ReadMessage(strings.NewReader(mails[0].raw))
	require.NoError(t, err)
	require.Empty(t, got.Header.Get("Bcc"))
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]mail.Config{
		"no sender":         {URL: "smtp://127.0.0.1:25", From: "x"},
		"sender's name":     {URL: "smtp://127.0.0.1:25", From: "a@b.example\r\nBcc: eve@example.org"},
		"no URL":            {From: from},
		"not a URL":         {From: from, URL: "smtp://ada:secret@%zz"},
		"another scheme":    {From: from, URL: "http://ada:secret@127.0.0.1"},
		"port 0":            {From: from, URL: "smtp://ada:secret@127.0.0.1:0"},
		"port 65536":        {From: from, URL: "smtp://ada:secret@127.0.0.1:65536"},
		"starttls=maybe":    {From: from, URL: "smtp://ada:secret@127.0.0.1?starttls=maybe"},
		"unknown parameter": {From: from, URL: "smtp://ada:secret@127.0.0.1?tls=1"},
	} {
		_, err := mail.New(config)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "secret", name)
	}
	for _, url := range []string{"smtp://mail.example.org", "smtps://ada:secret@mail.example.org", "smtp://localhost"} {
		_, err := mail.New(mail.Config{From: from, URL: url})
		require.NoError(t, err)
	}
}

func TestStartTLSIsTheDefault(t *testing.T) {
	t.Parallel()
	server := start(t, nil, false)
	_, port, err := net.SplitHostPort(server.addr)
	require.NoError(t, err)
	require.NoError(t, sender(t, mail.Config{URL: "smtp://localhost:" + port}).Send(t.Context(), hello))
	// 127.0.0.1 by a name that does not say so.
	err = sender(t, mail.Config{URL: "smtp://0.0.0.0:" + port}).Send(t.Context(), hello)
	require.ErrorContains(t, err, "STARTTLS")
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"ada@example.org", `"a b"@example.org`, "Ada <ada@example.org>", "ada@[::1]", "a@b\r\nc"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, err := mail.ParseAddress(text)
		if err != nil {
			return
		}
		require.NotContains(t, address.String(), "\n")
		require.NotContains(t, address.String(), "\r")
		require.False(t, strings.ContainsAny(address.Address, " <>\r\n\x00"), address.Address)
	})
}
