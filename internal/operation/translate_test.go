package operation

import (
	"errors"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
)

func TestTimes(t *testing.T) {
	t.Parallel()
	for text, valid := range map[string]bool{
		"2026-11-01T09:30:00Z":           true,
		"2026-11-01T09:30:00.123456789Z": true,
		"2026-11-01T09:30:00+05:45":      true,
		"2024-02-29T00:00:00Z":           true,
		"0001-01-01T00:00:00Z":           true,
		"9999-12-31T23:59:59Z":           true,
		"2026-11-01t09:30:00z":           true,
		"2026-11-01t09:30:00.5+01:00":    true,
		"2016-12-31T23:59:60Z":           true,
		"2016-12-31T23:59:60.25Z":        true,
		"2015-06-30T18:59:60-05:00":      true,
		"2016-12-30T23:59:60Z":           false, // No end of a month.
		"2016-12-31T23:58:60Z":           false,
		"2016-12-31T23:59:60-05:00":      false,
		"2016-12-31T23:59:61Z":           false,
		"9999-12-31T23:59:60Z":           false,
		"2026-02-29T00:00:00Z":           false,
		"2026-04-31T00:00:00Z":           false,
		"2026-11-01T24:00:00Z":           false,
		"2026-11-01T09:30:60Z":           false,
		"2026-11-01T9:30:00Z":            false,
		"2026-11-01T09:30:00,5Z":         false,
		"2026-11-01T09:30:00":            false,
		"2026-11-01T09:30:00+24:00":      false,
		"2026-11-01 09:30:00Z":           false,
		"2026-11-01":                     false,
		"1793525400":                     false,
		"":                               false,
		"0000-01-01T00:00:00Z":           false,
		"0001-01-01T00:00:00+01:00":      false, // The year before, in UTC.
		"9999-12-31T23:59:59-01:00":      false, // The year after.
	} {
		require.Equal(t, valid, checkTime(text) == nil, text)
	}
}

// Rules that no schema of the contract has yet say what they expect as well.
func TestEachRuleHasItsSentence(t *testing.T) {
	t.Parallel()
	ptr := func(n uint64) *uint64 { return &n }
	number := func(change func(s *openapi3.Schema)) *openapi3.Schema {
		s := openapi3.NewFloat64Schema()
		change(s)
		return s
	}
	both := openapi3.NewAllOfSchema(openapi3.NewStringSchema().WithMinLength(3), openapi3.NewStringSchema().WithPattern("^a"))
	for name, test := range map[string]struct {
		schema *openapi3.Schema
		value  any
		want   []fault.Field
	}{
		"more than": {number(func(s *openapi3.Schema) { s.WithMin(0.5).WithExclusiveMin(true) }), 0.5,
			[]fault.Field{{Code: "exclusiveMinimum", Message: "The number has to be greater than 0.5."}}},
		"less than": {number(func(s *openapi3.Schema) { s.WithMax(1e6).WithExclusiveMax(true) }), 1e6,
			[]fault.Field{{Code: "exclusiveMaximum", Message: "The number has to be less than 1000000."}}},
		"a multiple": {number(func(s *openapi3.Schema) { m := 0.25; s.MultipleOf = &m }), 0.3,
			[]fault.Field{{Code: "multipleOf", Message: "The number has to be a multiple of 0.25."}}},
		"too few items":  {openapi3.NewArraySchema().WithMinItems(2), []any{1.0}, []fault.Field{{Code: "minItems", Message: "At least 2 items are expected."}}},
		"too many items": {openapi3.NewArraySchema().WithMaxItems(1), []any{1.0, 2.0}, []fault.Field{{Code: "maxItems", Message: "At most 1 item is expected."}}},
		"the same items": {openapi3.NewArraySchema().WithUniqueItems(true), []any{1.0, 1.0}, []fault.Field{{Code: "uniqueItems", Message: "Each item may be there once."}}},
		"too many fields": {&openapi3.Schema{Type: &openapi3.Types{"object"}, MaxProps: ptr(1)}, map[string]any{"a": 1.0, "b": 1.0},
			[]fault.Field{{Code: "maxProperties", Message: "At most 1 field is expected."}}},
		"a list": {openapi3.NewArraySchema(), "x", []fault.Field{{Code: "type", Message: "A list is expected."}}},
		"an item": {openapi3.NewArraySchema().WithItems(openapi3.NewBoolSchema()), []any{true, "x"},
			[]fault.Field{{Pointer: "/1", Code: "type", Message: "Either true or false is expected."}}},
		"what is read only": {openapi3.NewObjectSchema().WithProperty("id", &openapi3.Schema{Type: &openapi3.Types{"string"}, ReadOnly: true}), map[string]any{"id": "x"},
			[]fault.Field{{Pointer: "/id", Code: "readOnly", Message: "The field can't be set."}}},
		"another format": {openapi3.NewStringSchema().WithFormat("date"), "x", []fault.Field{{Code: "format", Message: "A value of the format date is expected."}}},
		"all of several": {both, "x", []fault.Field{
			{Code: "minLength", Message: "At least 3 characters are expected."}, {Code: "pattern", Message: "Text that matches ^a is expected."}}},
		"all of several, further in": {openapi3.NewObjectSchema().WithProperty("p", both), map[string]any{"p": "bx"}, []fault.Field{
			{Pointer: "/p", Code: "minLength", Message: "At least 3 characters are expected."}, {Pointer: "/p", Code: "pattern", Message: "Text that matches ^a is expected."}}},
		"one of several":   {openapi3.NewOneOfSchema(openapi3.NewBoolSchema(), openapi3.NewFloat64Schema()), "x", []fault.Field{{Code: "oneOf", Message: notExpected}}},
		"one of two types": {&openapi3.Schema{Type: &openapi3.Types{"string", "number"}}, true, []fault.Field{{Code: "type", Message: notExpected}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found faults
			tr := translation{found: &found}
			tr.translate(&openapi3filter.RequestError{Err: test.schema.VisitJSON(test.value, openapi3.MultiErrors(), openapi3.VisitAsRequest())})
			require.Equal(t, test.want, found.fields)
		})
	}
}

// What the validator says in no way that is known is refused all the same, and
// its text is not repeated.
func TestUnknownErrorsAreFaults(t *testing.T) {
	t.Parallel()
	secret := errors.New("secret")
	parameter := openapi3.NewQueryParameter("size").WithSchema(openapi3.NewIntegerSchema())
	for name, test := range map[string]struct {
		err  error
		want fault.Field
	}{
		"of the request":   {secret, fault.Field{Code: "invalid", Message: notExpected}},
		"of the body":      {&openapi3filter.RequestError{Err: secret}, fault.Field{Code: "invalid", Message: notExpected}},
		"of a parameter":   {&openapi3filter.RequestError{Err: secret, Parameter: parameter}, fault.Field{Parameter: "size", Code: "type", Message: "A whole number is expected."}},
		"of reading":       {&openapi3filter.RequestError{Err: &openapi3filter.ParseError{Reason: "secret"}}, fault.Field{Code: "type", Message: "The value is not of the expected type."}},
		"without a schema": {&openapi3filter.RequestError{Err: &openapi3.SchemaError{SchemaField: "x", Reason: "secret"}}, fault.Field{Code: "x", Message: notExpected}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found faults
			tr := translation{found: &found}
			tr.translate(openapi3.MultiError{test.err})
			require.Equal(t, []fault.Field{test.want}, found.fields)
		})
	}
}
