package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/middleware"
)

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	const host, evil = "api.example:8443", "https://evil.example"
	reach := func(t *testing.T, origins []string, method string, header map[string]string) bool {
		t.Helper()
		reached := false
		r := httptest.NewRequest(method, "/areas", nil)
		r.Host = host
		for name, value := range header {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		must(middleware.CrossOrigin(origins))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })).ServeHTTP(w, r)
		if !reached {
			requireProblem(t, w, http.StatusForbidden, "cross_origin")
		}
		return reached
	}
	for name, test := range map[string]struct {
		site, origin string
		passes       bool
	}{
		"from the same origin":                           {"same-origin", "https://api.example:8443", true},
		"by the user":                                    {"none", "", true},
		"from another site":                              {"cross-site", evil, false},
		"from another origin of the site":                {"same-site", "https://www.example", false},
		"from a site that is unknown":                    {"new-word", evil, false},
		"from another site that hides":                   {"cross-site", "", false},
		"from another site with our origin":              {"cross-site", "https://api.example:8443", false},
		"from a sandboxed frame":                         {"cross-site", "null", false},
		"from a trusted origin":                          {"cross-site", app, true},
		"from a trusted origin of the site":              {"same-site", app, true},
		"from a trusted origin with another port":        {"cross-site", app + ":8443", false},
		"from a trusted origin with another scheme":      {"cross-site", "http://app.example", false},
		"from beneath a trusted origin":                  {"cross-site", "https://a.app.example", false},
		"in an old browser":                              {"", "https://api.example:8443", true},
		"in an old browser from another site":            {"", evil, false},
		"in an old browser from another port":            {"", "https://api.example", false},
		"in an old browser from a sandboxed frame":       {"", "null", false},
		"in an old browser from a trusted origin":        {"", app, true},
		"in an old browser from what can't be parsed":    {"", "https://api.example:8443\x7f", false},
		"in none at all, as from a script with a cookie": {"", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := map[string]string{"Cookie": "session=1"}
			if test.site != "" {
				header["Sec-Fetch-Site"] = test.site
			}
			if test.origin != "" {
				header["Origin"] = test.origin
			}
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "BREW", "post"} {
				require.Equal(t, test.passes, reach(t, []string{app}, method, header), method)
			}
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
				require.True(t, reach(t, []string{app}, method, header), method)
			}
			header["Cookie"] = ""
			require.Equal(t, test.passes, reach(t, []string{app}, http.MethodPost, header), "an empty cookie is one")
			delete(header, "Cookie")
			header["Authorization"] = "Bearer token"
			require.True(t, reach(t, []string{app}, http.MethodPost, header), "nothing was added by the browser")
		})
	}
	t.Run("nobody is trusted by default or by an asterisk", func(t *testing.T) {
		t.Parallel()
		for _, origins := range [][]string{nil, {"*"}} {
			for _, origin := range []string{app, "*", "null"} {
				require.False(t, reach(t, origins, http.MethodPost, map[string]string{"Cookie": "a=b", "Sec-Fetch-Site": "cross-site", "Origin": origin}))
			}
		}
	})
	t.Run("an origin is trusted as browsers write it", func(t *testing.T) {
		t.Parallel()
		require.True(t, reach(t, []string{"HTTPS://App.Example:443"}, http.MethodPost, map[string]string{"Cookie": "a=b", "Sec-Fetch-Site": "cross-site", "Origin": app}))
	})
}
