package authz

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/picaspot/picaspot/internal/fault"
)

// Sent is what a request says of a role, from which a policy text was made with
// [WithGrants] and [WithParents].
type Sent struct {
	Role    string
	Grants  []Grant
	Parents []string
	// Rest is the pointer for faults of lines that the request did not bring.
	Rest string
}

// Point returns an error of [Validate] with pointers into the request instead of lines
// of the text, which the client has not sent: "/permissions/n" and "/inherits/n",
// counted from 0. Another error comes back as it is.
func (s Sent) Point(err error, text string) error {
	var invalid *fault.Error
	if !errors.As(err, &invalid) || invalid.Code != codeInvalid {
		return err
	}
	pointers := s.pointers()
	lines := strings.Split(text, "\n")
	fields := make([]fault.Field, len(invalid.Fields))
	for i, field := range invalid.Fields {
		digits, isLine := strings.CutPrefix(field.Pointer, linePointer)
		if number, err := strconv.Atoi(digits); isLine && err == nil && number <= len(lines) {
			var known bool
			if field.Pointer, known = pointers[canonical(lines[number-1])]; !known {
				field.Pointer = s.Rest
			}
			field.Message = sentence(strings.TrimPrefix(field.Message, linePrefix(number)))
		}
		fields[i] = field
	}
	pointed := *invalid
	pointed.Fields = fields
	return &pointed
}

// pointers are those into the request, by the lines that were made of it.
func (s Sent) pointers() map[string]string {
	pointers := map[string]string{}
	for i, grant := range s.Grants {
		pointers[canonical(grant.line(s.Role))] = fmt.Sprintf("/permissions/%d", i)
	}
	for i, parent := range s.Parents {
		pointers[canonical(parentLine(s.Role, parent))] = fmt.Sprintf("/inherits/%d", i)
	}
	return pointers
}

func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
