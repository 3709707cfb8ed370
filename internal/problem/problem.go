// Package problem gives errors their public face: RFC 9457 problem details.
// It is the one place where a fault becomes a status, and the one function
// that every exit of the server writes errors with.
package problem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// statuses maps what the domain says to what HTTP says.
var statuses = map[fault.Kind]int{
	fault.Internal:           http.StatusInternalServerError,
	fault.Invalid:            http.StatusBadRequest,
	fault.Unauthenticated:    http.StatusUnauthorized,
	fault.Forbidden:          http.StatusForbidden,
	fault.NotFound:           http.StatusNotFound,
	fault.Conflict:           http.StatusConflict,
	fault.PreconditionFailed: http.StatusPreconditionFailed,
	fault.TooLarge:           http.StatusRequestEntityTooLarge,
	fault.UnsupportedMedia:   http.StatusUnsupportedMediaType,
	fault.Unprocessable:      http.StatusUnprocessableEntity,
	fault.RateLimited:        http.StatusTooManyRequests,
	fault.Unavailable:        http.StatusServiceUnavailable,
}

// Write answers with err as application/problem+json. An error that is not a
// [fault.Error] is a 500 that says nothing; it is logged here, once, with the
// request's id. A request that its own client gave up gets no log line.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	var e *fault.Error
	switch {
	case errors.As(err, &e):
	case errors.As(err, &tooLarge):
		e = fault.New(fault.TooLarge, "body_too_large", fmt.Sprintf("The body is larger than %d bytes.", tooLarge.Limit))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e = fault.New(fault.Unavailable, "timeout", "The request took too long. Try again in a moment.")
	default:
		e = fault.New(fault.Internal, "internal", "Something went wrong on our side. The request id helps us to find it.")
	}
	status := statuses[e.Kind]
	if status >= http.StatusInternalServerError && !errors.Is(r.Context().Err(), context.Canceled) {
		slog.ErrorContext(r.Context(), "request failed", "error", err, "status", status)
	}
	WriteFault(w, r, status, e)
}

// WriteFault answers with a fault under a status of the caller's choice.
func WriteFault(w http.ResponseWriter, r *http.Request, status int, e *fault.Error) {
	p := api.Problem{
		Type:      "/problems/" + e.Code,
		Title:     http.StatusText(status),
		Status:    status,
		Detail:    &e.Message,
		Instance:  r.URL.EscapedPath(),
		RequestID: reqctx.RequestID(r.Context()),
	}
	if len(e.Fields) > 0 {
		fields := make([]api.FieldError, len(e.Fields))
		for i, f := range e.Fields {
			fields[i] = api.FieldError{Code: f.Code, Message: f.Message, Pointer: optional(f.Pointer), Parameter: optional(f.Parameter)}
		}
		slices.SortStableFunc(fields, func(a, b api.FieldError) int {
			return strings.Compare(location(a), location(b))
		})
		p.Errors = &fields
	}
	if r.URL.Path == tokenEndpoint {
		code := oauthError(status, e)
		p.Error, p.ErrorDescription = &code, &e.Message
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="picaspot"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "2")
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(e.RetryAfter.Seconds())), 10))
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	if err := json.NewEncoder(w).Encode(p); err != nil {
		slog.DebugContext(r.Context(), "problem not delivered", "error", err)
	}
}

// tokenEndpoint is where OAuth 2.0 clients expect the errors of RFC 6749.
const tokenEndpoint = "/api/v1/auth/token" //nolint:gosec // A path.

// oauthError is what RFC 6749, section 5.2, calls an error of the token endpoint.
func oauthError(status int, e *fault.Error) string {
	wrongGrant := slices.ContainsFunc(e.Fields, func(f fault.Field) bool { return f.Pointer == "/grant_type" && f.Code == "enum" })
	switch {
	case wrongGrant:
		return "unsupported_grant_type"
	case status == http.StatusUnauthorized:
		return "invalid_grant"
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return "temporarily_unavailable" // Borrowed from section 4.1.2.1: there is none for it.
	default:
		return "invalid_request"
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func location(f api.FieldError) string {
	switch {
	case f.Pointer != nil:
		return "/" + *f.Pointer
	case f.Parameter != nil:
		return *f.Parameter
	default:
		return ""
	}
}
