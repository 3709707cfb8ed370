// Package fault holds the one error type that the domain speaks: what kind of
// failure it is, a stable code, a message that is safe to show, and the faulty
// fields. It knows no HTTP; package problem gives it its RFC 9457 face.
package fault

import (
	"errors"
	"slices"
	"time"
)

// Kind says what sort of failure an [Error] is.
type Kind int

const (
	// Internal is the kind of every error that is not an [Error]: it is logged
	// and its text is never shown.
	Internal Kind = iota
	// Invalid input: malformed or outside of what the contract allows.
	Invalid
	// Unauthenticated: no credentials, or ones that do not hold.
	Unauthenticated
	// Forbidden: the caller may see the object but not do this.
	Forbidden
	// NotFound: it does not exist, or the caller may not know that it does.
	NotFound
	// Conflict with the present state of the object or with another one.
	Conflict
	// PreconditionFailed: an If-Match or If-None-Match that does not hold.
	PreconditionFailed
	// TooLarge: a body or a photo beyond its limit.
	TooLarge
	// UnsupportedMedia: a content type or file format that is not taken.
	UnsupportedMedia
	// Unprocessable: well-formed, but breaks a rule of the domain.
	Unprocessable
	// RateLimited: too many requests.
	RateLimited
	// Unavailable: a service that is needed is away; a retry may succeed.
	Unavailable
)

// Field is one faulty part of a request: a JSON pointer into the body
// (RFC 6901) or the name of a parameter, never both.
type Field struct {
	Pointer   string
	Parameter string
	Code      string
	Message   string
}

// Error is a failure with a public form. Code is stable and snake_case;
// Message and Fields may be shown to the caller; the wrapped cause may not.
type Error struct {
	Kind    Kind
	Code    string
	Message string
	Fields  []Field
	// RetryAfter is how long to wait before another try; zero says nothing.
	RetryAfter time.Duration
	cause      error
}

// New makes an error of a kind with a stable code and a message that is safe to show.
func New(kind Kind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// Error returns the public message and, for the log, the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.Message + ": " + e.cause.Error()
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause, which is nil for most errors.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an [Error] of the same kind and code, so that
// errors.Is works between a package's sentinel and a copy that carries fields.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Code == e.Code
}

// With returns a copy that names further faulty fields.
func (e *Error) With(fields ...Field) *Error {
	c := *e
	c.Fields = append(slices.Clone(e.Fields), fields...)
	return &c
}

// After returns a copy that says how long to wait before another try.
func (e *Error) After(wait time.Duration) *Error {
	c := *e
	c.RetryAfter = wait
	return &c
}

// Wrap returns a copy that carries the cause for the log.
func (e *Error) Wrap(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// KindOf returns the kind of the first [Error] in err's tree, or [Internal].
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
