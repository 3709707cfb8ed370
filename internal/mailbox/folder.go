package mailbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A file is the message after the lines of its envelope, which nothing in the
// message can be mistaken for, and an empty line.
const (
	suffix    = ".eml"
	timeLine  = "X-Mailbox-Received: "
	fromLine  = "X-Mailbox-From: "
	toLine    = "X-Mailbox-To: "
	lineBreak = "\r\n"
)

func (m *Mailbox) openFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	m.folder = root
	if err := m.readFolder(); err != nil {
		return errors.Join(fmt.Errorf("mailbox: %w", err), m.closeFolder())
	}
	return nil
}

func (m *Mailbox) closeFolder() error {
	if m.folder == nil {
		return nil
	}
	return m.folder.Close()
}

// readFolder takes up what an earlier run kept. Names are UUIDv7, so that their
// order is that of arrival. Files that are not ours are left alone.
func (m *Mailbox) readFolder() error {
	entries, err := fs.ReadDir(m.folder.FS(), ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		id, ours := strings.CutSuffix(entry.Name(), suffix)
		if _, err := uuid.Parse(id); !ours || err != nil || !entry.Type().IsRegular() {
			continue
		}
		content, err := m.folder.ReadFile(entry.Name())
		if err != nil {
			return err
		}
		mail, err := parseFile(content)
		if err != nil {
			m.logger.Warn("mail not readable", "file", entry.Name(), "error", err)
			continue
		}
		mail.ID = id
		m.mails = append(m.mails, mail)
	}
	m.dropOldest()
	return nil
}

func (m *Mailbox) writeFile(mail Mail, from string, raw []byte) error {
	if m.folder == nil {
		return nil
	}
	var content bytes.Buffer
	content.WriteString(timeLine + mail.ReceivedAt.Format(time.RFC3339Nano) + lineBreak)
	content.WriteString(fromLine + from + lineBreak)
	for _, to := range mail.To {
		content.WriteString(toLine + to + lineBreak)
	}
	content.WriteString(lineBreak)
	content.Write(raw)
	return m.folder.WriteFile(mail.ID+suffix, content.Bytes(), 0o600)
}

func (m *Mailbox) removeFile(id string) {
	if m.folder == nil {
		return
	}
	if err := m.folder.Remove(id + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.logger.Warn("mail not removed", "id", id, "error", err)
	}
}

func parseFile(content []byte) (Mail, error) {
	var (
		envelope Mail
		from     string
		reader   = bufio.NewReader(bytes.NewReader(content))
	)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return Mail{}, errors.New("the envelope does not end")
		}
		line = strings.TrimSuffix(line, lineBreak)
		if line == "" {
			break
		}
		if text, ok := strings.CutPrefix(line, timeLine); ok {
			if envelope.ReceivedAt, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return Mail{}, err
			}
		} else if text, ok := strings.CutPrefix(line, toLine); ok {
			envelope.To = append(envelope.To, text)
		} else if text, ok := strings.CutPrefix(line, fromLine); ok {
			from = text
		} else {
			return Mail{}, errors.New("the envelope has another line")
		}
	}
	var message bytes.Buffer
	if _, err := reader.WriteTo(&message); err != nil {
		return Mail{}, err
	}
	mail := parse(message.Bytes())
	mail.To, mail.ReceivedAt = envelope.To, envelope.ReceivedAt
	if mail.From == "" {
		mail.From = from
	}
	return mail, nil
}
