package operation

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/picaspot/picaspot/internal/fault"
)

// translation makes fields of what the validator found. Its own texts speak of
// schemas and Go and some repeat the value, which may be a password.
type translation struct {
	found *faults
	// named are the faults from before. What was refused there the validator did
	// not get, or not as it was, so that it misses it or says it twice.
	named []fault.Field
	// listed are the objects whose unknown fields are named already.
	listed map[string]bool
}

func (t *translation) translate(err error) {
	// Each error is looked at by itself: errors.As would find the first of a list.
	switch e := err.(type) { //nolint:errorlint // See above.
	case nil:
	case openapi3.MultiError:
		for _, one := range e {
			t.translate(one)
		}
	case *openapi3filter.RequestError:
		if e.Parameter != nil {
			t.parameter(e.Parameter, e.Err)
		} else {
			t.body(e.Err)
		}
	default:
		t.found.add(fault.Field{Code: "invalid", Message: notExpected})
	}
}

// isNamed tells whether there is a fault at a place already.
func (t *translation) isNamed(at fault.Field) bool {
	return slices.ContainsFunc(t.named, func(f fault.Field) bool {
		return f.Parameter == at.Parameter && f.Pointer == at.Pointer
	})
}

const (
	notExpected = "The value is not what is expected."
	missing     = "The field is missing."
)

// parameter names what is wrong with a parameter, once for each rule.
func (t *translation) parameter(p *openapi3.Parameter, err error) {
	if t.isNamed(fault.Field{Parameter: p.Name}) {
		return
	}
	f := fault.Field{Parameter: p.Name, Code: "type", Message: typeSentence(p.Schema.Value)}
	switch {
	case errors.Is(err, openapi3filter.ErrInvalidRequired):
		f.Code, f.Message = "required", "The parameter is missing."
	case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
		f.Code, f.Message = "required", "The parameter is empty."
	default:
		for _, broken := range schemaErrors(err) {
			t.found.add(fault.Field{Parameter: p.Name, Code: broken.SchemaField, Message: sentence(broken)})
		}
		if len(schemaErrors(err)) > 0 {
			return
		}
	}
	t.found.add(f)
}

func (t *translation) body(err error) {
	if errors.Is(err, openapi3filter.ErrInvalidRequired) {
		t.found.add(fault.Field{Code: "required", Message: "The body is missing."})
		return
	}
	var parse *openapi3filter.ParseError
	if errors.As(err, &parse) {
		path := make([]string, 0, len(parse.Path()))
		for _, part := range parse.Path() {
			path = append(path, fmt.Sprint(part))
		}
		t.found.add(fault.Field{Pointer: pointerTo(path...), Code: "type", Message: "The value is not of the expected type."})
		return
	}
	broken := schemaErrors(err)
	if len(broken) == 0 {
		t.found.add(fault.Field{Code: "invalid", Message: notExpected})
	}
	for _, e := range broken {
		if t.found.full() {
			return
		}
		path := e.JSONPointer()
		if e.SchemaField == "properties" {
			t.unknownFields(path, e)
			continue
		}
		f := fault.Field{Pointer: pointerTo(path...), Code: e.SchemaField, Message: sentence(e)}
		if f.Pointer == "" || !t.isNamed(f) {
			t.found.add(f)
		}
	}
}

// unknownFields names the fields that an object has too many. The validator
// reports each of them as a fault of the object, so the first one tells of all.
func (t *translation) unknownFields(path []string, e *openapi3.SchemaError) {
	object := strings.Join(path, "\x00")
	if t.listed[object] {
		return
	}
	if t.listed == nil {
		t.listed = map[string]bool{}
	}
	t.listed[object] = true
	value, _ := e.Value.(map[string]any)
	var unknown []string
	for name := range value {
		if e.Schema.Properties[name] == nil {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		f := fault.Field{Pointer: pointerTo(append(path, name)...), Code: "unknown", Message: "There is no such field."}
		if !t.isNamed(f) {
			t.found.add(f)
		}
		if t.found.full() {
			return
		}
	}
}

// schemaErrors returns the single faults of a value, those of allOf included,
// which the validator hides behind one of its own.
func schemaErrors(err error) []*openapi3.SchemaError {
	switch e := err.(type) { //nolint:errorlint // As in translate.
	case openapi3.MultiError:
		var all []*openapi3.SchemaError
		for _, one := range e {
			all = append(all, schemaErrors(one)...)
		}
		return all
	case *openapi3.SchemaError:
		var parts openapi3.MultiError
		if e.SchemaField == "allOf" && errors.As(e.Origin, &parts) {
			return schemaErrors(parts)
		}
		return []*openapi3.SchemaError{e}
	default:
		return nil
	}
}

// sentence says what a schema expects of the value that breaks it.
func sentence(e *openapi3.SchemaError) string {
	s := e.Schema
	if s == nil {
		return notExpected
	}
	switch e.SchemaField {
	case "required":
		return missing
	case "type":
		return typeSentence(s)
	case "nullable":
		return "null is not possible here. " + typeSentence(s)
	case "enum":
		return oneOf(s.Enum)
	case "format":
		if named, ok := formatNames[s.Format]; ok {
			return named
		}
		return "A value of the format " + s.Format + " is expected."
	case "pattern":
		return "Text that matches " + s.Pattern + " is expected."
	case "readOnly":
		return "The field can't be set."
	}
	if limit := limitSentence(e.SchemaField, s); limit != "" {
		return limit
	}
	return notExpected
}

// limitSentence says what a limit of a schema is, or nothing for other rules.
func limitSentence(rule string, s *openapi3.Schema) string {
	switch {
	case rule == "minimum" && s.Min != nil:
		return "The number has to be at least " + number(*s.Min) + "."
	case rule == "maximum" && s.Max != nil:
		return "The number has to be at most " + number(*s.Max) + "."
	case rule == "exclusiveMinimum" && s.Min != nil:
		return "The number has to be greater than " + number(*s.Min) + "."
	case rule == "exclusiveMaximum" && s.Max != nil:
		return "The number has to be less than " + number(*s.Max) + "."
	case rule == "multipleOf" && s.MultipleOf != nil:
		return "The number has to be a multiple of " + number(*s.MultipleOf) + "."
	case rule == "minLength":
		return "At least " + count(s.MinLength, "character") + "."
	case rule == "maxLength" && s.MaxLength != nil:
		return "At most " + count(*s.MaxLength, "character") + "."
	case rule == "minItems":
		return "At least " + count(s.MinItems, "item") + "."
	case rule == "maxItems" && s.MaxItems != nil:
		return "At most " + count(*s.MaxItems, "item") + "."
	case rule == "uniqueItems":
		return "Each item may be there once."
	case rule == "minProperties":
		return "At least " + count(s.MinProps, "field") + "."
	case rule == "maxProperties" && s.MaxProps != nil:
		return "At most " + count(*s.MaxProps, "field") + "."
	default:
		return ""
	}
}

func number(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

func count(n uint64, of string) string {
	if n == 1 {
		return "1 " + of + " is expected"
	}
	return strconv.FormatUint(n, 10) + " " + of + "s are expected"
}

func oneOf(values []any) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = fmt.Sprint(value)
	}
	if len(texts) == 1 {
		return texts[0] + " is expected."
	}
	return "One of " + strings.Join(texts, ", ") + " is expected."
}

var typeNames = map[string]string{
	openapi3.TypeString:  "Text",
	openapi3.TypeNumber:  "A number",
	openapi3.TypeInteger: "A whole number",
	openapi3.TypeBoolean: "Either true or false",
	openapi3.TypeObject:  "An object",
	openapi3.TypeArray:   "A list",
}

func typeSentence(s *openapi3.Schema) string {
	types := s.Type.Slice()
	if len(types) != 1 {
		return notExpected
	}
	return typeNames[types[0]] + " is expected."
}
