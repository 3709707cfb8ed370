package middleware

import (
	"net/http"
	"net/url"
	"slices"
)

// header is a header's canonical name and its values, made once: every answer
// shares them. They hold one value without room for a second, so that whoever
// adds one gets a slice of its own.
type header struct {
	name   string
	values []string
}

// forBrowsers are the headers of every answer.
var forBrowsers = []header{
	// Nothing of an answer may run, load or be framed. default-src speaks for
	// object-src too, not for base-uri and form-action (CSP level 3).
	{"Content-Security-Policy", []string{"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}},
	{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
	{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
	// A page's process and its agent cluster are its origin's alone, not shared
	// with other subdomains. It has to be on all pages of an origin to hold.
	{"Origin-Agent-Cluster", []string{"?1"}},
	{"Permissions-Policy", []string{"camera=(), geolocation=(), microphone=()"}},
	{"Referrer-Policy", []string{"no-referrer"}},
	{"X-Content-Type-Options", []string{"nosniff"}},
	// What frame-ancestors says, for browsers and scanners that do not know it.
	{"X-Frame-Options", []string{"DENY"}},
	// Documents of Adobe's readers ask for leave to load data across origins.
	{"X-Permitted-Cross-Domain-Policies", []string{"none"}},
}

// transportSecurity is two years, as preload lists ask for; ASVS 3.4.1 asks for
// one at least, with subdomains.
var transportSecurity = header{"Strict-Transport-Security", []string{"max-age=63072000; includeSubDomains"}}

// SecurityHeaders puts on every answer what browsers need to know (OWASP ASVS
// 5.0, 3.4 and 3.5.8, and the OWASP Secure Headers Project). Pages that need
// more set a content security policy of their own. With a public URL of scheme
// https the browser is told to use nothing else for the host and what lies
// beneath it (RFC 6797); with http there is nothing to tell it.
//
// Not sent are Cross-Origin-Embedder-Policy, as no page needs to be isolated,
// X-XSS-Protection, which browsers dropped, and Cache-Control, which each
// operation knows best.
func SecurityHeaders(publicURL string) func(http.Handler) http.Handler {
	headers := forBrowsers
	// Whether TLS ends here or at a proxy can't be seen from here. Where the
	// header comes over plain HTTP after all, as to a probe, it is ignored (RFC
	// 6797 section 8.1).
	if u, err := url.Parse(publicURL); err == nil && u.Scheme == "https" {
		headers = slices.Concat(headers, []header{transportSecurity})
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			for i := range headers {
				h[headers[i].name] = headers[i].values
			}
			next.ServeHTTP(w, r)
		})
	}
}
