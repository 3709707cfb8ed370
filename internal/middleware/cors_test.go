package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/middleware"
)

// ask sends a request through CORS and tells whether it reached the inside.
func ask(t *testing.T, origins []string, method string, header map[string]string) (answer http.Header, status int, reached bool) {
	t.Helper()
	m, err := middleware.CORS(origins)
	require.NoError(t, err)
	r := httptest.NewRequest(method, "/areas", nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	m(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		w.WriteHeader(http.StatusTeapot)
	})).ServeHTTP(w, r)
	return w.Header(), w.Code, reached
}

// leave are the headers of an answer that allow something.
func leave(h http.Header) []string {
	var names []string
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			names = append(names, name)
		}
	}
	return names
}

func varies(h http.Header) []string {
	return strings.Split(strings.ReplaceAll(strings.Join(h.Values("Vary"), ","), " ", ""), ",")
}

func TestCORS(t *testing.T) {
	t.Parallel()
	origins := []string{app, "http://localhost:5173", "https://Upper.Example:443", "capacitor://localhost", "http://[::1]:3000"}
	t.Run("a page of an allowed origin", func(t *testing.T) {
		t.Parallel()
		for _, origin := range []string{app, "http://localhost:5173", "https://upper.example", "capacitor://localhost", "http://[::1]:3000"} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				h, status, reached := ask(t, origins, method, map[string]string{"Origin": origin})
				require.True(t, reached)
				require.Equal(t, http.StatusTeapot, status)
				require.Equal(t, []string{origin}, h.Values("Access-Control-Allow-Origin"))
				require.Equal(t, []string{"true"}, h.Values("Access-Control-Allow-Credentials"))
				require.Equal(t, "etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, tus-resumable, upload-expires, upload-length, upload-offset, x-request-id", strings.ToLower(h.Get("Access-Control-Expose-Headers")))
				require.Equal(t, []string{"Origin"}, varies(h))
			}
		}
	})
	for name, origin := range map[string]string{
		"null":                 "null",
		"another":              "https://evil.example",
		"another scheme":       "http://app.example",
		"another port":         "https://app.example:8443",
		"a port left out":      "http://localhost",
		"another port of ours": "http://localhost:51730",
		"beneath":              "https://a.app.example",
		"an ending":            "https://evilapp.example",
		"a beginning":          "https://app.example.evil.example",
		"an asterisk":          "*",
		"nothing":              "",
		"a path":               app + "/",
		"a user":               app + "@evil.example",
	} {
		t.Run("not of "+name, func(t *testing.T) {
			t.Parallel()
			h, _, reached := ask(t, origins, http.MethodGet, map[string]string{"Origin": origin})
			require.True(t, reached, "it is the browser that keeps the answer from the page")
			require.Empty(t, leave(h))
			require.Equal(t, []string{"Origin"}, varies(h), "a cache must not hand this to an allowed origin")
			h, status, reached := ask(t, origins, http.MethodOptions, map[string]string{"Origin": origin, "Access-Control-Request-Method": "GET"})
			require.False(t, reached)
			require.Equal(t, http.StatusNoContent, status)
			require.Empty(t, leave(h))
			require.Contains(t, varies(h), "Origin")
		})
	}
	t.Run("a request without an origin", func(t *testing.T) {
		t.Parallel()
		h, _, reached := ask(t, origins, http.MethodGet, nil)
		require.True(t, reached)
		require.Empty(t, leave(h))
		require.Equal(t, []string{"Origin"}, varies(h))
	})
	t.Run("what varies already stays", func(t *testing.T) {
		t.Parallel()
		w := httptest.NewRecorder()
		must(middleware.CORS(origins))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Add("Vary", "Accept")
		})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, []string{"Origin", "Accept"}, varies(w.Header()))
	})
}

func TestCORSPreflight(t *testing.T) {
	t.Parallel()
	const every = "authorization,content-type,idempotency-key,if-match,if-none-match,last-event-id,x-request-id,x-timezone"
	for name, test := range map[string]struct {
		method, headers string
		allowed         bool
	}{
		"GET":                       {"GET", "", true},
		"HEAD":                      {"HEAD", "", true},
		"POST with every header":    {"POST", every, true},
		"PUT":                       {"PUT", "content-type", true},
		"PATCH":                     {"PATCH", "content-type,if-match", true},
		"DELETE":                    {"DELETE", "authorization", true},
		"TRACE":                     {"TRACE", "", false},
		"CONNECT":                   {"CONNECT", "", false},
		"a method in small letters": {"patch", "", false},
		"a method of nobody":        {"BREW", "", false},
		"another header":            {"GET", "x-forwarded-for", false},
		"another header among ours": {"GET", "authorization,x-evil", false},
		"an asterisk":               {"GET", "*", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := map[string]string{"Origin": app, "Access-Control-Request-Method": test.method}
			if test.headers != "" {
				header["Access-Control-Request-Headers"] = test.headers
			}
			h, status, reached := ask(t, []string{app}, http.MethodOptions, header)
			require.False(t, reached)
			require.Equal(t, http.StatusNoContent, status)
			for _, name := range []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} {
				require.Contains(t, varies(h), name)
			}
			if !test.allowed {
				require.Empty(t, leave(h))
				return
			}
			require.Equal(t, app, h.Get("Access-Control-Allow-Origin"))
			require.Equal(t, "true", h.Get("Access-Control-Allow-Credentials"))
			require.Equal(t, test.method, h.Get("Access-Control-Allow-Methods"))
			require.Equal(t, test.headers, h.Get("Access-Control-Allow-Headers"))
			require.Equal(t, "600", h.Get("Access-Control-Max-Age"))
		})
	}
	t.Run("a plain OPTIONS is a request as any other", func(t *testing.T) {
		t.Parallel()
		_, status, reached := ask(t, []string{app}, http.MethodOptions, map[string]string{"Origin": app})
		require.True(t, reached)
		require.Equal(t, http.StatusTeapot, status)
	})
}

func TestCORSOfEveryOrigin(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{app, "null", "https://evil.example"} {
		for _, header := range []map[string]string{{"Origin": origin}, {"Origin": origin, "Access-Control-Request-Method": "PUT"}} {
			h, _, _ := ask(t, []string{"*"}, http.MethodOptions, header)
			require.Equal(t, []string{"*"}, h.Values("Access-Control-Allow-Origin"))
			require.NotContains(t, h, "Access-Control-Allow-Credentials")
		}
	}
	h, _, _ := ask(t, []string{"*"}, http.MethodGet, nil)
	require.Empty(t, leave(h))
	require.Contains(t, varies(h), "Origin", "without an origin there is no leave in the answer, with one there is")
}

func TestCORSOfNobody(t *testing.T) {
	t.Parallel()
	for _, origins := range [][]string{nil, {}} {
		for _, method := range []string{http.MethodGet, http.MethodOptions} {
			h, status, reached := ask(t, origins, method, map[string]string{"Origin": app, "Access-Control-Request-Method": "GET"})
			require.True(t, reached)
			require.Equal(t, http.StatusTeapot, status)
			require.Empty(t, h)
		}
	}
}

func TestOriginsAreChecked(t *testing.T) {
	t.Parallel()
	faults := []string{
		"", "null", "app.example", "//app.example", "https://", "https:app.example", "https://app.example/", "https://app.example/path",
		"https://app.example?", "https://app.example#", "https://user@app.example", "https://*.app.example", "https://app.*", "https://*",
		"*.app.example", "https://app.example:", "https://app.example:http", "https://app.example:65536", "https://app.example:0443",
		"https://app.example.", "https://a b", "https://bücher.example", "https://\u212aapp.example", "1https://app.example",
		"ht_tp://app.example", "file:///app", "http://[::1", "http://::1", "http://[0:0::1]", "https://app.example,https://b.example",
	}
	for name, constructor := range map[string]func([]string) (func(http.Handler) http.Handler, error){
		"CORS": middleware.CORS, "CrossOrigin": middleware.CrossOrigin,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := constructor(append(slices.Clone(faults), app))
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(faults))
			for i, fault := range faults {
				require.Contains(t, lines[i], `"`+fault+`"`)
			}
			for _, origins := range [][]string{{"*", app}, {app, "*"}} {
				_, err := constructor(origins)
				require.ErrorContains(t, err, "* allows every origin")
			}
			for _, origins := range [][]string{nil, {"*"}, {" * "}, {app, " " + app + " "}, {"http://192.0.2.1:80"}} {
				_, err := constructor(origins)
				require.NoError(t, err)
			}
		})
	}
}

// Development servers of web apps take whichever port is free.
func TestLoopbackOriginsHaveAnyPort(t *testing.T) {
	t.Parallel()
	for origin, allowed := range map[string]bool{
		"http://localhost:5173": true, "http://127.0.0.1:3000": true, "http://localhost:1": true,
		"https://localhost:5173": false, "http://localhost.evil.example:5173": false, "http://evil.example": false,
		"http://127.0.0.1.evil.example:80": false, "null": false, "http://192.168.0.5:5173": false,
	} {
		h, _, reached := ask(t, middleware.LoopbackOrigins, http.MethodOptions, map[string]string{
			"Origin": origin, "Access-Control-Request-Method": http.MethodPost, "Access-Control-Request-Headers": "authorization,content-type",
		})
		require.False(t, reached)
		require.Equal(t, allowed, h.Get("Access-Control-Allow-Origin") == origin, origin)

		protection, err := middleware.CrossOrigin(middleware.LoopbackOrigins)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "http://localhost:8080/areas", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Cookie", "session=1")
		r.Header.Set("Sec-Fetch-Site", "same-site")
		w := httptest.NewRecorder()
		protection(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })).ServeHTTP(w, r)
		require.Equal(t, allowed, w.Code == http.StatusTeapot, origin)
	}
	for _, refused := range []string{"http://example.org:*", "https://localhost:*", "http://*", "*://localhost:*"} {
		_, err := middleware.CORS([]string{refused})
		require.Error(t, err, refused)
	}
}
