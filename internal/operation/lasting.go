package operation

import (
	"context"
	"net/http"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/token"
)

// eventStream is the content type of server-sent events.
const eventStream = "text/event-stream"

// isLasting reports whether an answer goes on until something happens, so that what
// its caller may do can change meanwhile.
func (op *Operation) isLasting() bool {
	ok := op.route.Operation.Responses.Status(http.StatusOK)
	return ok != nil && ok.Value.Content[eventStream] != nil
}

// Lasting is what the handler of a stream of events knows of its request.
type Lasting struct {
	// IsHead tells that only the headers of the answer are asked for.
	IsHead bool

	readmit func(ctx context.Context) (context.Context, error)
}

type lastingKey struct{}

func withLasting(ctx context.Context, rt *Router, r *http.Request, op *Operation, claims token.Claims) context.Context {
	return context.WithValue(ctx, lastingKey{}, Lasting{
		IsHead: r.Method == http.MethodHead,
		readmit: func(ctx context.Context) (context.Context, error) {
			_, state, err := rt.config.Admitter.Admit(ctx, "", &claims)
			if err != nil {
				return ctx, err
			}
			caller, err := rt.authorized(ctx, &claims, state, op)
			return authz.WithCaller(ctx, caller), err
		},
	})
}

// LastingFrom returns what is known of a request for a stream of events.
func LastingFrom(ctx context.Context) Lasting {
	lasting, _ := ctx.Value(lastingKey{}).(Lasting)
	return lasting
}

// Readmit asks again whether the session goes on, and what its role may do, and
// returns a context with the caller as they are now. It counts against no limit.
func (l Lasting) Readmit(ctx context.Context) (context.Context, error) { return l.readmit(ctx) }
