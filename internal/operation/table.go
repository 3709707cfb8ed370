// Package operation is what stands around an operation of the contract, and all
// of it comes from the spec: who may call it, what its parameters and body have
// to be. An operation that says nothing about its permission does not start.
package operation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"github.com/picaspot/picaspot/internal/authz"
)

// What x-permission says of operations that ask for no permission.
const (
	public        = "public"
	authenticated = "authenticated"
)

// Operation is an operation of the spec.
type Operation struct {
	// ID is its operationId.
	ID     string
	Method string
	Path   string
	// Public operations are for everybody; of others the caller is known.
	Public bool
	// Permission is what the caller's role is asked for; empty when it is enough
	// to be logged in.
	Permission authz.Permission
	// RateLimit is the class of limits that it counts against; it may be empty.
	RateLimit string

	route *routers.Route
	query map[string]bool // declared parameters; true for those that repeat
	body  *body           // nil when it takes none
}

// Table holds the operations of a spec by the pattern that a router knows them by.
type Table struct {
	operations map[string]*Operation
}

// Load reads the operations of a spec.
func Load(doc *openapi3.T) (*Table, error) {
	defineFormats()
	table := &Table{operations: map[string]*Operation{}}
	var errs []error
	for path, item := range doc.Paths.Map() {
		for method, spec := range item.Operations() {
			op, err := newOperation(doc, path, item, method, spec)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			table.operations[method+" "+path] = op
		}
	}
	return table, errors.Join(errs...)
}

// All returns the operations, in no particular order.
func (t *Table) All() []*Operation {
	all := make([]*Operation, 0, len(t.operations))
	for _, op := range t.operations {
		all = append(all, op)
	}
	return all
}

func newOperation(doc *openapi3.T, path string, item *openapi3.PathItem, method string, spec *openapi3.Operation) (*Operation, error) {
	// The validator reads the whole body for its security check, also where bodies
	// are left out (kin-openapi issue 1814). Authentication is ours anyway.
	validated := *spec
	validated.Security = openapi3.NewSecurityRequirements()
	op := &Operation{
		ID: spec.OperationID, Method: method, Path: path,
		route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: &validated},
		query: map[string]bool{},
	}
	switch permission, _ := spec.Extensions["x-permission"].(string); permission {
	case "":
		return nil, fmt.Errorf("%s %s has no x-permission", method, path)
	case public:
		op.Public = true
	case authenticated:
	default:
		parsed, err := authz.ParsePermission(permission)
		if err != nil {
			return nil, fmt.Errorf("%s %s: x-permission: %w", method, path, err)
		}
		op.Permission = parsed
	}
	op.RateLimit, _ = spec.Extensions["x-rate-limit"].(string)
	for _, parameters := range []openapi3.Parameters{item.Parameters, spec.Parameters} {
		for _, p := range parameters {
			if p.Value.In == openapi3.ParameterInQuery {
				op.query[p.Value.Name] = p.Value.Schema.Value.Type.Is(openapi3.TypeArray)
			}
		}
	}
	op.body = newBody(spec.RequestBody)
	return op, nil
}

type operationKey struct{}

// From returns the operation that a request was matched to.
func From(ctx context.Context) (*Operation, bool) {
	op, ok := ctx.Value(operationKey{}).(*Operation)
	return op, ok
}

// pathValues returns the values of the path's parameters.
func (op *Operation) pathValues(r *http.Request) map[string]string {
	values := map[string]string{}
	rest := op.Path
	for {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return values
		}
		name, after, _ := strings.Cut(after, "}")
		values[name] = r.PathValue(name)
		rest = after
	}
}
