package operation

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
)

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	const doubled = "The field is there more than once."
	const half = `The text has half a character: a \u escape of a surrogate pair without the other.`
	for name, test := range map[string]struct {
		in   string
		want []fault.Field
	}{
		"takes an object":                {`{"a": [1, -2.5e3, "x", true, false, null, {}], "b": {"a": []}}`, nil},
		"takes space everywhere":         {" {\r\n\t\"a\" : [ 1 , 2 ] , \"b\" : { } } \n", nil},
		"takes a single value":           {`"x"`, nil},
		"takes a pair of escapes":        {`"\ud83d\ude00 \u00e9 \\ud800 \" \/"`, nil},
		"takes 64 levels":                {strings.Repeat("[", 64) + strings.Repeat("]", 64), nil},
		"refuses nothing":                {"", []fault.Field{{Code: "malformed", Message: "The body is not JSON."}}},
		"refuses half a document":        {`{"a": `, []fault.Field{{Code: "malformed", Message: "The body is not JSON: look at byte 6."}}},
		"refuses a second value":         {`{} {}`, []fault.Field{{Code: "malformed", Message: "The body is not JSON: look at byte 4."}}},
		"refuses a trailing comma":       {`{"a": 1,}`, []fault.Field{{Code: "malformed", Message: "The body is not JSON: look at byte 9."}}},
		"refuses NaN":                    {`{"a": NaN}`, []fault.Field{{Code: "malformed", Message: "The body is not JSON: look at byte 7."}}},
		"refuses a byte order mark":      {"\ufeff{}", []fault.Field{{Code: "malformed", Message: "The body is not JSON: look at byte 1."}}},
		"refuses other encodings":        {"\"\xff\"", []fault.Field{{Code: "encoding", Message: "The body is not UTF-8."}}},
		"refuses encoded surrogates":     {"\"\xed\xa0\x80\"", []fault.Field{{Code: "encoding", Message: "The body is not UTF-8."}}},
		"refuses 65 levels":              {strings.Repeat("[", 65) + strings.Repeat("]", 65), []fault.Field{{Pointer: strings.Repeat("/0", 64), Code: "depth", Message: "The body nests deeper than 64 levels."}}},
		"takes 10000 values":             {"[" + strings.Repeat("1,", 9998) + "1]", nil},
		"refuses 10001 values":           {"[" + strings.Repeat("1,", 9999) + "1]", []fault.Field{{Code: "size", Message: "The body has more than 10000 values."}}},
		"refuses duplicate keys":         {`{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}`, []fault.Field{{Pointer: "/b/c", Code: "repeated", Message: doubled}, {Pointer: "/a", Code: "repeated", Message: doubled}}},
		"refuses escaped duplicate keys": {`{"a": 1, "\u0061": 2}`, []fault.Field{{Pointer: "/a", Code: "repeated", Message: doubled}}},
		"takes a key in two objects":     {`[{"a": 1}, {"a": 1}]`, nil},
		"refuses NUL in a text":          {`{"a": ["x", "y\u0000z"]}`, []fault.Field{{Pointer: "/a/1", Code: "encoding", Message: "The text has a NUL character."}}},
		"refuses NUL in a key":           {`{"a\u0000": 1}`, []fault.Field{{Pointer: "/a\uFFFD", Code: "encoding", Message: "The text has a NUL character."}}},
		"refuses a lone high surrogate":  {`{"a": "\ud83d"}`, []fault.Field{{Pointer: "/a", Code: "encoding", Message: half}}},
		"refuses a lone low surrogate":   {`{"a": "\ude00"}`, []fault.Field{{Pointer: "/a", Code: "encoding", Message: half}}},
		"refuses a high surrogate before another escape": {`["\ud83d\n", "\ud83d\u0041", "\ud83dx"]`, []fault.Field{
			{Pointer: "/0", Code: "encoding", Message: half}, {Pointer: "/1", Code: "encoding", Message: half}, {Pointer: "/2", Code: "encoding", Message: half}}},
		"finds a NUL behind half a character": {`"\ud83d\u0000"`, []fault.Field{{Code: "encoding", Message: "The text has a NUL character."}}},
		"refuses numbers beyond float64":      {`{"a": 1e400, "b": -1e400}`, []fault.Field{{Pointer: "/a", Code: "range", Message: "The number is too large."}, {Pointer: "/b", Code: "range", Message: "The number is too large."}}},
		"takes numbers next to zero":          {`[1e-400, 0, -0, 1E+2, 5e-324]`, nil},
		"escapes pointers":                    {`{"a/b~c": "\u0000"}`, []fault.Field{{Pointer: "/a~1b~0c", Code: "encoding", Message: "The text has a NUL character."}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found faults
			out := checkJSON([]byte(test.in), &found)
			require.Equal(t, test.want, found.fields)
			if test.want == nil {
				require.NotNil(t, out)
			}
		})
	}
}

func TestCheckJSONWritesWholeNumbersAsSuch(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"a": 2.0}`:                   `{"a": 2}`,
		`[1e2, 2.50, -3.0E0 , 0.0, 7]`: `[100, 2.50, -3 , 0, 7]`,
		`[1e300, 9007199254740993.0]`:  `[1e300, 9007199254740992]`,
		`1.5`:                          `1.5`,
		`-0.0`:                         `0`,
		`{"1.0": "2.0"}`:               `{"1.0": "2.0"}`,
	} {
		var found faults
		require.Equal(t, want, string(checkJSON([]byte(in), &found)))
		require.Empty(t, found.fields)
	}
}

func TestCheckJSONStopsAtTheBound(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 1000)
	member := `"` + long + `": "\u0000"`
	for name, document := range map[string]string{
		"items":  "[" + strings.Repeat(`"\u0000",`, 5000) + "1]",
		"fields": "{" + strings.Repeat(member+",", 500) + member + "}",
		"nested": strings.Repeat(`{"`+long+`":[`, 30) + strings.Repeat(`"\u0000",`, 500) + "1" + strings.Repeat("]}", 30),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found faults
			checkJSON([]byte(document), &found)
			require.Len(t, found.fields, maxFaults)
			require.Equal(t, "The request has more than 100 faults; these are the first.", found.err().Message)
			for _, f := range found.fields {
				require.LessOrEqual(t, len(f.Pointer), maxPointer)
			}
		})
	}
}

// FuzzCheckJSON holds the check against encoding/json: it never fails over a
// document, takes nothing that is not JSON, changes no value, and what it takes
// has no NUL, no replaced character and each key once.
func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{
		`{"name": "x", "difficulty": 2.0, "photo_location": {"latitude": 1e1, "longitude": -0.5}}`,
		`{"a": 1, "a": 2}`, `{"a": {"b": [1, 2.0, {"c": "\u0000"}]}}`, `"\ud83d\ude00"`, `"\ud83d"`, `"\udc00\ud800"`,
		`[1e400]`, `[] []`, `{"\u0061": 1, "a": 2}`, ` { } `, `[[[[]]]]`, `tru`, `"\`, `"\u12`, "\xff", `[1,]`, `-`, `{"a"`,
		strings.Repeat("[", 70) + strings.Repeat("]", 70),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		before := bytes.Clone(document)
		var found faults
		out := checkJSON(document, &found)
		require.Equal(t, before, document, "the document was changed in place")
		for _, field := range found.fields {
			require.True(t, utf8.ValidString(field.Pointer))
			require.LessOrEqual(t, len(field.Pointer), maxPointer)
		}
		if len(found.fields) > 0 {
			return
		}
		require.True(t, json.Valid(document), "took what is not JSON")
		var was, is any
		require.NoError(t, json.Unmarshal(document, &was))
		require.NoError(t, json.Unmarshal(out, &is))
		require.True(t, reflect.DeepEqual(was, is) || bytes.Contains(document, []byte("-0")), "a value was changed")
		requireText(t, is, bytes.Contains(document, []byte("\uFFFD")) || bytes.Contains(bytes.ToLower(document), []byte("fffd")))
		// A key that was there twice is lost in the value.
		require.Equal(t, tokens(t, document), tokens(t, compact(t, was)), "took a key twice")
	})
}

func requireText(t *testing.T, value any, mayBeReplaced bool) {
	t.Helper()
	switch v := value.(type) {
	case string:
		require.NotContains(t, v, "\x00")
		require.True(t, mayBeReplaced || !strings.ContainsRune(v, utf8.RuneError), "took half a character")
	case []any:
		for _, item := range v {
			requireText(t, item, mayBeReplaced)
		}
	case map[string]any:
		for key, item := range v {
			requireText(t, key, mayBeReplaced)
			requireText(t, item, mayBeReplaced)
		}
	}
}

func compact(t *testing.T, value any) []byte {
	t.Helper()
	out, err := json.Marshal(value)
	require.NoError(t, err)
	return out
}

func tokens(t *testing.T, document []byte) int {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(document))
	for n := 0; ; n++ {
		if _, err := decoder.Token(); err != nil {
			require.ErrorIs(t, err, io.EOF)
			return n
		}
	}
}
