package operation

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/fault"
)

// translate makes fields of what the validator found.
func translate(err error) []fault.Field {
	if err == nil {
		return nil
	}
	var multi openapi3.MultiError
	var request *openapi3filter.RequestError
	var schema *openapi3.SchemaError
	var parse *openapi3filter.ParseError
	switch {
	case isMulti(err, &multi):
		var fields []fault.Field
		for _, one := range multi {
			fields = append(fields, translate(one)...)
		}
		return fields
	case asRequest(err, &request):
		fields := translate(request.Err)
		if request.Err == nil {
			fields = []fault.Field{{Code: "invalid", Message: sentence(request.Reason)}}
		}
		for i := range fields {
			if request.Parameter != nil {
				fields[i].Parameter, fields[i].Pointer = request.Parameter.Name, ""
			}
		}
		return fields
	case errors.As(err, &schema):
		return []fault.Field{{Pointer: pointer(schema), Code: code(schema), Message: sentence(schema.Reason)}}
	case errors.As(err, &parse):
		return []fault.Field{{Code: "type", Message: "The value is not of the expected type."}}
	case errors.Is(err, openapi3filter.ErrInvalidRequired):
		return []fault.Field{{Code: "required", Message: "It is missing."}}
	case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
		return []fault.Field{{Code: "required", Message: "It is empty."}}
	default:
		return []fault.Field{{Code: "invalid", Message: "The value is not what is expected."}}
	}
}

// isMulti unwraps one level only: a request error may hold a list of its own.
func isMulti(err error, target *openapi3.MultiError) bool {
	multi, ok := err.(openapi3.MultiError) //nolint:errorlint // See above.
	*target = multi
	return ok
}

func asRequest(err error, target **openapi3filter.RequestError) bool {
	request, ok := err.(*openapi3filter.RequestError) //nolint:errorlint // See isMulti.
	*target = request
	return ok
}

// code is the schema's word that was broken, and a word of ours for a field that
// the schema does not have.
func code(err *openapi3.SchemaError) string {
	if isUnknownField(err) {
		return "unknown"
	}
	return err.SchemaField
}

func isUnknownField(err *openapi3.SchemaError) bool {
	return err.SchemaField == "properties" || err.SchemaField == "additionalProperties"
}

func pointer(err *openapi3.SchemaError) string {
	var b strings.Builder
	for _, part := range err.JSONPointer() {
		b.WriteString("/")
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	// The validator names the object that has a field too many, not the field.
	if isUnknownField(err) {
		if _, name, found := strings.Cut(err.Reason, `property "`); found {
			name, _, _ = strings.Cut(name, `"`)
			if !strings.HasSuffix(b.String(), "/"+name) {
				b.WriteString("/" + name)
			}
		}
	}
	return b.String()
}

// sentence makes a sentence of the validator's reason.
func sentence(reason string) string {
	reason, _, _ = strings.Cut(reason, "\n")
	if _, expected, found := strings.Cut(reason, "doesn't match the format"); found {
		if _, why, found := strings.Cut(expected, "("); found {
			reason = strings.TrimSuffix(why, ")")
		}
	}
	if reason == "" {
		return "The value is not what is expected."
	}
	return strings.ToUpper(reason[:1]) + strings.TrimRight(reason[1:], ".") + "."
}

var defineFormats = sync.OnceFunc(func() {
	openapi3.DefineStringFormatCallback("uuid", func(text string) error {
		if _, err := uuid.Parse(text); err != nil || len(text) != 36 {
			return errors.New("a UUID is expected")
		}
		return nil
	})
	openapi3.DefineStringFormatCallback("date-time", func(text string) error {
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			return errors.New("a time as in 2026-11-01T09:30:00Z is expected")
		}
		return nil
	})
	openapi3.DefineStringFormatCallback("email", func(text string) error {
		address, err := mail.ParseAddress(text)
		if err != nil || address.Address != text || !strings.Contains(text[strings.LastIndex(text, "@"):], ".") {
			return fmt.Errorf("an e-mail address is expected")
		}
		return nil
	})
})
