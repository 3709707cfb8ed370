package operation

import (
	"net/url"
	"strings"

	"github.com/picaspot/picaspot/internal/fault"
)

// pair is a name and a value of a query string or a form.
type pair struct{ name, value string }

// splitForm reads the form encoding of a query string or a body. Unlike
// url.ParseQuery it goes on behind a fault, and tells the name where the fault
// is in the value.
func splitForm(encoded string) (pairs []pair, malformed []string) {
	if encoded == "" {
		return nil, nil
	}
	pairs = make([]pair, 0, 1+strings.Count(encoded, "&"))
	for part := range strings.SplitSeq(encoded, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			malformed = append(malformed, rawName)
			continue
		}
		value, err := url.QueryUnescape(rawValue)
		// A semicolon separates to some parsers and not to others: Go drops the
		// pair in silence.
		if err != nil || strings.Contains(part, ";") {
			malformed = append(malformed, name)
			continue
		}
		pairs = append(pairs, pair{name, value})
	}
	return pairs, malformed
}

const notEncoded = "It is not encoded correctly: a % stands before two hexadecimal digits, and a semicolon is written %3B."

// checkForm reads a query string or a form whose names are declared; true are
// those that may repeat. Each fault is noted by at.
func checkForm(encoded string, declared map[string]bool, unknown string, found *faults, at func(name string, f fault.Field) fault.Field) url.Values {
	values := url.Values{}
	pairs, malformed := splitForm(encoded)
	for _, name := range malformed {
		found.add(at(name, fault.Field{Code: "encoding", Message: notEncoded}))
	}
	refused := map[string]bool{}
	for _, p := range pairs {
		repeats, known := declared[p.name]
		var f fault.Field
		switch {
		case refused[p.name]:
			continue
		case !isText(p.name):
			f = fault.Field{Code: "encoding", Message: notText}
		case !known:
			f = fault.Field{Code: "unknown", Message: unknown}
		case values.Has(p.name) && !repeats:
			f = fault.Field{Code: "repeated", Message: "It may be given once."}
		case !isText(p.value):
			f = fault.Field{Code: "encoding", Message: notText}
		default:
			values.Add(p.name, p.value)
			continue
		}
		refused[p.name] = true
		found.add(at(p.name, f))
	}
	return values
}

func inQuery(name string, f fault.Field) fault.Field {
	f.Parameter = shown(name)
	return f
}

func inBody(name string, f fault.Field) fault.Field {
	f.Pointer = pointerTo(name)
	return f
}
