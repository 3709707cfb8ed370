package middleware_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/metrics"
	"github.com/picaspot/picaspot/internal/middleware"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// nowhere is an answer, or a log, that nobody reads.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header          { return n.header }
func (nowhere) Write(data []byte) (int, error) { return len(data), nil }
func (nowhere) WriteHeader(int)                {}

func benched(h http.Handler, r *http.Request) func(*testing.B) {
	return func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(nowhere{make(http.Header)}, r)
		}
	}
}

// The figure of none is what the bench itself costs.
func BenchmarkMiddleware(b *testing.B) {
	before := slog.Default()
	slog.SetDefault(slog.New(reqctx.NewLogHandler(slog.NewJSONHandler(nowhere{}, nil))))
	b.Cleanup(func() { slog.SetDefault(before) })
	proxies, err := middleware.ParseProxies([]string{"10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"})
	require.NoError(b, err)

	plain := httptest.NewRequest(http.MethodGet, "/areas", nil)
	plain.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	full := plain.Clone(plain.Context())
	full.Method = http.MethodPost
	for name, value := range map[string]string{
		"X-Request-Id": "0198c0de-0000-7000-8000-000000000000", "X-Forwarded-For": "198.51.100.7, 10.0.0.2",
		"Origin": app, "Sec-Fetch-Site": "cross-site", "Cookie": "session=1",
	} {
		full.Header.Set(name, value)
	}
	preflight := httptest.NewRequest(http.MethodOptions, "/areas", nil)
	for name, value := range map[string]string{
		"Origin": app, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,content-type,if-match",
	} {
		preflight.Header.Set(name, value)
	}
	elsewhere := plain.Clone(plain.Context())
	elsewhere.Host = "evil.example"

	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	hosts := must(middleware.TrustedHosts([]string{"example.com", "*.example.org", "localhost", "127.0.0.1", "[::1]"}))
	cors := must(middleware.CORS([]string{app, "http://localhost:5173"}))
	crossOrigin := must(middleware.CrossOrigin([]string{app, "http://localhost:5173"}))
	headers := middleware.SecurityHeaders("https://example.com")
	measure := middleware.Measure(metrics.NewHTTP(prometheus.NewRegistry(), nil), time.Second)
	chain := middleware.Identify(proxies)(middleware.AccessLog(measure(middleware.Recover(headers(hosts(cors(crossOrigin(ok))))))))

	b.Run("None", benched(ok, plain))
	b.Run("Identify", benched(middleware.Identify(nil)(ok), plain))
	b.Run("IdentifyBehindProxies", benched(middleware.Identify(proxies)(ok), full))
	b.Run("AccessLog", benched(middleware.AccessLog(ok), plain))
	b.Run("Measure", benched(measure(ok), plain))
	b.Run("MeasureInAccessLog", benched(middleware.AccessLog(measure(ok)), plain))
	b.Run("Recover", benched(middleware.Recover(ok), plain))
	b.Run("SecurityHeaders", benched(headers(ok), plain))
	b.Run("TrustedHosts", benched(hosts(ok), plain))
	b.Run("TrustedHostsRefusal", benched(hosts(ok), elsewhere))
	b.Run("CORS", benched(cors(ok), full))
	b.Run("CORSPreflight", benched(cors(ok), preflight))
	b.Run("CORSWithoutOrigin", benched(cors(ok), plain))
	b.Run("CrossOrigin", benched(crossOrigin(ok), full))
	b.Run("CrossOriginWithoutCookie", benched(crossOrigin(ok), plain))
	b.Run("Chain", benched(chain, plain))
	b.Run("ChainOfAPage", benched(chain, full))
}
