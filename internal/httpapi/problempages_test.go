package httpapi_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/internal/apidoc"
	"github.com/picaspot/picaspot/internal/apptest"
)

func TestProblemTypesCanBeLookedUp(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	get := func(path, accept string) (*http.Response, []byte) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		require.NoError(t, err)
		request.Header.Set("Accept", accept)
		response, err := http.DefaultTransport.RoundTrip(request)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response, body
	}
	// What an answer names as its type is an address of this server.
	_, body := s.Call(nil, http.MethodGet, "/api/v1/me", "", nil)
	var refused struct{ Type string }
	require.NoError(t, json.Unmarshal(body, &refused))
	require.Equal(t, "/problems/unauthenticated", refused.Type)

	catalog, err := apidoc.Catalog(picaspot.Problems)
	require.NoError(t, err)
	require.Greater(t, len(catalog), 60)
	for code, want := range catalog {
		response, body := get("/problems/"+code, "application/json")
		require.Equal(t, http.StatusOK, response.StatusCode, code)
		require.Equal(t, "application/json", response.Header.Get("Content-Type"))
		var got apidoc.ProblemType
		require.NoError(t, json.Unmarshal(body, &got))
		require.Equal(t, want, got)
		for _, c := range got.Cases {
			require.NotContains(t, c.When, "](", "links of the document lead nowhere here")
		}
	}
	twice, body := get("/problems/otp_invalid", "text/html,application/xhtml+xml,*/*;q=0.8")
	require.Equal(t, "text/html; charset=utf-8", twice.Header.Get("Content-Type"))
	require.Equal(t, "Accept", twice.Header.Get("Vary"))
	require.Contains(t, twice.Header.Get("Content-Security-Policy"), "style-src 'sha256-")
	require.Contains(t, string(body), "401 Unauthorized")
	require.Contains(t, string(body), "422 Unprocessable Entity")
	for _, accept := range []string{"", "*/*", "application/*"} {
		response, _ := get("/problems/not_found", accept)
		require.Equal(t, "application/json", response.Header.Get("Content-Type"), accept)
	}
	for _, unknown := range []string{"nope", "NOT_FOUND", "%00"} {
		response, _ := get("/problems/"+unknown, "text/html")
		require.Equal(t, http.StatusNotFound, response.StatusCode, unknown)
	}
}
