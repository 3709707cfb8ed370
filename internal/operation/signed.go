package operation

import (
	"context"
	"net/http"
	"time"

	"github.com/picaspot/picaspot/internal/authz"
)

// signatureParameter is the parameter of operations that take signed addresses.
const signatureParameter = "signature"

type signedKey struct{}

// SignedUntil returns until when the address of a request is good, and false if a token
// admitted it.
func SignedUntil(ctx context.Context) (time.Time, bool) {
	until, ok := ctx.Value(signedKey{}).(time.Time)
	return until, ok
}

// admitSigned admits a request for the address that it has: who was shown the address
// might see what is there. Who it is stays unknown, so it counts against the network
// address. Elements of pages of other origins may show the answer (Fetch standard,
// Cross-Origin-Resource-Policy).
func (rt *Router) admitSigned(ctx context.Context, w http.ResponseWriter, r *http.Request, op *Operation) (context.Context, authz.Caller, error) {
	if err := limited(w, rt.config.Admitter.Limit(ctx, op.RateLimit)); err != nil {
		return ctx, authz.Caller{}, err
	}
	until, err := rt.config.Signed(r.URL.Path, r.URL.Query())
	if err != nil {
		return ctx, authz.Caller{}, err
	}
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	return context.WithValue(ctx, signedKey{}, until), authz.Caller{Scope: authz.Any}, nil
}
