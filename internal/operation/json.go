package operation

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/picaspot/picaspot/internal/fault"
)

// maxJSONDepth bounds how deep values nest.
const maxJSONDepth = 64

// maxJSONValues bounds how many values there are, within each other included.
// The validator takes a fifth of a second for a megabyte of fields that it does
// not know; no body of the contract has more than some dozens of values.
const maxJSONValues = 10_000

// maxExactInteger is the greatest integer up to which a float64 holds each one
// (2^53).
const maxExactInteger = 1 << 53

// checkJSON finds in a document what parsers read differently or not at all and
// encoding/json lets pass: text behind the value, duplicate keys, text that is
// not Unicode or that no database takes, numbers beyond float64, deep nesting
// (RFC 8259, sections 4, 6, 8 and 9).
//
// It returns the document with whole numbers written as such: 2.0 and 2e0 are
// integers to a schema, and encoding/json refuses them for an int. It returns
// nil when the document can't be read at all.
func checkJSON(document []byte, found *faults) []byte {
	if !utf8.Valid(document) {
		found.add(fault.Field{Code: "encoding", Message: "The body is not UTF-8."})
		return nil
	}
	// This scanner holds the grammar, so that the walk needs not to.
	var value json.RawMessage
	if err := json.Unmarshal(document, &value); err != nil {
		message := "The body is not JSON."
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && syntax.Offset > 0 {
			message = fmt.Sprintf("The body is not JSON: look at byte %d.", syntax.Offset)
		}
		found.add(fault.Field{Code: "malformed", Message: message})
		return nil
	}
	w := walk{in: document, found: found}
	w.space()
	w.value()
	switch {
	case w.beyond:
		return nil
	case w.copied == 0:
		return document
	}
	return append(w.out, document[w.copied:]...)
}

// walk goes over a document that is valid JSON.
type walk struct {
	in     []byte
	at     int
	path   []string
	found  *faults
	values int
	// beyond is set when a limit ended the walk.
	beyond bool

	out    []byte // in up to copied, with numbers rewritten
	copied int
}

// fault notes one where the walk stands, or in the member of this name there.
func (w *walk) fault(code, message string, member ...string) {
	w.found.add(fault.Field{Pointer: pointerTo(append(w.path, member...)...), Code: code, Message: message})
}

// end notes a limit that was passed, and goes no further.
func (w *walk) end(limit fault.Field) {
	w.found.add(limit)
	w.beyond, w.at = true, len(w.in)
}

func (w *walk) space() {
	for w.at < len(w.in) && (w.in[w.at] == ' ' || w.in[w.at] == '\t' || w.in[w.at] == '\n' || w.in[w.at] == '\r') {
		w.at++
	}
}

// value goes over a value and the space behind it. Nothing is looked at within
// one that nests too deep, or once all faults are found that will be named.
func (w *walk) value() {
	if w.found.full() {
		w.at = len(w.in)
		return
	}
	if w.values++; w.values > maxJSONValues {
		w.end(fault.Field{Code: "size", Message: fmt.Sprintf("The body has more than %d values.", maxJSONValues)})
		return
	}
	switch c := w.in[w.at]; {
	case c == '{' || c == '[':
		if len(w.path) == maxJSONDepth {
			w.end(fault.Field{Pointer: pointerTo(w.path...), Code: "depth", Message: fmt.Sprintf("The body nests deeper than %d levels.", maxJSONDepth)})
			return
		}
		w.at++
		w.space()
		if c == '{' {
			w.object()
		} else {
			w.array()
		}
	case c == '"':
		if problem := w.text(); problem != "" {
			w.fault("encoding", problem)
		}
	case c == '-' || c >= '0' && c <= '9':
		w.number()
	default: // true, false, null
		for w.at < len(w.in) && w.in[w.at] >= 'a' && w.in[w.at] <= 'z' {
			w.at++
		}
	}
	w.space()
}

// more steps over what separates the values of an object or an array, and tells
// whether there is one more.
func (w *walk) more(end byte) bool {
	if w.at >= len(w.in) {
		return false
	}
	c := w.in[w.at]
	if c == ',' || c == end {
		w.at++
		w.space()
	}
	return c != end
}

func (w *walk) array() {
	for i := 0; w.more(']'); i++ {
		w.path = append(w.path, strconv.Itoa(i))
		w.value()
		w.path = w.path[:len(w.path)-1]
	}
}

func (w *walk) object() {
	seen := map[string]struct{}{}
	for w.more('}') {
		start := w.at
		problem := w.text()
		key := decodeText(w.in[start:w.at])
		w.space()
		w.at++ // The colon.
		w.space()
		if problem != "" {
			w.fault("encoding", problem, key)
		}
		if _, twice := seen[key]; twice {
			w.fault("repeated", "The field is there more than once.", key)
		}
		seen[key] = struct{}{}
		w.path = append(w.path, key)
		w.value()
		w.path = w.path[:len(w.path)-1]
	}
}

// decodeText returns the value of a JSON text, of which it knows that it is one.
func decodeText(literal []byte) string {
	for _, c := range literal {
		if c == '\\' {
			var text string
			_ = json.Unmarshal(literal, &text) // Checked by the grammar.
			return text
		}
	}
	return string(literal[1 : len(literal)-1])
}

// text goes over a text and returns what is wrong with it, if anything.
func (w *walk) text() (problem string) {
	for w.at++; w.in[w.at] != '"'; w.at++ {
		if w.in[w.at] != '\\' {
			continue
		}
		w.at++
		if w.in[w.at] != 'u' {
			continue
		}
		unit := w.codeUnit()
		w.at += 4
		switch {
		case unit == 0:
			problem = "The text has a NUL character."
		case utf16.IsSurrogate(unit):
			if w.in[w.at+1] == '\\' && w.in[w.at+2] == 'u' {
				w.at += 2
				second := w.codeUnit()
				if utf16.DecodeRune(unit, second) != utf8.RuneError {
					w.at += 4
					continue
				}
				w.at -= 2
			}
			problem = `The text has half a character: a \u escape of a surrogate pair without the other.`
		}
	}
	w.at++
	return problem
}

// codeUnit returns the four hexadecimal digits behind the u that the walk stands at.
func (w *walk) codeUnit() rune {
	unit, _ := strconv.ParseUint(string(w.in[w.at+1:w.at+5]), 16, 16) // Checked by the grammar.
	return rune(unit)
}

func (w *walk) number() {
	start, plain := w.at, true
	for ; w.at < len(w.in); w.at++ {
		c := w.in[w.at]
		if c == '.' || c == 'e' || c == 'E' {
			plain = false
		} else if c != '-' && c != '+' && (c < '0' || c > '9') {
			break
		}
	}
	literal := string(w.in[start:w.at])
	value, err := strconv.ParseFloat(literal, 64)
	switch {
	case err != nil:
		w.fault("range", "The number is too large.")
	case !plain && value == math.Trunc(value) && math.Abs(value) <= maxExactInteger:
		w.out = append(w.out, w.in[w.copied:start]...)
		w.out = strconv.AppendInt(w.out, int64(value), 10)
		w.copied = w.at
	}
}
