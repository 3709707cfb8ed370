package middleware

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/reqctx"
)

const (
	maxRequestID = 128
	maxUserAgent = 512
)

// requestID is X-Request-ID in the form that the maps of net/http have it in,
// which saves them from making it on every request.
const requestID = "X-Request-Id"

// Identify gives a request its id, the client's own when it is sane, and notes
// where the request comes from: the peer, or the client that trusted proxies
// name in X-Forwarded-For.
func Identify(proxies Proxies) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := r.Header.Get(requestID)
			if !sane(id) {
				id = uuid.Must(uuid.NewV7()).String()
			}
			w.Header()[requestID] = []string{id}
			next.ServeHTTP(w, r.WithContext(reqctx.With(r.Context(), reqctx.Request{
				ID: id, Address: proxies.address(r), UserAgent: userAgent(r.UserAgent()),
			})))
		})
	}
}

// sane says whether an id can be put into logs, headers and rows as it is.
func sane(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !alphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// userAgent returns what a client calls itself as text that a database takes,
// at most 512 bytes of it.
func userAgent(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "?")
	if len(text) <= maxUserAgent {
		return text
	}
	end := maxUserAgent
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
