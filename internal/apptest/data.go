package apptest

import (
	"os"
	"path/filepath"
	"testing"
)

// dataVariable names the folder of real data that tests use when it is there; without
// it, the folder that lies beside the checkout.
const dataVariable = "PICASPOT_TEST_DATA"

// besides is that folder, as seen from a package beneath internal.
var besides = filepath.Join("..", "..", "..", "shared", "data")

// Data returns the content of a file of real data, or nil when there is none on this
// machine: the test then makes do with the little that it has itself.
func Data(t testing.TB, path ...string) []byte {
	t.Helper()
	folder := os.Getenv(dataVariable)
	if folder == "" {
		folder = besides
	}
	data, err := os.ReadFile(filepath.Join(append([]string{folder}, path...)...))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}
