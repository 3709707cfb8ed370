package apidoc_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/internal/apidoc"
	"github.com/picaspot/picaspot/internal/operation"
)

// elsewhere are the problems that no operation answers with: those of requests that reach
// none, one of the command line, and one of positions that the contract refuses already.
var elsewhere = []string{"405 method_not_allowed", "421 misdirected_request", "409 username_taken", "400 invalid_position"}

// listed are the problems of docs/problems.md, each as its status and its code.
func listed(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/problems.md")
	require.NoError(t, err)
	var all []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*`) \\| ([0-9]{3}) \\|").FindAllStringSubmatch(string(text), -1) {
		for _, code := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			all = append(all, row[2]+" "+code[1])
		}
	}
	return all
}

func TestProblemsOfOperationsAreThoseThatAreListed(t *testing.T) {
	t.Parallel()
	document, err := apidoc.Render(picaspot.OpenAPI)
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(document.JSON)
	require.NoError(t, err)
	require.Empty(t, operation.Lint(doc), "an example does not fit")

	known := listed(t)
	require.NotEmpty(t, known)
	missing := slices.Clone(known)
	var said []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			codes, err := apidoc.Problems(method, path, item, op)
			require.NoError(t, err, op.OperationID)
			for status, response := range op.Responses.Map() {
				media := response.Value.Content["application/problem+json"]
				if media != nil && (len(codes[status]) == 0 || len(media.Examples) != len(codes[status])) {
					said = append(said, fmt.Sprintf("%s documents %s with %d examples of %d problems", op.OperationID, status, len(media.Examples), len(codes[status])))
				}
			}
			for status, named := range codes {
				if op.Responses.Value(status) == nil {
					said = append(said, fmt.Sprintf("%s has problems of %s, and does not document it", op.OperationID, status))
				}
				for _, code := range named {
					if !slices.Contains(known, status+" "+code) {
						said = append(said, fmt.Sprintf("%s answers %s %s, which docs/problems.md does not list", op.OperationID, status, code))
					}
					missing = slices.DeleteFunc(missing, func(one string) bool { return one == status+" "+code })
				}
			}
		}
	}
	slices.Sort(said)
	assert.Empty(t, strings.Join(said, "\n"))
	require.ElementsMatch(t, elsewhere, missing, "no operation has the problem")
}

func TestProblemsThatCannotBeShownAreRefused(t *testing.T) {
	t.Parallel()
	for wrong, want := range map[string]string{
		"x-problems: {'422': [name_missing]": "the problem name_missing has no example",
		"x-problems: {'9': name_blank":       "x-problems of 9 is no list",
	} {
		contract := strings.Replace(string(picaspot.OpenAPI), "x-problems: {'422': [display_name_blank, name_invalid]", wrong, 1)
		require.NotEqual(t, string(picaspot.OpenAPI), contract)
		_, err := apidoc.Render([]byte(contract))
		require.ErrorContains(t, err, want)
	}
}
