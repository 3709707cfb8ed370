// Package reqctx carries what is known about a request through contexts: its
// id, where it comes from, the zone that it wants times in. Logs, audit rows
// and problems read it from here.
package reqctx

import (
	"context"
	"time"
)

// Request is what is known about a request before anybody looked at it.
type Request struct {
	// ID is unique to the request and returned as X-Request-ID.
	ID string
	// Address is the client's IP address, without port.
	Address string
	// UserAgent is what the client calls itself, cut to 512 bytes.
	UserAgent string
	// Location is the zone of the times in the answer; nil means UTC.
	Location *time.Location
}

type key struct{}

// With returns a context that carries the request, and a tally of it: the one that the
// context has, or a new one.
func With(ctx context.Context, r Request) context.Context {
	c := &carried{request: r, tally: TallyOf(ctx)}
	if c.tally == nil {
		c.tally = &Tally{}
	}
	return context.WithValue(ctx, key{}, c)
}

// carried is what a context carries. It is not changed.
type carried struct {
	request Request
	tally   *Tally
}

// From returns the request of the context; the zero value outside of one.
func From(ctx context.Context) Request {
	if c, ok := ctx.Value(key{}).(*carried); ok {
		return c.request
	}
	return Request{}
}

// RequestID returns the id of the context's request, or the empty string.
func RequestID(ctx context.Context) string { return From(ctx).ID }

// In returns t in the zone that the request asks for, UTC by default.
func In(ctx context.Context, t time.Time) time.Time {
	if loc := From(ctx).Location; loc != nil {
		return t.In(loc)
	}
	return t.UTC()
}
