package operation

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/picaspot/picaspot/internal/fault"
)

// maxFaults bounds how many faults a problem names.
const maxFaults = 100

// Limits of what a problem repeats of a request, in bytes: a request must not
// buy an answer many times its own size.
const (
	maxName    = 64
	maxPointer = 512
)

// faults collects what is wrong with a request.
type faults struct {
	fields []fault.Field
	more   bool
}

func (f *faults) add(fields ...fault.Field) {
	room := maxFaults - len(f.fields)
	if len(fields) > room {
		f.more = true
		fields = fields[:room]
	}
	f.fields = append(f.fields, fields...)
}

// full tells that nothing more will be named.
func (f *faults) full() bool { return f.more }

// err returns the faults as one, or nil when there are none.
func (f *faults) err() *fault.Error {
	var message string
	switch n := len(f.fields); {
	case n == 0:
		return nil
	case f.more:
		message = fmt.Sprintf("The request has more than %d faults; these are the first.", maxFaults)
	case n == 1:
		message = "The request has 1 fault."
	default:
		message = fmt.Sprintf("The request has %d faults.", n)
	}
	return fault.New(fault.Invalid, "invalid_request", message).With(f.fields...)
}

// shown cuts a name that a client made up to what a problem may repeat.
func shown(name string) string {
	if len(name) > maxName {
		cut := maxName
		for cut > 0 && !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut] + "…"
	}
	return strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", "\uFFFD"), "\uFFFD")
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

// pointerTo writes a JSON pointer (RFC 6901). One that is too long to be
// repeated ends at an ancestor.
func pointerTo(path ...string) string {
	var b strings.Builder
	for _, part := range path {
		part = escapePointer.Replace(shown(part))
		if b.Len()+1+len(part) > maxPointer {
			break
		}
		b.WriteString("/" + part)
	}
	return b.String()
}

// isText tells text that a database takes: UTF-8 without NUL.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

const notText = "Text has to be UTF-8 without NUL characters."
