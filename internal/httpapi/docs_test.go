package httpapi_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/httpapi"
)

// eachOperation calls f with each operation of a contract.
func eachOperation(doc map[string]any, f func(op map[string]any)) {
	for _, item := range doc["paths"].(map[string]any) {
		for _, op := range item.(map[string]any) {
			if op, ok := op.(map[string]any); ok && op["operationId"] != nil {
				f(op)
			}
		}
	}
}

// written is the contract as it stands in openapi.yaml, descriptions without the end
// of their last line.
func written(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	require.NoError(t, yaml.Unmarshal(picaspot.OpenAPI, &doc))
	eachOperation(doc, func(op map[string]any) { op["description"] = strings.TrimRight(op["description"].(string), "\n") })
	return doc
}

// withoutAdditions takes from a served contract what was added to the written one, which
// refers to what problems have in common.
func withoutAdditions(t *testing.T, doc map[string]any) map[string]any {
	t.Helper()
	info := doc["info"].(map[string]any)
	info["description"], _, _ = strings.Cut(info["description"].(string), "\n## Code samples")
	eachOperation(doc, func(op map[string]any) {
		require.Len(t, op["x-codeSamples"], 3, op["operationId"])
		delete(op, "x-codeSamples")
		before, _, found := strings.Cut(op["description"].(string), "\n\n**Access:** ")
		require.True(t, found, op["operationId"])
		op["description"] = before
		for status, response := range op["responses"].(map[string]any) {
			content, _ := response.(map[string]any)["content"].(map[string]any)
			media, isProblem := content["application/problem+json"].(map[string]any)
			if !isProblem {
				continue
			}
			require.NotEmpty(t, media["examples"], "%v %s", op["operationId"], status)
			for name, shared := range doc["components"].(map[string]any)["responses"].(map[string]any) {
				if shared.(map[string]any)["description"] == response.(map[string]any)["description"] {
					op["responses"].(map[string]any)[status] = map[string]any{"$ref": "#/components/responses/" + name}
				}
			}
		}
	})
	return doc
}

func TestContractIsServedAsItIsWrittenWithAdditions(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	want, err := json.Marshal(written(t))
	require.NoError(t, err)
	for path, test := range map[string]struct {
		contentType string
		read        func([]byte, any) error
	}{
		"/openapi.yaml": {"application/yaml", yaml.Unmarshal},
		"/openapi.json": {"application/json", json.Unmarshal},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			response, body := send(t, s, request{method: "GET", path: path})
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Equal(t, test.contentType, response.Header.Get("Content-Type"))
			var served map[string]any
			require.NoError(t, test.read(body, &served))
			got, err := json.Marshal(withoutAdditions(t, served))
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got))
			require.Less(t, strings.Index(string(body), "/api/v1/me"), strings.Index(string(body), "/api/v1/areas"), "the order is kept")
		})
	}
	docs, err := httpapi.NewDocs([]byte("{"))
	require.NoError(t, err)
	_, err = (&httpapi.Server{Docs: docs}).GetOpenAPIJSON(t.Context(), api.GetOpenAPIJSONRequestObject{})
	require.Error(t, err)
}

// Every sample in curl is run as a reader would run it. Its examples name things that
// are not there; what counts is that the server understood it.
func TestSamplesInCurlWork(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("curl")
	require.NoError(t, err, "curl has to be installed")
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	_, body := send(t, s, request{method: "GET", path: "/openapi.json"})
	doc, err := openapi3.NewLoader().LoadFromData(body)
	require.NoError(t, err)
	policy, err := os.ReadFile("../../policy/policy.csv")
	require.NoError(t, err)

	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			t.Run(op.OperationID, func(t *testing.T) {
				dir := t.TempDir()
				require.NoError(t, os.WriteFile(filepath.Join(dir, "policy.csv"), policy, 0o600))
				require.NoError(t, os.WriteFile(filepath.Join(dir, "photo.jpg"), apptest.Photo(t, geo.Point{Latitude: 53.8671, Longitude: 8.7206}, time.Now()), 0o600))
				// Some samples end their session.
				caller := s.LogIn(admin.ID, admin.Username, admin.Email)
				samples, ok := op.Extensions["x-codeSamples"].([]any)
				require.True(t, ok)
				source := samples[0].(map[string]any)["source"].(string)

				command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", `curl() { command curl -sS -D head.txt "$@"; }; `+source)
				command.Dir = dir
				command.Env = append(os.Environ(), "PICASPOT="+s.URL, "TOKEN="+caller.Token)
				output, err := command.CombinedOutput()
				require.NoError(t, err, "%s\n%s", source, output)
				head, err := os.ReadFile(filepath.Join(dir, "head.txt"))
				require.NoError(t, err)
				statuses := regexp.MustCompile(`HTTP/1.1 (\d+)`).FindAllStringSubmatch(string(head), -1)
				require.NotEmpty(t, statuses)
				status, err := strconv.Atoi(statuses[len(statuses)-1][1])
				require.NoError(t, err)
				require.NotContains(t, []int{400, 403, 405, 413, 415, 429, 500, 503}, status, "%s %s\n%s\n%s", method, path, source, output)
				require.NotNil(t, op.Responses.Status(status), "%d is not documented\n%s", status, output)
			})
		}
	}
}

func TestReference(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	response, page := send(t, s, request{method: "GET", path: "/docs/reference"})
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Contains(t, response.Header.Get("Content-Type"), "text/html")
	checkPage(t, s, response, page)
	missing, _ := send(t, s, request{method: "GET", path: "/docs/reference/nothing.js"})
	require.Equal(t, http.StatusNotFound, missing.StatusCode)
}

// The collection has a request for each operation, and takes tokens by itself.
func TestPostmanCollection(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	response, body := send(t, s, request{method: "GET", path: "/docs/postman.json"})
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	type folder struct {
		Item []struct {
			Request struct {
				Auth *struct{ Type string }
			}
		}
	}
	var collection struct {
		Item  []folder
		Event []struct{ Listen string }
	}
	require.NoError(t, json.Unmarshal(body, &collection))
	require.Equal(t, "prerequest", collection.Event[0].Listen)
	doc, err := openapi3.NewLoader().LoadFromData(picaspot.OpenAPI)
	require.NoError(t, err)
	operations, public, requests, withoutToken := 0, 0, 0, 0
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			operations++
			if op.Security != nil && len(*op.Security) == 0 {
				public++
			}
		}
	}
	for _, folder := range collection.Item {
		for _, item := range folder.Item {
			requests++
			if item.Request.Auth != nil && item.Request.Auth.Type == "noauth" {
				withoutToken++
			}
		}
	}
	require.Equal(t, []int{operations, public}, []int{requests, withoutToken})
}
