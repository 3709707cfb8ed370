package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/middleware"
	"github.com/picaspot/picaspot/internal/reqctx"
)

func TestRequestID(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sent []string
		want string // empty for a new one
	}{
		"keeps a sane one":            {[]string{"abc-DEF_1.2"}, "abc-DEF_1.2"},
		"keeps 128 characters":        {[]string{strings.Repeat("x", 128)}, strings.Repeat("x", 128)},
		"makes one":                   {nil, ""},
		"makes one for an empty one":  {[]string{""}, ""},
		"refuses 129 characters":      {[]string{strings.Repeat("x", 129)}, ""},
		"refuses spaces":              {[]string{"a b"}, ""},
		"refuses a line break":        {[]string{"a\nb"}, ""},
		"refuses a last line break":   {[]string{"ab\n"}, ""},
		"refuses what is not ASCII":   {[]string{"ä"}, ""},
		"refuses what breaks a quote": {[]string{`a"b`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var inside string
			h := middleware.Identify(nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = reqctx.RequestID(r.Context()) }))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["X-Request-Id"] = test.sent
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, inside, w.Header().Get("X-Request-ID"))
			if test.want != "" {
				require.Equal(t, test.want, inside)
				return
			}
			id, err := uuid.Parse(inside)
			require.NoError(t, err)
			require.EqualValues(t, 7, id.Version())
		})
	}
}

func TestRequestIDNotesWhereFrom(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ö", 300)
	for name, test := range map[string]struct{ peer, agent, address, userAgent string }{
		"IPv4":                  {"192.0.2.1:1234", "curl/8", "192.0.2.1", "curl/8"},
		"IPv6 with a zone":      {"[fe80::1%eth0]:1234", "", "fe80::1", ""},
		"IPv4 as IPv6":          {"[::ffff:192.0.2.1]:1234", "", "192.0.2.1", ""},
		"a socket":              {"@", "", "", ""},
		"an agent in bytes":     {"192.0.2.1:1", "a\xffb\x00c", "192.0.2.1", "a?bc"},
		"an agent that is long": {"192.0.2.1:1", long, "192.0.2.1", long[:512]},
		"an agent cut between":  {"192.0.2.1:1", "x" + long, "192.0.2.1", "x" + long[:510]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var inside reqctx.Request
			h := middleware.Identify(nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = reqctx.From(r.Context()) }))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = test.peer
			r.Header.Set("User-Agent", test.agent)
			h.ServeHTTP(httptest.NewRecorder(), r)
			require.Equal(t, test.address, inside.Address)
			require.Equal(t, test.userAgent, inside.UserAgent)
			require.True(t, utf8.ValidString(inside.UserAgent))
		})
	}
}
