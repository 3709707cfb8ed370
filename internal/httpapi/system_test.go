package httpapi_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/httpapi"
)

func TestReadiness(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ctx := context.Background()
	up := func(context.Context) error { return nil }
	down := func(context.Context) error { return errors.New("connection refused") }
	ask := func(t *testing.T, r *httpapi.Readiness) (int, api.Readiness) {
		t.Helper()
		answer, err := (&httpapi.Server{Readiness: r}).GetReadiness(ctx, api.GetReadinessRequestObject{})
		require.NoError(t, err)
		recorder := httptest.NewRecorder()
		require.NoError(t, answer.VisitGetReadinessResponse(recorder))
		var body api.Readiness
		require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &body))
		return recorder.Code, body
	}

	t.Run("names each dependency", func(t *testing.T) {
		t.Parallel()
		got, err := s.Anonymous().GetReadinessWithResponse(ctx)
		require.NoError(t, err)
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, api.Readiness{
			Status: api.ReadinessStatusReady, Dependencies: map[string]api.DependencyState{"database": "up", "policy": "up", "redis": "up", "storage": "up"},
		}, *got.JSON200)
		alive, err := s.Anonymous().GetHealthWithResponse(ctx)
		require.NoError(t, err)
		require.Equal(t, api.HealthStatusOk, alive.JSON200.Status)
	})
	t.Run("stays up without what is optional", func(t *testing.T) {
		t.Parallel()
		status, body := ask(t, &httpapi.Readiness{
			Required: map[string]httpapi.Probe{"database": up}, Optional: map[string]httpapi.Probe{"redis": down},
		})
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, api.Readiness{
			Status: api.ReadinessStatusReady, Dependencies: map[string]api.DependencyState{"database": "up", "redis": "down"},
		}, body)
	})
	t.Run("goes down with what is required", func(t *testing.T) {
		t.Parallel()
		status, body := ask(t, &httpapi.Readiness{
			Required: map[string]httpapi.Probe{"database": down}, Optional: map[string]httpapi.Probe{"redis": up},
		})
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, api.ReadinessStatusUnavailable, body.Status)
		require.Equal(t, api.DependencyStateDown, body.Dependencies["database"])
	})
	t.Run("goes down first when the process stops", func(t *testing.T) {
		t.Parallel()
		r := &httpapi.Readiness{Required: map[string]httpapi.Probe{"database": up}}
		r.Drain()
		status, body := ask(t, r)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, api.DependencyStateUp, body.Dependencies["database"])
	})
}

func TestKeySetHasPublicKeysOnly(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	got, err := s.Anonymous().GetJSONWebKeySetWithResponse(context.Background())
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	require.NotEmpty(t, got.JSON200.Keys)
	require.Contains(t, got.HTTPResponse.Header.Get("Cache-Control"), "max-age")
	var raw struct {
		Keys []map[string]any `json:"keys"`
	}
	require.NoError(t, json.Unmarshal(got.Body, &raw))
	kids := map[string]bool{}
	for _, key := range raw.Keys {
		require.Equal(t, "OKP", key["kty"])
		require.Equal(t, "Ed25519", key["crv"])
		require.NotContains(t, key, "d")
		kid, ok := key["kid"].(string)
		require.True(t, ok)
		kids[kid] = true
	}
	token := s.User().Token
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	require.NoError(t, err)
	var head struct{ Kid, Typ, Alg string }
	require.NoError(t, json.Unmarshal(header, &head))
	require.Equal(t, []string{"at+jwt", "EdDSA"}, []string{head.Typ, head.Alg})
	require.True(t, kids[head.Kid], "the key that signs is published")
}

func TestDocs(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	response, page := send(t, s, request{method: "GET", path: "/docs"})
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Contains(t, response.Header.Get("Content-Type"), "text/html")

	t.Run("run no code but files", func(t *testing.T) {
		t.Parallel()
		checkPage(t, s, response, page)
	})

	t.Run("are where people look for them", func(t *testing.T) {
		t.Parallel()
		for path, status := range map[string]int{"/": http.StatusFound, "/docs/": http.StatusMovedPermanently} {
			moved, _ := send(t, s, request{method: "GET", path: path})
			require.Equal(t, status, moved.StatusCode)
			require.Equal(t, "/docs", moved.Header.Get("Location"))
		}
		missing, body := send(t, s, request{method: "GET", path: "/docs/nothing.js"})
		require.Equal(t, http.StatusNotFound, missing.StatusCode, string(body))
	})
}

// checkPage holds a page of the documentation against what both promise: they fit a phone,
// run no inline code and load nothing from elsewhere.
func checkPage(t *testing.T, s *apptest.Server, response *http.Response, page []byte) {
	t.Helper()
	policy := response.Header.Get("Content-Security-Policy")
	require.Contains(t, policy, "script-src 'self';")
	require.NotContains(t, policy, "unsafe-eval")
	require.NotContains(t, string(page), "<script>")
	require.NotRegexp(t, `(?i)\son[a-z]+\s*=\s*["']`, string(page), "handlers in attributes would not run")
	require.Contains(t, string(page), `<meta name="viewport" content="width=device-width, initial-scale=1">`)
	require.Contains(t, string(page), `href="/docs/postman.json"`)
	for _, reference := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllSubmatch(page, -1) {
		address := string(reference[1])
		require.Regexp(t, "^/[a-z]", address)
		file, content := send(t, s, request{method: "GET", path: address})
		require.Equal(t, http.StatusOK, file.StatusCode, address)
		require.NotEmpty(t, content)
	}
}

func TestEveryAnswerIsProtected(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	for name, in := range map[string]request{
		"a success":       {by: user, method: "GET", path: "/api/v1/areas"},
		"an error":        {method: "GET", path: "/api/v1/areas"},
		"no such route":   {method: "GET", path: "/nothing"},
		"no such method":  {method: "PATCH", path: "/healthz"},
		"a page":          {method: "GET", path: "/verify-email"},
		"the docs":        {method: "GET", path: "/docs"},
		"an asset":        {method: "GET", path: "/docs/swagger-ui.css"},
		"the reference":   {method: "GET", path: "/docs/reference"},
		"a redirect":      {method: "GET", path: "/"},
		"a bare head":     {method: "HEAD", path: "/healthz"},
		"a faulty body":   {by: user, method: "POST", path: "/api/v1/areas", contentType: "application/json", body: "{"},
		"the public keys": {method: "GET", path: "/.well-known/jwks.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, _ := send(t, s, in)
			h := response.Header
			require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
			require.Equal(t, "DENY", h.Get("X-Frame-Options"))
			require.Equal(t, "no-referrer", h.Get("Referrer-Policy"))
			require.Equal(t, "same-origin", h.Get("Cross-Origin-Opener-Policy"))
			require.Equal(t, "same-origin", h.Get("Cross-Origin-Resource-Policy"))
			require.NotEmpty(t, h.Get("Permissions-Policy"))
			require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'")
			require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'")
			require.NotEmpty(t, h.Get("X-Request-ID"))
			require.Empty(t, h.Get("Server"))
		})
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	for name, test := range map[string]struct {
		sent string
		kept bool
	}{
		"a sane one is kept":                {"trace-0193.abc_9", true},
		"one with a space is replaced":      {"a b", false},
		"one with markup is replaced":       {"<script>", false},
		"one that is too long is replaced":  {strings.Repeat("a", 129), false},
		"one is made when there is none":    {"", false},
		"the longest sane one is kept also": {strings.Repeat("a", 128), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, _ := send(t, s, request{method: "GET", path: "/healthz", header: map[string]string{"X-Request-ID": test.sent}})
			got := response.Header.Get("X-Request-ID")
			if test.kept {
				require.Equal(t, test.sent, got)
			} else {
				require.Regexp(t, anyUUID, got)
			}
		})
	}
}

func TestVerifyPageEscapesItsToken(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	response, page := send(t, s, request{method: "GET", path: "/verify-email?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"})
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.NotContains(t, string(page), "<script>")
	require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
	tooLong, body := send(t, s, request{
		method: "POST", path: "/verify-email", contentType: "application/x-www-form-urlencoded", body: "token=" + strings.Repeat("a", 5000),
	})
	require.Equal(t, http.StatusUnprocessableEntity, tooLong.StatusCode, string(body))
}
