package operation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // Zones by their IANA names, whatever the machine has.
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// body is what the spec says of an operation's body.
type body struct {
	required bool
	types    []string
	// isUpload bodies are files or forms with files: they are looked at while
	// they stream, by their handler.
	isUpload bool
}

func newBody(ref *openapi3.RequestBodyRef) *body {
	if ref == nil {
		return nil
	}
	b := &body{required: ref.Value.Required}
	for contentType := range ref.Value.Content {
		b.types = append(b.types, contentType)
		if strings.HasPrefix(contentType, "multipart/") || strings.HasPrefix(contentType, "image/") {
			b.isUpload = true
		}
	}
	slices.Sort(b.types)
	return b
}

func (b *body) accepts(mediaType string) bool {
	return slices.ContainsFunc(b.types, func(accepted string) bool {
		prefix, wildcard := strings.CutSuffix(accepted, "*")
		return accepted == mediaType || wildcard && strings.HasPrefix(mediaType, prefix)
	})
}

// maxFaults bounds how many faults a problem names.
const maxFaults = 100

// validate holds a request against the spec and names all its faults at once.
// The request that it returns has its body read and put back.
func (op *Operation) validate(r *http.Request) (*http.Request, error) {
	var faults []fault.Field
	r, timezoneFault := withTimezone(r)
	faults = append(faults, timezoneFault...)
	query, queryFaults := op.checkQuery(r)
	faults = append(faults, queryFaults...)
	path := op.pathValues(r)
	for name, value := range path {
		if !isText(value) {
			faults = append(faults, fault.Field{Parameter: name, Code: "encoding", Message: "It has to be UTF-8 without NUL."})
		}
	}
	checkBody, bodyFaults, err := op.readBody(r)
	if err != nil {
		return r, err
	}
	faults = append(faults, bodyFaults...)
	err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: path, QueryParams: query, Route: op.route,
		Options: &openapi3filter.Options{
			MultiError: true, SkipSettingDefaults: true, ExcludeRequestBody: !checkBody,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	})
	faults = append(faults, translate(err)...)
	if len(faults) == 0 {
		return r, nil
	}
	message := "The request has 1 fault."
	if len(faults) > 1 {
		message = fmt.Sprintf("The request has %d faults.", len(faults))
	}
	return r, fault.New(fault.Invalid, "invalid_request", message).With(faults[:min(len(faults), maxFaults)]...)
}

// checkQuery refuses what the spec does not declare.
func (op *Operation) checkQuery(r *http.Request) (url.Values, []fault.Field) {
	if r.URL.RawQuery == "" {
		return url.Values{}, nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	var faults []fault.Field
	if err != nil {
		faults = append(faults, fault.Field{Parameter: "query", Code: "encoding", Message: "The query string is malformed."})
	}
	for name, values := range query {
		repeats, declared := op.query[name]
		switch {
		case !isText(name):
			faults = append(faults, fault.Field{Parameter: strings.ToValidUTF8(name, "?"), Code: "encoding", Message: "It has to be UTF-8 without NUL."})
		case !declared:
			faults = append(faults, fault.Field{Parameter: name, Code: "unknown", Message: "There is no such parameter."})
		case len(values) > 1 && !repeats:
			faults = append(faults, fault.Field{Parameter: name, Code: "repeated", Message: "It may be given once."})
		case !isText(strings.Join(values, "")):
			faults = append(faults, fault.Field{Parameter: name, Code: "encoding", Message: "It has to be UTF-8 without NUL."})
		}
	}
	return query, faults
}

// isText tells text that a database takes: UTF-8 without NUL.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// readBody checks what the spec's schema can't: the content type, the encoding,
// and that JSON is one value without duplicate keys. It tells whether the schema
// is to be checked.
func (op *Operation) readBody(r *http.Request) (check bool, faults []fault.Field, err error) {
	if op.body == nil {
		if r.ContentLength > 0 || len(r.TransferEncoding) > 0 {
			var one [1]byte
			if n, _ := io.ReadFull(r.Body, one[:]); n > 0 {
				return false, []fault.Field{{Pointer: "", Code: "unexpected", Message: "This operation takes no body."}}, nil
			}
		}
		return false, nil, nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false, nil, fault.New(fault.UnsupportedMedia, "unsupported_media_type", "Send the body without a Content-Encoding.")
	}
	mediaType, params, parseErr := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if parseErr != nil || !op.body.accepts(mediaType) || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return false, nil, fault.New(fault.UnsupportedMedia, "unsupported_media_type",
			fmt.Sprintf("Send %s.", strings.Join(op.body.types, " or ")))
	}
	if op.body.isUpload {
		return false, nil, nil
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if !errors.As(err, &tooLarge) {
			err = fault.New(fault.Invalid, "body_malformed", "The body ended early.").Wrap(err)
		}
		return false, nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(content))
	if mediaType == "application/x-www-form-urlencoded" {
		return op.checkForm(content)
	}
	if message := checkJSON(content); message != "" {
		return false, []fault.Field{{Code: "malformed", Message: message}}, nil
	}
	return true, nil, nil
}

func (op *Operation) checkForm(content []byte) (bool, []fault.Field, error) {
	form, err := url.ParseQuery(string(content))
	if err != nil {
		return false, []fault.Field{{Code: "malformed", Message: "The form is malformed."}}, nil
	}
	declared := op.route.Operation.RequestBody.Value.Content["application/x-www-form-urlencoded"].Schema.Value.Properties
	var faults []fault.Field
	for name, values := range form {
		pointer := "/" + strings.ToValidUTF8(name, "?")
		switch {
		case declared[name] == nil:
			faults = append(faults, fault.Field{Pointer: pointer, Code: "unknown", Message: "There is no such field."})
		case len(values) > 1:
			faults = append(faults, fault.Field{Pointer: pointer, Code: "repeated", Message: "It may be given once."})
		case !isText(values[0]):
			faults = append(faults, fault.Field{Pointer: pointer, Code: "encoding", Message: "It has to be UTF-8 without NUL."})
		}
	}
	return len(faults) == 0, faults, nil
}

var locations sync.Map // of *time.Location by name

// withTimezone takes in the zone that the answer's times are to be in.
func withTimezone(r *http.Request) (*http.Request, []fault.Field) {
	name := r.Header.Get("X-Timezone")
	if name == "" {
		return r, nil
	}
	location, known := locations.Load(name)
	if !known {
		loaded, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			return r, []fault.Field{{Parameter: "X-Timezone", Code: "unknown", Message: "An IANA time zone as Europe/Berlin is expected."}}
		}
		location, _ = locations.LoadOrStore(name, loaded)
	}
	request := reqctx.From(r.Context())
	request.Location, _ = location.(*time.Location)
	return r.WithContext(reqctx.With(r.Context(), request)), nil
}
