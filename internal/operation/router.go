package operation

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/problem"
)

// Limits of bodies, in bytes, where [Config] leaves them open.
const (
	DefaultMaxBody   = 1 << 20
	DefaultMaxUpload = 21 << 20
)

// Config is what operations need from outside of the spec.
type Config struct {
	// Authenticate tells who an access token speaks for, or returns a
	// [fault.Unauthenticated].
	Authenticate func(ctx context.Context, token string) (authz.Caller, error)
	// Authorizer has the policy.
	Authorizer *authz.Authorizer
	// MaxBody bounds JSON and forms, MaxUpload files; 0 is the default.
	MaxBody, MaxUpload int64
}

// Router matches requests to the operations of a spec, and puts around each what
// the spec says of it, cheap refusals before expensive work: authentication,
// permission, validation. It is the BaseRouter of the generated server.
type Router struct {
	table  *Table
	config Config
	mux    *http.ServeMux
}

var _ api.ServeMux = (*Router)(nil)

// NewRouter makes a router for the operations of a table.
func NewRouter(table *Table, config Config) *Router {
	if config.MaxBody == 0 {
		config.MaxBody = DefaultMaxBody
	}
	if config.MaxUpload == 0 {
		config.MaxUpload = DefaultMaxUpload
	}
	return &Router{table: table, config: config, mux: http.NewServeMux()}
}

// HandleFunc adds the handler of an operation. It panics for a pattern that is
// no operation of the spec.
func (rt *Router) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	op, ok := rt.table.operations[pattern]
	if !ok {
		panic(fmt.Sprintf("operation: the spec has no %s", pattern))
	}
	rt.mux.Handle(pattern, rt.wrap(op, http.HandlerFunc(handler)))
}

// Handle adds a page that is no operation of the spec.
func (rt *Router) Handle(pattern string, handler http.Handler) { rt.mux.Handle(pattern, handler) }

// ServeHTTP answers a request, and one that nothing matches with a problem.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler, pattern := rt.mux.Handler(r)
	if pattern != "" {
		rt.mux.ServeHTTP(w, r)
		return
	}
	// The mux knows which methods a path has; its own answer is plain text.
	miss := httptest.NewRecorder()
	handler.ServeHTTP(miss, r)
	if miss.Code == http.StatusMethodNotAllowed {
		allow := miss.Header().Get("Allow")
		w.Header().Set("Allow", allow)
		problem.WriteFault(w, r, http.StatusMethodNotAllowed, fault.New(fault.Invalid, "method_not_allowed",
			fmt.Sprintf("%s is not possible here; %s is.", r.Method, allow)))
		return
	}
	problem.Write(w, r, fault.New(fault.NotFound, "not_found", "There is nothing at this address."))
}

func (rt *Router) wrap(op *Operation, next http.Handler) http.Handler {
	limit := rt.config.MaxBody
	if op.body != nil && op.body.isUpload {
		limit = rt.config.MaxUpload
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), operationKey{}, op)
		if !op.Public {
			caller, err := rt.admit(ctx, r, op)
			if err != nil {
				problem.Write(w, r, err)
				return
			}
			ctx = authz.WithCaller(ctx, caller)
		}
		r = r.WithContext(ctx)
		if r.Body != nil {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		r, err := op.validate(r)
		if err != nil {
			problem.Write(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit tells who calls and how far they may go.
func (rt *Router) admit(ctx context.Context, r *http.Request, op *Operation) (authz.Caller, error) {
	token, err := bearer(r)
	if err != nil {
		return authz.Caller{}, err
	}
	caller, err := rt.config.Authenticate(ctx, token)
	if err != nil {
		return authz.Caller{}, err
	}
	if op.Permission == "" {
		return caller, nil
	}
	caller.Scope = rt.config.Authorizer.Current().Decide(caller.Role, op.Permission)
	if caller.Scope == authz.Denied {
		return authz.Caller{}, fault.New(fault.Forbidden, "forbidden", fmt.Sprintf("Your role does not allow %s.", op.Permission))
	}
	return caller, nil
}

var errNoToken = fault.New(fault.Unauthenticated, "unauthenticated", "This operation needs an access token.")

// bearer returns the token of the Authorization header (RFC 6750, section 2.1).
func bearer(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return "", errNoToken
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", errNoToken
	}
	return token, nil
}

// BindingError is the exit of the generated server for parameters that do not
// bind. Validation sees them first, so this is the second line.
func BindingError(w http.ResponseWriter, r *http.Request, err error) {
	problem.Write(w, r, fault.New(fault.Invalid, "invalid_request", "A parameter is malformed.").Wrap(err))
}
