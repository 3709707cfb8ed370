package source

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// lines reads a text line by line. Lines end with LF, CR LF, or with CR in a text
// whose first line ends so.
type lines struct {
	from *bufio.Reader
	end  byte
	// again has the lines that are returned before the text is read on.
	again []line
	// number is how many lines were read.
	number int
}

// line is a line with its end, which is always LF.
type line struct {
	// text is nil if the line is too large.
	text   []byte
	number int // from 1
	// newlines is how many line feeds the text has, or had.
	newlines int
}

func newLines(in input) *lines {
	l := &lines{from: in.Reader, end: '\n'}
	if i := bytes.IndexAny(in.head, "\r\n"); i >= 0 && in.head[i] == '\r' && i+1 < len(in.head) && in.head[i+1] != '\n' {
		l.end = '\r'
	}
	return l
}

// firstLine is the first one of a text, without its end.
func firstLine(head []byte) []byte {
	if i := bytes.IndexAny(head, "\r\n"); i >= 0 {
		return head[:i]
	}
	return head
}

// next returns the next line. The text of one that is too large is skipped.
func (l *lines) next() (line, error) {
	if len(l.again) > 0 {
		next := l.again[0]
		l.again = l.again[1:]
		return next, nil
	}
	var text []byte
	var size, newlines int
	for {
		part, err := l.from.ReadSlice(l.end)
		newlines += bytes.Count(part, []byte("\n"))
		if size += len(part); size <= maxRecordBytes {
			text = append(text, part...)
		} else {
			text = nil
		}
		if err == nil || errors.Is(err, io.EOF) && size > 0 {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line{}, err
		}
	}
	l.number++
	if n := len(text); n > 0 && text[n-1] == l.end {
		text[n-1] = '\n'
	}
	return line{text, l.number, newlines}, nil
}

// unread has lines returned again. They are the last ones that next returned.
func (l *lines) unread(again []line) { l.again = append(again, l.again...) }
