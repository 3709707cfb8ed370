package apptest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/internal/apidoc"
)

// documented is an operation, and which problems the contract says it answers with.
type documented struct {
	http.Handler // None: the mux below only finds it.

	id       string
	problems map[string][]string
}

var operations = sync.OnceValues(func() (*http.ServeMux, error) {
	doc, err := openapi3.NewLoader().LoadFromData(picaspot.OpenAPI)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			problems, err := apidoc.Problems(method, path, item, op)
			if err != nil {
				return nil, err
			}
			mux.Handle(method+" "+path, documented{id: op.OperationID, problems: problems})
		}
	}
	return mux, nil
})

// heldToContract fails a test in which an operation answers with a problem that the
// contract does not name, whatever the test itself looks at.
func heldToContract(t testing.TB, next http.Handler) (http.Handler, error) {
	mux, err := operations()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, _ := mux.Handler(r)
		op, ok := found.(documented)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		kept := &keptProblem{ResponseWriter: w}
		next.ServeHTTP(kept, r)
		var problem struct{ Type string }
		// A HEAD has no body, and a connection that was cut may have half of one.
		if kept.status == 0 || json.Unmarshal(kept.body.Bytes(), &problem) != nil {
			return
		}
		if code := strings.TrimPrefix(problem.Type, "/problems/"); !slices.Contains(op.problems[strconv.Itoa(kept.status)], code) {
			t.Errorf("%s answers %d %s: name it in openapi.yaml, as x-problems", op.id, kept.status, code)
		}
	}), err
}

// keptProblem keeps a copy of a problem.
type keptProblem struct {
	http.ResponseWriter

	status int
	body   bytes.Buffer
}

// Unwrap is for [http.ResponseController].
func (k *keptProblem) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (k *keptProblem) WriteHeader(status int) {
	if k.Header().Get("Content-Type") == "application/problem+json" {
		k.status = status
	}
	k.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (k *keptProblem) Write(data []byte) (int, error) {
	if k.status != 0 {
		k.body.Write(data)
	}
	return k.ResponseWriter.Write(data)
}
