package operation

import (
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/picaspot/picaspot/internal/fault"
)

// How the validator is asked, with and without the body. It keeps the value
// that it read a JSON body into, from which the generated server then fills its
// types.
var (
	withBody = &openapi3filter.Options{
		MultiError: true, SkipSettingDefaults: true, KeepValidatedValue: true,
		AuthenticationFunc:      openapi3filter.NoopAuthenticationFunc,
		SchemaValidationOptions: []openapi3.SchemaValidationOption{formats},
	}
	withoutBody = &openapi3filter.Options{
		MultiError: true, SkipSettingDefaults: true, ExcludeRequestBody: true,
		AuthenticationFunc:      openapi3filter.NoopAuthenticationFunc,
		SchemaValidationOptions: []openapi3.SchemaValidationOption{formats},
	}
)

// validate holds a request against the spec and names all its faults at once.
// The request that it returns has its body read and put back, unless it is an
// upload, and carries the zone that it asks for.
func (rt *Router) validate(w http.ResponseWriter, r *http.Request, op *Operation) (*http.Request, error) {
	var found faults
	checkBody, err := rt.readBody(w, r, op, &found)
	if err != nil {
		return nil, err
	}
	r = withTimezone(r, &found)
	joinHeaders(r.Header)
	query := checkForm(r.URL.RawQuery, op.query, "There is no such parameter.", &found, inQuery)
	path := op.pathValues(r)
	for name, value := range path {
		if !isText(value) {
			found.add(fault.Field{Parameter: name, Code: "encoding", Message: notText})
		}
	}
	options := withoutBody
	if checkBody {
		options = withBody
	}
	t := translation{named: found.fields, found: &found}
	t.translate(openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: path, QueryParams: query, Route: op.route, Options: options,
	}))
	if err := found.err(); err != nil {
		return nil, err
	}
	return r, nil
}

// joinHeaders makes one line of the conditions that a client, or a proxy, spread
// over several, which says the same (RFC 9110, section 5.3).
func joinHeaders(h http.Header) {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if lines := h[name]; len(lines) > 1 {
			h[name] = []string{strings.Join(lines, ", ")}
		}
	}
}
