package mailbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/mailbox"
)

func TestKeepsTheNewest(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	b := setup(t, folder)
	client, err := smtp.Dial(b.Addr())
	require.NoError(t, err)
	for i := range mailbox.Capacity + 3 {
		require.NoError(t, client.SendMail("bounce@picaspot.example", []string{"ada@example.org"},
			strings.NewReader(fmt.Sprintf("Subject: %d\r\n\r\ny\r\n", i))))
	}
	require.NoError(t, client.Quit())
	mails := b.Mails("")
	require.Len(t, mails, mailbox.Capacity)
	require.Equal(t, "502", mails[0].Subject)
	require.Equal(t, "3", mails[len(mails)-1].Subject)
	files, err := filepath.Glob(filepath.Join(folder, "*.eml"))
	require.NoError(t, err)
	require.Len(t, files, mailbox.Capacity)
}

func TestFolderOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "mail")
	b := setup(t, folder)
	b.deliver(t, "ada@example.org,eve@example.org", "From: a@example.org\nSubject: first\n\nX-Mailbox-To: mallory@example.org\n")
	b.deliver(t, "ada@example.org", "Subject: second, without From\n\ny\n")
	b.deliver(t, "ada@example.org", "Subject: third\n\ny\n")
	require.True(t, b.Delete(b.Mails("")[0].ID))
	before := b.Mails("")
	require.NoError(t, b.Close())

	for name, content := range map[string]string{
		"notes.txt": "not a mail", "notes.eml": "not ours",
		"0196f6c0-1111-7000-8000-000000000001.eml": "no envelope",
		"0196f6c0-1111-7000-8000-000000000002.eml": "X-Mailbox-Received: yesterday\r\n\r\n",
		"0196f6c0-1111-7000-8000-000000000003.eml": "Subject: x\r\n\r\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600))
	}
	again := setup(t, folder)
	require.Equal(t, before, again.Mails(""))
	require.Equal(t, 2, again.Clear(""))
	require.FileExists(t, filepath.Join(folder, "notes.eml"), "what is not ours stays")
	require.NoFileExists(t, filepath.Join(folder, before[0].ID+".eml"))
}

func TestFolderThatIsGone(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "mail")
	b := setup(t, folder)
	b.deliver(t, "ada@example.org", "Subject: x\n\ny\n")
	require.NoError(t, os.RemoveAll(folder))
	err := b.submit(t, "ada@example.org", "Subject: x\r\n\r\ny\r\n")
	var refused *smtp.SMTPError
	require.ErrorAs(t, err, &refused, "a mail that is not kept is not acknowledged")
	require.Equal(t, 451, refused.Code)
	require.Equal(t, 1, b.Clear(""))
}
