package mailbox

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "\r\n", "Subject: x\r\n\r\ny",
		"Subject: =?UTF-8?B?////?=\r\nContent-Type: text/html; charset=utf-16\r\n\r\n<a href=https://a.example>\xff",
		"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n--a--",
		"Content-Transfer-Encoding: base64\r\n\r\n====",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := parse(raw)
		for _, text := range append([]string{m.From, m.Subject, m.Text, m.HTML}, m.Links...) {
			require.True(t, utf8.ValidString(text))
		}
		for _, link := range m.Links {
			require.Regexp(t, `^(?i)https?://`, link)
		}
		_, err := json.Marshal(m)
		require.NoError(t, err)
		_, _ = parseFile(raw)
	})
}
