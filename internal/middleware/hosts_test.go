package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/middleware"
)

func TestTrustedHosts(t *testing.T) {
	t.Parallel()
	h := must(middleware.TrustedHosts([]string{
		"good.com", "API.Example.ORG:8080", "*.example.org", "192.0.2.1", "[2001:db8::1]", "::1", "k.example", "absolute.example.",
	}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	serve := func(host, target string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Host = host
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for name, host := range map[string]string{
		"a name":                         "good.com",
		"a name in capitals":             "GOOD.com",
		"a name and a port":              "good.com:8443",
		"a name and an empty port":       "good.com:",
		"an absolute name":               "good.com.",
		"an absolute name and a port":    "good.com.:443",
		"an entry with a port":           "api.example.org",
		"an entry with another port":     "api.example.org:1",
		"an entry that is absolute":      "absolute.example",
		"a name beneath":                 "a.example.org",
		"a name far beneath":             "b_c.a-1.EXAMPLE.org:80",
		"an address":                     "192.0.2.1:8080",
		"IPv6":                           "[2001:db8::1]",
		"IPv6 at length and with a port": "[2001:0DB8:0:0:0:0:0:1]:8080",
		"IPv6 of an entry without":       "[::1]:80",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, http.StatusNoContent, serve(host, "/areas").Code)
		})
	}
	for name, host := range map[string]string{
		"no host":                       "",
		"a port only":                   ":80",
		"a dot":                         ".",
		"another name":                  "evil.com",
		"a name that ends alike":        "evilgood.com",
		"a name that starts alike":      "good.com.evil.com",
		"a name beneath":                "a.good.com",
		"a wildcard's own name":         "example.org",
		"a wildcard's name in another":  "evilexample.org",
		"a wildcard's name with a dot":  ".example.org",
		"a wildcard's name with dots":   "a..example.org",
		"a wildcard":                    "*.example.org",
		"a fragment":                    "evil.com#good.com",
		"a fragment beneath":            "evil.com#.example.org",
		"a path":                        "evil.com/good.com",
		"a path beneath":                "evil.com/a.example.org",
		"a backslash":                   `evil.com\.example.org`,
		"a query":                       "evil.com?.example.org",
		"a user":                        "good.com@evil.com",
		"a user and a port":             "good.com:80@evil.com",
		"a user beneath":                "evil.com@a.example.org",
		"a list":                        "good.com,evil.com",
		"a space":                       "good.com evil.com",
		"a space behind":                "good.com ",
		"two ports":                     "good.com:80:80",
		"a port that is none":           "good.com:http",
		"a port with a sign":            "good.com:+80",
		"a port too large":              "good.com:65536",
		"a port beneath":                "evil.com:.example.org",
		"two final dots":                "good.com..",
		"an encoded letter":             "%67ood.com",
		"a null":                        "good.com\x00",
		"a line break":                  "good.com\r\n",
		"a Kelvin sign":                 "\u212a.example",
		"a dot that is none":            "good\u3002com",
		"a name too long":               strings.Repeat("a.", 130) + "example.org",
		"loopback":                      "localhost",
		"loopback's address":            "127.0.0.1",
		"an address written otherwise":  "192.0.513",
		"IPv6 without brackets":         "::1",
		"IPv6 and text":                 "[::1]evil.com",
		"IPv6 and a port without colon": "[::1]80",
		"IPv6 and two ports":            "[::1]:80:80",
		"IPv6 and an open bracket":      "[::1",
		"IPv6 and a zone":               "[::1%25lo]",
		"IPv4 in brackets":              "[192.0.2.1]",
		"IPv4 as IPv6":                  "[::ffff:192.0.2.1]",
		"a name in brackets":            "[good.com]",
		"empty brackets":                "[]",
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			w := serve(host, "/areas")
			requireProblem(t, w, http.StatusMisdirectedRequest, "misdirected_request")
			require.NotContains(t, w.Body.String(), "evil.com")
		})
	}
	t.Run("forwarded hosts are not looked at", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"X-Forwarded-Host", "X-Host", "Forwarded"} {
			require.Equal(t, http.StatusMisdirectedRequest, serve("evil.com", "/", name, "good.com").Code)
			require.Equal(t, http.StatusNoContent, serve("good.com", "/", name, "evil.com").Code)
		}
	})
	t.Run("probes ask by address", func(t *testing.T) {
		t.Parallel()
		for target, want := range map[string]int{
			"/healthz": http.StatusNoContent, "/readyz": http.StatusNoContent, "/readyz?full=1": http.StatusNoContent,
			"/healthz/": http.StatusMisdirectedRequest, "/healthz/../areas": http.StatusMisdirectedRequest,
			"/healthzz": http.StatusMisdirectedRequest, "//healthz": http.StatusMisdirectedRequest,
		} {
			require.Equal(t, want, serve("10.1.2.3:8080", target).Code, target)
		}
	})
	t.Run("a head gets no body", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequest(http.MethodHead, "/", nil)
		r.Host = "evil.com"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusMisdirectedRequest, w.Code)
		require.Zero(t, w.Body.Len())
	})
	t.Run("an empty list refuses everything", func(t *testing.T) {
		t.Parallel()
		w := httptest.NewRecorder()
		must(middleware.TrustedHosts(nil))(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, http.StatusMisdirectedRequest, w.Code)
	})
}

func TestTrustedHostsNamesEveryFault(t *testing.T) {
	t.Parallel()
	faults := []string{
		"", "*", "*.", "*.*.example.org", "a.*.example.org", "https://example.org", "example.org/", "user@example.org",
		"example.org:http", "[::1", "*.[::1]", "*.::1", "fe80::1%eth0", "bücher.example", ".example.org",
	}
	_, err := middleware.TrustedHosts(append(faults, "example.org"))
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, len(faults))
	for i, fault := range faults {
		require.Contains(t, lines[i], `"`+fault+`"`)
	}
}

// Whatever the host, it is refused or one of the list.
func FuzzTrustedHosts(f *testing.F) {
	h := must(middleware.TrustedHosts([]string{"good.com", "*.example.org", "::1"}))(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, host := range []string{"good.com", "good.com.:80", "a.example.org", "[::1]:80", "evil.com#good.com", "[", "]:", "", ":", "good.com:80:80", "\u212a"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusNoContent {
			require.Regexp(t, `^(?i:good\.com\.?|[a-z0-9_.-]+\.example\.org\.?|\[[0:.]*:[0:.]*1\])(:[0-9]*)?$`, host)
		}
	})
}
