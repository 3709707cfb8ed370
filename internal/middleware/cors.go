package middleware

import (
	"net/http"
	"slices"
	"time"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may keep what a preflight said. Chromium
// keeps it for two hours at most; an origin that is taken off the list should be
// off sooner.
const preflightAge = 10 * time.Minute

// CORS lets pages of other origins use the API (the CORS protocol of the Fetch
// standard; OWASP ASVS 5.0, 3.4.2): those of the list with cookies, or with *
// alone all of them, without. Without origins no answer says anything about it.
// Preflights are answered here with 204 and reach nothing inside; an origin,
// method or header that is not allowed gets the same answer without the leave.
// Origins that can't be ones are an error that names the variable.
//
// Cross-Origin-Resource-Policy: same-origin may stay on the answers. Browsers
// check it on opaque responses only, which are those to requests in mode no-cors
// (Fetch standard, HTTP fetch), so a fetch from an allowed origin does not meet
// it. A picture in a page of another origin does, unless its element says
// crossorigin.
func CORS(origins []string) (func(http.Handler) http.Handler, error) {
	allowed, err := parseOrigins(origins)
	if err != nil {
		return nil, err
	}
	if len(allowed) == 0 {
		// rs/cors takes an empty list for everybody.
		return func(next http.Handler) http.Handler { return next }, nil
	}
	return cors.New(cors.Options{
		AllowedOrigins: allowed,
		// A page that anybody wrote must not act with a user's cookies, and
		// browsers refuse the combination.
		AllowCredentials: !slices.Contains(allowed, anyOrigin),
		AllowedMethods: []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		},
		AllowedHeaders: []string{
			"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match",
			"Last-Event-ID", "Tus-Resumable", "Upload-Offset", "X-Request-ID", "X-Timezone",
		},
		ExposedHeaders: []string{
			"ETag", "Idempotency-Replayed", "Location", "RateLimit", "RateLimit-Policy", "Retry-After",
			"Tus-Resumable", "Upload-Expires", "Upload-Length", "Upload-Offset", "X-Request-ID",
		},
		MaxAge:               int(preflightAge.Seconds()),
		OptionsSuccessStatus: http.StatusNoContent,
	}).Handler, nil
}
