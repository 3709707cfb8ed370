package operation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/compress"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/idempotency"
	"github.com/picaspot/picaspot/internal/middleware"
	"github.com/picaspot/picaspot/internal/problem"
	"github.com/picaspot/picaspot/internal/ratelimit"
	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/token"
)

// Limits of bodies, in bytes, where [Config] leaves them open.
const (
	DefaultMaxBody   = 1 << 20
	DefaultMaxUpload = 21 << 20
)

// Config is what operations need from outside of the spec.
type Config struct {
	// Verify tells what an access token says, or returns a
	// [fault.Unauthenticated]. It asks nobody.
	Verify func(accessToken string) (token.Claims, error)
	// Signed returns until when the address of a request is good, or why it is not.
	Signed func(path string, query url.Values) (time.Time, error)
	// Admitter knows the limits, and which sessions go on.
	Admitter Admitter
	// Authorizer has the policy.
	Authorizer *authz.Authorizer
	// RequiresMFA tells the roles that may be used only in a session that a second
	// factor has proven.
	RequiresMFA func(role string) bool
	// Denied is told when the policy refuses a permission to a caller; nil is nobody.
	Denied func(ctx context.Context, caller authz.Caller, permission authz.Permission)
	// Cache has the generations that operations want; nil is none.
	Cache *cache.Cache
	// Wants are those of operations, by their [Operation.ID].
	Wants map[string]Wants
	// Idempotency keeps what operations answered under a key of the caller's.
	Idempotency *idempotency.Service
	// MaxBody bounds JSON and forms, MaxUpload files, in bytes; 0 is the default.
	MaxBody, MaxUpload int64
	// MaxBodies bounds the files of operations that take larger ones, by their ids.
	MaxBodies map[string]int64
}

// Wants tells the words whose generations an operation will want, so that they are
// asked for along with limits and session. The request is not validated yet.
type Wants func(r *http.Request, user uuid.UUID) []string

// Admitter is asked once for each request.
type Admitter interface {
	// Limit counts an unauthenticated request against its address, by a class of limits.
	Limit(ctx context.Context, class string) ratelimit.Result
	// Admit counts a request of a session, and tells what the session may still do.
	Admit(ctx context.Context, class string, claims *token.Claims) (ratelimit.Result, session.State, error)
}

// Router matches requests to the operations of a spec, and puts around each what
// the spec says of it, cheap refusals before expensive work: authentication,
// permission, validation. It is the BaseRouter of the generated server.
type Router struct {
	table  *Table
	config Config
	mux    *http.ServeMux
	// allow has, for each path without parameters, what its Allow header says.
	allow map[string]string
}

var _ api.ServeMux = (*Router)(nil)

// NewRouter makes a router for the operations of a table. It panics if the
// configuration names one that there is not.
func NewRouter(table *Table, config Config) *Router {
	for id := range config.Wants {
		if !slices.ContainsFunc(table.All(), func(op *Operation) bool { return op.ID == id }) {
			panic("operation: the spec has no operation " + id)
		}
	}
	if config.MaxBody == 0 {
		config.MaxBody = DefaultMaxBody
	}
	if config.MaxUpload == 0 {
		config.MaxUpload = DefaultMaxUpload
	}
	return &Router{table: table, config: config, mux: http.NewServeMux(), allow: allowed(table)}
}

// allowed returns, for each path of a table that has no parameters, the methods
// that it takes as the Allow header has them (RFC 9110, section 10.2.1).
func allowed(table *Table) map[string]string {
	methods := map[string][]string{}
	for _, op := range table.All() {
		if strings.Contains(op.Path, "{") {
			continue
		}
		methods[op.Path] = append(methods[op.Path], op.Method)
		if op.Method == http.MethodGet {
			methods[op.Path] = append(methods[op.Path], http.MethodHead)
		}
	}
	allow := make(map[string]string, len(methods))
	for path, taken := range methods {
		slices.Sort(taken)
		allow[path] = strings.Join(taken, ", ")
	}
	return allow
}

// HandleFunc adds the handler of an operation. It panics for a pattern that is
// no operation of the spec.
func (rt *Router) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	op, ok := rt.table.operations[pattern]
	if !ok {
		panic("operation: the spec has no " + pattern)
	}
	rt.mux.Handle(pattern, rt.wrap(op, http.HandlerFunc(handler)))
}

// Handle adds a page that is no operation of the spec. Nothing stands around it.
func (rt *Router) Handle(pattern string, handler http.Handler) { rt.mux.Handle(pattern, handler) }

// Limited counts the requests of a page against a class of limits.
func (rt *Router) Limited(class string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := limited(w, rt.config.Admitter.Limit(r.Context(), class)); err != nil {
			problem.Write(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP answers a request, and one that nothing matches with a problem.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler, pattern := rt.mux.Handler(r)
	// The mux takes PATCH /areas/nearby for PATCH /areas/{area_id}; a path that the
	// contract spells out is that path only.
	if allow, spelled := rt.allow[r.URL.Path]; spelled && strings.Contains(pattern, "{") {
		methodNotAllowed(w, r, allow)
		return
	}
	if pattern != "" {
		rt.mux.ServeHTTP(w, r)
		return
	}
	// The mux knows which methods a path has; its own answer is plain text.
	answer := miss{header: http.Header{}}
	handler.ServeHTTP(&answer, r)
	if answer.status == http.StatusMethodNotAllowed {
		allow, spelled := rt.allow[r.URL.Path]
		if !spelled {
			allow = answer.header.Get("Allow")
		}
		methodNotAllowed(w, r, allow)
		return
	}
	problem.Write(w, r, fault.New(fault.NotFound, "not_found", "There is nothing at this address."))
}

func methodNotAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	problem.WriteFault(w, r, http.StatusMethodNotAllowed, fault.New(fault.Invalid, "method_not_allowed",
		"This address does not take the request's method; it takes "+allow+"."))
}

// miss keeps the status and the headers of an answer that is not sent.
type miss struct {
	header http.Header
	status int
}

func (m *miss) Header() http.Header         { return m.header }
func (m *miss) WriteHeader(status int)      { m.status = status }
func (m *miss) Write(p []byte) (int, error) { return len(p), nil }

// wrap puts its steps around an operation.
func (rt *Router) wrap(op *Operation, next http.Handler) http.Handler {
	limit := op.timeout()
	handler := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := withOperation(r.Context(), op, limit)
		defer cancel()
		if !op.Public {
			w.Header()["Cache-Control"] = op.cacheControl
		}
		ctx, caller, err := rt.admit(ctx, w, r, op)
		if err != nil {
			problem.Write(w, r, err)
			return
		}
		if !op.Public {
			ctx = authz.WithCaller(ctx, caller)
		}
		valid, err := rt.validate(w, r.WithContext(ctx), op) //nolint:contextcheck // The request carries it.
		if err != nil {
			problem.Write(w, r, err)
			return
		}
		if err := rt.answer(w, valid, op, caller, next); err != nil {
			problem.Write(w, r, err)
		}
	}))
	if op.Compressed {
		handler = compress.Handler(handler)
	}
	return handler
}

// answer has an operation answer, or what it answered before under the same key.
func (rt *Router) answer(w http.ResponseWriter, r *http.Request, op *Operation, caller authz.Caller, next http.Handler) error {
	key := r.Header.Values(idempotency.Header)
	if !op.Idempotent || len(key) == 0 {
		next.ServeHTTP(w, r)
		return nil
	}
	return rt.config.Idempotency.Serve(w, r, idempotency.Request{UserID: caller.UserID, Key: key[0], Timeout: op.timeout()}, next)
}

// How long an operation may take, from its first step to its last byte: a photo
// over a poor connection, or a stream, whose handler sees to it that it moves on.
const (
	operationTimeout = 30 * time.Second
	uploadTimeout    = 2 * time.Minute
	streamTimeout    = time.Hour
)

// streamTypes are what answers of any length are sent as.
var streamTypes = []string{"application/x-ndjson", "application/geo+json", eventStream}

func (op *Operation) timeout() time.Duration {
	if op.body != nil && op.body.isUpload {
		return uploadTimeout
	}
	if ok := op.route.Operation.Responses.Status(http.StatusOK); ok != nil {
		for _, streamed := range streamTypes {
			if ok.Value.Content[streamed] != nil {
				return streamTimeout
			}
		}
	}
	return operationTimeout
}

// admit tells who calls and how far they may go. Whoever calls a public operation
// stays unknown. What a request without good credentials asks for counts against
// its address all the same.
func (rt *Router) admit(ctx context.Context, w http.ResponseWriter, r *http.Request, op *Operation) (context.Context, authz.Caller, error) {
	if op.Public {
		return ctx, authz.Caller{}, limited(w, rt.config.Admitter.Limit(ctx, op.RateLimit))
	}
	if op.signed && len(r.Header["Authorization"]) == 0 && r.URL.Query().Has(signatureParameter) {
		return rt.admitSigned(ctx, w, r, op)
	}
	claims, err := rt.credentials(r.Header)
	if err != nil {
		if refused := limited(w, rt.config.Admitter.Limit(ctx, op.RateLimit)); refused != nil {
			return ctx, authz.Caller{}, refused
		}
		return ctx, authz.Caller{}, err
	}
	if wants := rt.config.Wants[op.ID]; wants != nil && rt.config.Cache != nil {
		ctx = rt.config.Cache.Ask(ctx, wants(r, claims.Subject))
	}
	limit, state, err := rt.config.Admitter.Admit(ctx, op.RateLimit, &claims)
	if refused := limited(w, limit); refused != nil {
		return ctx, authz.Caller{}, refused
	}
	if err != nil {
		return ctx, authz.Caller{}, err
	}
	middleware.LogUser(ctx, claims.Subject)
	caller, err := rt.authorized(ctx, &claims, state, op)
	if op.isLasting() {
		ctx = withLasting(ctx, rt, r, op, claims)
	}
	return ctx, caller, err
}

// authorized is the caller that a session makes, if they may call the operation.
func (rt *Router) authorized(ctx context.Context, claims *token.Claims, state session.State, op *Operation) (authz.Caller, error) {
	caller := authz.Caller{
		UserID: claims.Subject, SessionID: claims.SessionID, Role: state.Role, Scope: authz.Denied,
		LacksFactor: !state.SecondFactor && rt.config.RequiresMFA(state.Role),
	}
	return caller, rt.authorize(ctx, &caller, op)
}

// authorize asks the policy, for operations that it has a say in.
func (rt *Router) authorize(ctx context.Context, caller *authz.Caller, op *Operation) error {
	if op.Permission == "" {
		return nil
	}
	if caller.LacksFactor {
		return errFactorNeeded
	}
	caller.Scope = rt.config.Authorizer.Current().Decide(caller.Role, op.Permission)
	if caller.Scope == authz.Denied {
		if rt.config.Denied != nil {
			rt.config.Denied(ctx, *caller, op.Permission)
		}
		return fault.New(fault.Forbidden, "forbidden", fmt.Sprintf("Your role does not allow %s.", op.Permission))
	}
	return nil
}

// limited says in the header what is left of a limit, and returns the refusal once
// nothing is.
func limited(w http.ResponseWriter, result ratelimit.Result) error {
	if result.Policy == "" {
		return nil
	}
	policy, left := result.Headers()
	h := w.Header()
	h["Ratelimit-Policy"], h["Ratelimit"] = []string{policy}, []string{left}
	if result.Allowed {
		return nil
	}
	return fault.New(fault.RateLimited, "rate_limited", "There were too many requests. Try again later.").After(result.RetryAfter)
}

func (rt *Router) credentials(header http.Header) (token.Claims, error) {
	text, err := bearer(header)
	if err != nil {
		return token.Claims{}, err
	}
	return rt.config.Verify(text)
}

var (
	errNoToken        = fault.New(fault.Unauthenticated, "unauthenticated", "This operation needs an access token.")
	errMalformedToken = fault.New(fault.Unauthenticated, "unauthenticated", "The Authorization header has to be there once and to read: Bearer, a space, the access token.")
	errFactorNeeded   = fault.New(fault.Forbidden, "second_factor_required", "Your role can be used only in a session that a second factor has proven. Add one under /api/v1/me/mfa/totp, or log in with it.")
)

// bearer returns the token of the Authorization header: a scheme, whose case does not
// matter, and a b64token (RFC 6750, section 2.1; RFC 9110, section 11.4).
func bearer(h http.Header) (string, error) {
	values := h["Authorization"]
	if len(values) == 0 {
		return "", errNoToken
	}
	scheme, rest, ok := strings.Cut(values[0], " ")
	text := strings.TrimLeft(rest, " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || !isToken(text) {
		return "", errMalformedToken
	}
	return text, nil
}

// isToken reports whether a text is a b64token: letters, digits and -._~+/, at least
// one, and then any number of =.
func isToken(text string) bool {
	text = strings.TrimRight(text, "=")
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return text != ""
}

// BindingError is the exit of the generated server for parameters that do not
// bind. Validation sees them first, so this is the second line.
func BindingError(w http.ResponseWriter, r *http.Request, err error) {
	var (
		format    *api.InvalidParamFormatError
		missing   *api.RequiredParamError
		header    *api.RequiredHeaderError
		many      *api.TooManyValuesForParamError
		unmarshal *api.UnmarshalingParamError
		cookie    *api.UnescapedCookieParamError
	)
	found := fault.Field{Code: "invalid", Message: "A parameter is malformed."}
	switch {
	case errors.As(err, &format):
		found = fault.Field{Parameter: format.ParamName, Code: "type", Message: "The value is not of the expected type."}
	case errors.As(err, &missing):
		found = fault.Field{Parameter: missing.ParamName, Code: "required", Message: "The parameter is missing."}
	case errors.As(err, &header):
		found = fault.Field{Parameter: header.ParamName, Code: "required", Message: "The parameter is missing."}
	case errors.As(err, &many):
		found = fault.Field{Parameter: many.ParamName, Code: "repeated", Message: "It may be given once."}
	case errors.As(err, &unmarshal):
		found = fault.Field{Parameter: unmarshal.ParamName, Code: "type", Message: "The value is not of the expected type."}
	case errors.As(err, &cookie):
		found = fault.Field{Parameter: cookie.ParamName, Code: "encoding", Message: "The value is not encoded correctly."}
	}
	var all faults
	all.add(found)
	problem.Write(w, r, all.err().Wrap(err))
}
