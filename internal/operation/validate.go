package operation

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/idempotency"
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
	op.checkConditions(r.Header, &found)
	if op.Idempotent && len(r.Header.Values(idempotency.Header)) > 1 {
		found.add(fault.Field{Parameter: idempotency.Header, Code: "repeated", Message: "It may be given once."})
	}
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
	t.translate(op.ask(&openapi3filter.RequestValidationInput{
		Request: r, PathParams: path, QueryParams: query, Route: op.route, Options: options,
	}))
	if err := found.err(); err != nil {
		return nil, err
	}
	op.writeTimes(r, query)
	return r, nil
}

// writeTimes rewrites the times of a query for the generated code, which reads them with
// package time: RFC 3339 has more forms.
func (op *Operation) writeTimes(r *http.Request, query url.Values) {
	changed := false
	for _, p := range op.parameters {
		if p.In != openapi3.ParameterInQuery || p.Schema == nil || p.Schema.Value.Format != "date-time" || !query.Has(p.Name) {
			continue
		}
		text := query.Get(p.Name)
		if at, err := ParseTime(text); err == nil && text != at.Format(time.RFC3339Nano) {
			query.Set(p.Name, at.Format(time.RFC3339Nano))
			changed = true
		}
	}
	if changed {
		u := *r.URL
		u.RawQuery = query.Encode()
		r.URL = &u
	}
}

// checkConditions finds lists without an entity tag in the conditions of changes: the
// grammar wants at least one (RFC 9110, section 13.1), and a change that is sent with an
// empty list must not be made as if there were no condition. A read is answered in full.
func (op *Operation) checkConditions(h http.Header, found *faults) {
	if op.Method == http.MethodGet {
		return
	}
	for _, name := range conditions {
		if lines := h[name]; len(lines) > 0 && strings.Trim(lines[0], ", \t") == "" &&
			slices.ContainsFunc(op.parameters, func(p *openapi3.Parameter) bool { return p.Name == name }) {
			found.add(fault.Field{Parameter: name, Code: "minLength", Message: "It has to name an entity tag, or *."})
		}
	}
}

var conditions = []string{"If-Match", "If-None-Match"}

// ask holds what a request has against the spec. It does what ValidateRequest of
// kin-openapi does, but for parameters that are absent and may be: those cost as
// much there as the others, and lists have many.
func (op *Operation) ask(input *openapi3filter.RequestValidationInput) error {
	ctx := input.Request.Context()
	var found openapi3.MultiError
	for _, p := range op.parameters {
		if !p.Required && isAbsent(p, input) {
			continue
		}
		if err := openapi3filter.ValidateParameter(ctx, input, p); err != nil {
			found = append(found, err)
		}
	}
	if !input.Options.ExcludeRequestBody {
		if err := openapi3filter.ValidateRequestBody(ctx, input, op.route.Operation.RequestBody.Value); err != nil {
			found = append(found, err)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

func isAbsent(p *openapi3.Parameter, input *openapi3filter.RequestValidationInput) bool {
	switch p.In {
	case openapi3.ParameterInQuery:
		return !input.QueryParams.Has(p.Name)
	case openapi3.ParameterInHeader:
		return len(input.Request.Header.Values(p.Name)) == 0
	default:
		return false
	}
}

// joinHeaders makes one line of the conditions that a client, or a proxy, spread
// over several, which says the same (RFC 9110, section 5.3).
func joinHeaders(h http.Header) {
	for _, name := range conditions {
		if lines := h[name]; len(lines) > 1 {
			h[name] = []string{strings.Join(lines, ", ")}
		}
	}
}
