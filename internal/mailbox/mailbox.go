// Package mailbox is the mail server of a developer's machine: it takes every
// mail that the process sends, delivers none of them, and shows them on a page
// and as JSON. Mails are untrusted, here too: what they say is escaped, and
// their HTML is shown in a sandbox without scripts.
package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
)

const (
	// Capacity is how many mails are kept; the oldest make room for new ones.
	Capacity = 500

	maxMessageBytes = 1 << 20
	maxRecipients   = 50
	idleTimeout     = time.Minute
)

// Config of a mailbox. The zero value keeps mails in memory only.
type Config struct {
	// Addr is the loopback address to listen on; empty is 127.0.0.1 and a free port.
	Addr string
	// Folder, if not empty, also keeps each mail as a file there, from which the
	// next start reads them again. It is created if it is missing.
	Folder string
	// Clock tells when a mail came in; nil is [time.Now].
	Clock func() time.Time
	// Logger hears of what goes wrong; nil is [slog.Default].
	Logger *slog.Logger
}

// Mailbox is an SMTP server and the mails it took. It is safe for concurrent use.
type Mailbox struct {
	listener net.Listener
	server   *smtp.Server
	served   chan struct{}
	clock    func() time.Time
	logger   *slog.Logger
	folder   *os.Root // nil if mails are kept in memory only

	mu    sync.RWMutex
	mails []Mail // oldest first
}

// Listen starts a mailbox. It accepts mails until [Mailbox.Close].
func Listen(ctx context.Context, config Config) (*Mailbox, error) {
	m := &Mailbox{clock: config.Clock, logger: config.Logger, served: make(chan struct{})}
	if m.clock == nil {
		m.clock = time.Now
	}
	if m.logger == nil {
		m.logger = slog.Default()
	}
	if config.Addr == "" {
		config.Addr = "127.0.0.1:0"
	}
	// It asks nobody who they are, so it is for this machine only.
	host, _, err := net.SplitHostPort(config.Addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("mailbox: %q is not a loopback address with a port", config.Addr)
	}
	if config.Folder != "" {
		if err := m.openFolder(config.Folder); err != nil {
			return nil, err
		}
	}
	m.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", config.Addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mailbox: %w", err), m.closeFolder())
	}

	m.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{mailbox: m}, nil
	}))
	m.server.Domain = "localhost"
	m.server.MaxMessageBytes = maxMessageBytes
	m.server.MaxRecipients = maxRecipients
	m.server.ReadTimeout, m.server.WriteTimeout = idleTimeout, idleTimeout
	m.server.EnableSMTPUTF8 = true
	m.server.ErrorLog = slog.NewLogLogger(m.logger.Handler(), slog.LevelWarn)
	go func() {
		defer close(m.served)
		if err := m.server.Serve(m.listener); err != nil && !errors.Is(err, net.ErrClosed) {
			m.logger.ErrorContext(ctx, "mailbox stopped", "error", err)
		}
	}()
	return m, nil
}

// Addr is where the SMTP server listens, host and port.
func (m *Mailbox) Addr() string { return m.listener.Addr().String() }

// URL is the address for whatever sends mails: smtp://host:port?starttls=never.
func (m *Mailbox) URL() string { return "smtp://" + m.Addr() + "?starttls=never" }

// Close ends the server and the connections to it. What it took stays readable.
func (m *Mailbox) Close() error {
	err := m.server.Close()
	// Close may come before Serve has made the listener its own.
	if closed := m.listener.Close(); closed != nil && !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	<-m.served
	return errors.Join(err, m.closeFolder())
}

// Mails returns the mails to an address, compared without regard to case, or
// all if it is empty; the newest come first.
func (m *Mailbox) Mails(to string) []Mail {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found := make([]Mail, 0, len(m.mails))
	for _, mail := range slices.Backward(m.mails) {
		if mail.isTo(to) {
			found = append(found, mail)
		}
	}
	return found
}

// Mail returns the mail with this id.
func (m *Mailbox) Mail(id string) (Mail, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i := slices.IndexFunc(m.mails, func(mail Mail) bool { return mail.ID == id })
	if i < 0 {
		return Mail{}, false
	}
	return m.mails[i], true
}

// Clear forgets the mails to an address, or all if it is empty, and returns how
// many there were.
func (m *Mailbox) Clear(to string) int {
	return m.remove(func(mail Mail) bool { return mail.isTo(to) })
}

// Delete forgets one mail and reports whether it was there.
func (m *Mailbox) Delete(id string) bool {
	return m.remove(func(mail Mail) bool { return mail.ID == id }) > 0
}

func (m *Mailbox) remove(which func(Mail) bool) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.mails)
	m.mails = slices.DeleteFunc(m.mails, func(mail Mail) bool {
		if !which(mail) {
			return false
		}
		m.removeFile(mail.ID)
		return true
	})
	return before - len(m.mails)
}

// deliver parses a mail and keeps it.
func (m *Mailbox) deliver(from string, to []string, raw []byte) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	mail := parse(raw)
	mail.ID, mail.ReceivedAt, mail.To = id.String(), m.clock().UTC(), to
	if mail.From == "" {
		mail.From = from
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.writeFile(mail, from, raw); err != nil {
		return err
	}
	m.mails = append(m.mails, mail)
	m.dropOldest()
	return nil
}

// dropOldest makes the mails fit the capacity; the lock is held.
func (m *Mailbox) dropOldest() {
	for len(m.mails) > Capacity {
		m.removeFile(m.mails[0].ID)
		m.mails = slices.Delete(m.mails, 0, 1)
	}
}

// session is one connection of a client.
type session struct {
	mailbox *Mailbox
	from    string
	to      []string
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	var raw bytes.Buffer
	if _, err := io.Copy(&raw, r); err != nil {
		return err
	}
	if err := s.mailbox.deliver(s.from, slices.Clone(s.to), raw.Bytes()); err != nil {
		s.mailbox.logger.Error("mail not kept", "error", err)
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "The mail could not be kept"}
	}
	return nil
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }

// isTo reports whether a mail went to an address; every mail goes to "".
func (m Mail) isTo(address string) bool {
	return address == "" || slices.ContainsFunc(m.To, func(to string) bool { return strings.EqualFold(to, address) })
}
