package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/middleware"
)

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	h := middleware.SecurityHeaders("http://localhost:8080")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page" {
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
		}
	}))
	for path, policy := range map[string]string{
		"/api":  "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"/page": "default-src 'self'",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		for name, want := range map[string]string{
			"Content-Security-Policy":           policy,
			"Cross-Origin-Opener-Policy":        "same-origin",
			"Origin-Agent-Cluster":              "?1",
			"X-Permitted-Cross-Domain-Policies": "none",
			"Cross-Origin-Resource-Policy":      "same-origin",
			"Permissions-Policy":                "camera=(), geolocation=(), microphone=()",
			"Referrer-Policy":                   "no-referrer",
			"X-Content-Type-Options":            "nosniff",
			"X-Frame-Options":                   "DENY",
		} {
			require.Equal(t, []string{want}, w.Header().Values(name))
		}
		require.NotContains(t, w.Header(), "Strict-Transport-Security")
	}
}

func TestStrictTransportSecurity(t *testing.T) {
	t.Parallel()
	for url, want := range map[string][]string{
		"https://picaspot.example":      {"max-age=63072000; includeSubDomains"},
		"HTTPS://picaspot.example:8443": {"max-age=63072000; includeSubDomains"},
		"http://picaspot.example":       nil,
		"http://https.example":          nil,
		"httpsx://picaspot.example":     nil,
		"":                              nil,
		":":                             nil,
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			middleware.SecurityHeaders(url)(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			require.Equal(t, want, w.Header().Values("Strict-Transport-Security"))
		})
	}
}

// Answers share the values, so what one does to its own must not show in another.
func TestSecurityHeadersAreEachAnswersOwn(t *testing.T) {
	t.Parallel()
	first := true
	h := middleware.SecurityHeaders("https://picaspot.example")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if first {
			for name := range w.Header() {
				w.Header().Add(name, "added")
				w.Header().Set(name, "set")
				w.Header().Add(name, "added")
			}
		}
		first = false
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Len(t, w.Header(), 10)
	for name, values := range w.Header() {
		require.Equal(t, http.CanonicalHeaderKey(name), name)
		require.Len(t, values, 1)
		require.NotContains(t, values, "set")
		require.NotContains(t, values, "added")
	}
}
