package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonSequence reads a feature or another object a line, or GeoJSON text
// sequences (RFC 8142), where each one follows a record separator. One that is
// malformed costs no other.
type jsonSequence struct {
	texts *lines
	// passed is how many line feeds lie before the next text.
	passed int
}

const recordSeparator = 0x1e

func newJSONSeq(in input) (reader, error) {
	s := &jsonSequence{texts: newLines(in)}
	if bytes.HasPrefix(trimLeft(in.head), []byte{recordSeparator}) {
		s.texts.end = recordSeparator
	}
	return s, nil
}

// isJSONSeq reports whether a text begins with a record separator, or with two
// lines that are objects each.
func isJSONSeq(head []byte) bool {
	head = trimLeft(head)
	if bytes.HasPrefix(head, []byte{recordSeparator}) {
		return true
	}
	first := firstLine(head)
	rest := trimLeft(head[len(first):])
	value := jsontext.Value(first)
	return isJSONObject(first) && value.IsValid(jsonOptions...) && isJSONObject(rest) && len(rest) > 1
}

func (s *jsonSequence) next() (Record, error) {
	for {
		text, err := s.texts.next()
		if errors.Is(err, io.EOF) {
			return Record{}, io.EOF
		}
		number := text.number
		if s.texts.end == recordSeparator {
			number = 1 + s.passed
			s.passed += text.newlines
			number += bytes.Count(text.text[:len(text.text)-len(trimLeft(text.text))], []byte("\n"))
		}
		if err != nil {
			return Record{}, fmt.Errorf("read the file near line %d: %w", number, err)
		}
		if text.text == nil {
			return Record{Line: number, Faults: []string{errTooLarge.Error()}}, nil
		}
		value := jsontext.Value(bytes.Trim(text.text, " \t\r\n\x1e"))
		if len(value) == 0 {
			continue
		}
		if !value.IsValid(jsonOptions...) {
			return Record{Line: number, Faults: []string{"the JSON is malformed"}}, nil
		}
		record, err := parseObject(value, number)
		if err != nil {
			return Record{Line: number, Faults: []string{err.Error()}}, nil //nolint:nilerr // The next line is another document.
		}
		return *record, nil
	}
}
