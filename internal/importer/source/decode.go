package source

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// marks are the byte order marks, the longest first: UTF-32's begins as UTF-16's.
var marks = []struct {
	mark     string
	encoding encoding.Encoding
}{
	{"\xff\xfe\x00\x00", utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)},
	{"\x00\x00\xfe\xff", utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)},
	{"\xff\xfe", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
	{"\xfe\xff", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
	{"\xef\xbb\xbf", encoding.Nop},
}

// decode makes UTF-8 without a byte order mark of a file's text. A mark decides;
// without one the text is in the encoding of that name, or in UTF-8. Bytes that
// are not UTF-8 stay as they are where nothing has to be decoded. It reports
// whether the encoding was known.
func decode(from io.Reader, name string) (text io.Reader, isKnown bool, err error) {
	buffered := bufio.NewReader(from)
	head, _ := buffered.Peek(4) // A fault of the file is found by the next read.
	for _, m := range marks {
		if bytes.HasPrefix(head, []byte(m.mark)) {
			if _, err := buffered.Discard(len(m.mark)); err != nil {
				return nil, false, err
			}
			return m.encoding.NewDecoder().Reader(buffered), true, nil
		}
	}
	if name == "" {
		return buffered, false, nil
	}
	named, err := htmlindex.Get(name)
	if err != nil {
		return nil, false, fmt.Errorf("encoding %q is not known", name)
	}
	return named.NewDecoder().Reader(buffered), true, nil
}
