package idempotency

import (
	"regexp"
	"strings"
)

// Expected is what a header that holds no key should have held.
const Expected = "1 to 255 visible ASCII characters are expected, as a UUID has, or such a text in double quotes."

// maxKey bounds a key, in bytes.
const maxKey = 255

// keyForm is the two ways to write a key: as it is, and as the text of a
// structured field (RFC 8941, section 3.3.3), which is what the draft asks for.
var keyForm = regexp.MustCompile(`^(?:[!#-~][!-~]*|"(?:[!#-\[\]-~]|\\["\\])+")$`)

var unescape = strings.NewReplacer(`\\`, `\`, `\"`, `"`)

// ParseKey returns the key that a header holds. One in quotes is the same key as
// without them.
func ParseKey(header string) (key string, ok bool) {
	if !keyForm.MatchString(header) {
		return "", false
	}
	if header[0] == '"' {
		header = unescape.Replace(header[1 : len(header)-1])
	}
	return header, len(header) <= maxKey
}
