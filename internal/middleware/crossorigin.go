package middleware

import (
	"net/http"
	"slices"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/problem"
)

var errCrossOrigin = fault.New(fault.Forbidden, "cross_origin",
	"The request comes from a page of another origin, which may not act with the cookies of this one.")

// CrossOrigin refuses what a page of another origin makes a browser do with a
// user's cookies (CSRF; OWASP ASVS 5.0, 3.5.1): a request that changes something
// and whose Sec-Fetch-Site, or in older browsers whose Origin, tells that it is
// from elsewhere. The origins that CORS allows may. The rules are those of
// [http.CrossOriginProtection]; it has to stand inside [TrustedHosts], for Origin
// is compared with Host.
//
// A request without cookies carries nothing that a browser added by itself, so
// bearer tokens and curl are not looked at. Nor does * trust anybody: it allows
// requests without cookies only.
func CrossOrigin(origins []string) (func(http.Handler) http.Handler, error) {
	trusted, err := parseOrigins(origins)
	if err != nil {
		return nil, err
	}
	protection := http.NewCrossOriginProtection()
	for _, origin := range trusted {
		if origin == anyOrigin || slices.Contains(LoopbackOrigins, origin) {
			continue
		}
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		problem.WriteFault(w, r, http.StatusForbidden, errCrossOrigin)
	}))
	return func(next http.Handler) http.Handler {
		protected := protection.Handler(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, cookies := r.Header["Cookie"]; !cookies || isLoopback(trusted, r.Header.Get("Origin")) {
				next.ServeHTTP(w, r)
				return
			}
			protected.ServeHTTP(w, r)
		})
	}, nil
}
