package audit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
)

// The contract lists the actions by which the log can be filtered.
func TestTheContractKnowsEachAction(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "audit.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var actions []any
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Action" {
			return true
		}
		for _, value := range spec.Values {
			literal, ok := value.(*ast.BasicLit)
			require.True(t, ok, "%v", spec.Names)
			action, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			actions = append(actions, action)
		}
		return true
	})
	require.NotEmpty(t, actions)
	spec, err := api.GetSpec()
	require.NoError(t, err)
	require.ElementsMatch(t, actions, spec.Components.Schemas["AuditAction"].Value.Enum)
}
