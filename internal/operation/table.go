// Package operation is what stands around an operation of the contract, and all
// of it comes from the spec: who may call it, what its parameters and body have
// to be. An operation that says nothing about its permission does not start.
package operation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/compress"
)

// What x-permission says of operations that ask for no permission.
const (
	public        = "public"
	authenticated = "authenticated"
)

// Operation is an operation of the spec.
type Operation struct {
	// ID is its operationId, as the spec that was loaded has it.
	ID     string
	Method string
	Path   string
	// Public operations are for everybody, and look at no token; of others the
	// caller is known.
	Public bool
	// Permission is what the caller's role is asked for; empty when it is enough
	// to be logged in.
	Permission authz.Permission
	// RateLimit is the class of limits that it counts against; it may be empty.
	RateLimit string
	// Idempotent operations take a key under which they do nothing twice.
	Idempotent bool
	// Compressed operations send their answers in a content coding that the client
	// takes.
	Compressed bool

	// signed operations take an address that is signed in place of a token.
	signed bool

	// cacheControl is what an answer says about keeping it unless its handler says
	// otherwise.
	cacheControl []string

	route *routers.Route
	// parameters are those of the path and its own.
	parameters []*openapi3.Parameter
	path       []string        // names of the path's parameters
	query      map[string]bool // declared parameters; true for those that repeat
	body       *body           // nil when it takes none
}

// Name is the operationId as the contract spells it: the embedded spec begins ids
// with a capital, as Go's methods do.
func (op *Operation) Name() string { return strings.ToLower(op.ID[:1]) + op.ID[1:] }

// Pattern is what a router knows the operation by.
func (op *Operation) Pattern() string { return op.Method + " " + op.Path }

// IsPaced reports whether the client decides how long the operation takes, since it
// hands in a file or reads a stream.
func (op *Operation) IsPaced() bool { return op.timeout() != operationTimeout }

// Table holds the operations of a spec by the pattern that a router knows them by.
type Table struct {
	operations map[string]*Operation
}

// Load reads the operations of a spec. It returns every fault that would make
// one of them unsafe to serve: a permission that is missing or malformed, an
// operationId that is missing or there twice, a parameter or body that
// validation has no rule for.
func Load(doc *openapi3.T) (*Table, error) {
	if err := doc.Validate(context.Background(), openapi3.DisableExamplesValidation()); err != nil {
		return nil, fmt.Errorf("the spec is not valid: %w", err)
	}
	table := &Table{operations: map[string]*Operation{}}
	ids := map[string]string{}
	var errs []error
	for path, item := range doc.Paths.Map() {
		for method, spec := range item.Operations() {
			pattern := method + " " + path
			op, err := newOperation(doc, path, item, method, spec)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s %w", pattern, err))
				continue
			}
			if other, taken := ids[op.ID]; taken {
				errs = append(errs, fmt.Errorf("%s has the operationId %q of %s", pattern, op.ID, other))
			}
			ids[op.ID] = pattern
			table.operations[pattern] = op
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return table, nil
}

// All returns the operations, in the order of their paths and methods.
func (t *Table) All() []*Operation {
	all := make([]*Operation, 0, len(t.operations))
	for _, op := range t.operations {
		all = append(all, op)
	}
	slices.SortFunc(all, func(a, b *Operation) int {
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	})
	return all
}

// Permissions returns each permission that an operation asks for, sorted: what
// a policy may speak of.
func (t *Table) Permissions() []authz.Permission {
	var all []authz.Permission
	for _, op := range t.operations {
		if op.Permission != "" {
			all = append(all, op.Permission)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ByPermission returns, for each permission, the operations that ask for it, by
// their ids as the contract spells them.
func (t *Table) ByPermission() map[authz.Permission][]string {
	all := map[authz.Permission][]string{}
	for _, op := range t.All() {
		if op.Permission != "" {
			all[op.Permission] = append(all[op.Permission], op.Name())
		}
	}
	return all
}

func newOperation(doc *openapi3.T, path string, item *openapi3.PathItem, method string, spec *openapi3.Operation) (*Operation, error) {
	if spec.OperationID == "" {
		return nil, errors.New("has no operationId")
	}
	// The validator reads the whole body into memory for its security check, also
	// when it is told to leave bodies alone (kin-openapi issue 1814). It has
	// nothing to check there: the router authenticates before.
	unsecured := *spec
	unsecured.Security = openapi3.NewSecurityRequirements()
	op := &Operation{
		ID: spec.OperationID, Method: method, Path: path,
		route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: &unsecured},
		query: map[string]bool{},
	}
	if err := op.readPermission(spec); err != nil {
		return nil, err
	}
	if limit, there := spec.Extensions["x-rate-limit"]; there {
		if op.RateLimit, _ = limit.(string); op.RateLimit == "" {
			return nil, fmt.Errorf("has an x-rate-limit that names no class: %v", limit)
		}
	}
	if err := op.readIdempotent(spec); err != nil {
		return nil, err
	}
	op.signed = slices.ContainsFunc(op.route.Operation.Parameters, func(p *openapi3.ParameterRef) bool {
		return p.Value.In == openapi3.ParameterInQuery && p.Value.Name == signatureParameter
	})
	if err := op.readCompress(spec); err != nil {
		return nil, err
	}
	for _, parameters := range []openapi3.Parameters{item.Parameters, spec.Parameters} {
		for _, p := range parameters {
			if err := op.readParameter(p.Value); err != nil {
				return nil, err
			}
			op.parameters = append(op.parameters, p.Value)
		}
	}
	op.cacheControl = noStore
	if op.Method == http.MethodGet && slices.ContainsFunc(op.parameters, func(p *openapi3.Parameter) bool { return p.Name == "If-None-Match" }) {
		op.cacheControl = askAgain
	}
	var err error
	op.body, err = newBody(spec.RequestBody)
	return op, err
}

// What an answer is about is somebody's (OWASP ASVS 5.0, 14.3.2): nobody keeps it,
// or where it has an entity tag, only who asks each time whether it still holds.
var (
	noStore  = []string{"no-store"}
	askAgain = []string{"private, no-cache"}
)

func (op *Operation) readPermission(spec *openapi3.Operation) error {
	extension, there := spec.Extensions["x-permission"]
	if !there {
		return errors.New("has no x-permission")
	}
	switch permission, _ := extension.(string); permission {
	case public:
		op.Public = true
	case authenticated:
	default:
		parsed, err := authz.ParsePermission(permission)
		if err != nil {
			return fmt.Errorf("has a malformed x-permission: %w", err)
		}
		op.Permission = parsed
	}
	return nil
}

func (op *Operation) readIdempotent(spec *openapi3.Operation) error {
	extension, there := spec.Extensions["x-idempotent"]
	idempotent, ok := extension.(bool)
	switch {
	case there && !ok:
		return fmt.Errorf("has an x-idempotent that is neither true nor false: %v", extension)
	case idempotent && op.Public:
		return errors.New("is x-idempotent and public: there is no caller to whom a key would belong")
	}
	op.Idempotent = idempotent
	return nil
}

// readCompress reads whether answers are compressed: where their type gets shorter by
// it, unless x-compress says no. That is said of answers which hold a secret, since how
// short they get tells something of it to those who choose a part of the answer and see
// its length (the BREACH attack), and of documents that are compressed once.
func (op *Operation) readCompress(spec *openapi3.Operation) error {
	if extension, there := spec.Extensions["x-compress"]; there {
		if compressed, ok := extension.(bool); !ok || compressed {
			return fmt.Errorf("has an x-compress that is not false: %v", extension)
		}
		return nil
	}
	for status, response := range spec.Responses.Map() {
		if !strings.HasPrefix(status, "2") {
			continue
		}
		for contentType := range response.Value.Content {
			op.Compressed = op.Compressed || compress.Takes(contentType)
		}
	}
	return nil
}

func (op *Operation) readParameter(p *openapi3.Parameter) error {
	if p.Schema == nil || p.Schema.Value == nil {
		return fmt.Errorf("has the parameter %s without a schema", p.Name)
	}
	if p.Schema.Value.Type.Is(openapi3.TypeObject) {
		return fmt.Errorf("has the parameter %s, which is an object: its names can't be told from unknown ones", p.Name)
	}
	switch p.In {
	case openapi3.ParameterInQuery:
		op.query[p.Name] = p.Schema.Value.Type.Is(openapi3.TypeArray)
	case openapi3.ParameterInPath:
		op.path = append(op.path, p.Name)
	}
	return nil
}

type operationKey struct{}

// From returns the operation that a request was matched to.
func From(ctx context.Context) (*Operation, bool) {
	op, ok := ctx.Value(operationKey{}).(*Operation)
	return op, ok
}

// pathValues returns the values of the path's parameters.
func (op *Operation) pathValues(r *http.Request) map[string]string {
	values := make(map[string]string, len(op.path))
	for _, name := range op.path {
		values[name] = r.PathValue(name)
	}
	return values
}
