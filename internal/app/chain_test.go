package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/testenv"
	"github.com/picaspot/picaspot/internal/token"
)

// chain is what stands around an operation, and nothing inside: the handlers answer
// at once.
type chain struct {
	handler http.Handler
	app     *App
	user    string // The Authorization header of a user.
	status  int    // What every answer has.
}

func newChain(tb testing.TB, withRedis bool) *chain {
	tb.Helper()
	ctx := context.Background()
	slog.SetDefault(slog.New(slog.NewJSONHandler(discard{}, nil))) // The lines are made, as in production.
	c := config.Config{
		HTTPAddr: "127.0.0.1:0", PublicURL: "https://api.picaspot.example", TrustedHosts: []string{"example.com"},
		DatabaseURL: testenv.Database(tb), DatabaseMaxConns: 8, StatementTimeout: 30 * time.Second,
		StorageURL: (&url.URL{Scheme: "file", Path: filepath.ToSlash(tb.TempDir())}).String(),
		SMTPURL:    "smtp://127.0.0.1:1", MailFrom: "bench@picaspot.example", SecretKey: strings.Repeat("bench secret ", 4),
		AccessTokenTTL: time.Hour, SessionTTL: time.Hour, SessionIdleTTL: time.Hour, RememberedTTL: time.Hour, RememberedIdleTTL: time.Hour,
		Workers: 1, ShutdownTimeout: time.Second, TrashRetention: time.Hour, ImportMaxSize: 100, ImportRetention: time.Hour,
		RateLimits: []string{"read:address=1000000/1s", "read:account=1000000/1s"},
	}
	if withRedis {
		c.RedisURL, c.CacheMemory = testenv.Redis(tb), 32
	}
	require.NoError(tb, c.Complete())
	a, err := New(ctx, c)
	require.NoError(tb, err)
	tb.Cleanup(a.Close)
	built := &chain{app: a, status: http.StatusNoContent}
	require.NoError(tb, built.mount(nothing))
	_, err = a.Accounts.Create(ctx, account.Registration{Username: "bench", Email: "bench@picaspot.example", Password: "seven maples by the quay"}, authz.DefaultRole)
	require.NoError(tb, err)
	made, err := a.Accounts.Login(ctx, account.Credentials{Identifier: "bench", Password: "seven maples by the quay"})
	require.NoError(tb, err)
	built.user = "Bearer " + made.AccessToken
	return built
}

func nothing(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// mount puts the chain around operations that all do the same.
func (c *chain) mount(operations http.HandlerFunc) error {
	spec, err := api.GetSpec()
	if err != nil {
		return err
	}
	table, err := operation.Load(spec)
	if err != nil {
		return err
	}
	router := operation.NewRouter(table, c.app.operations)
	for _, pattern := range []string{"GET /api/v1/landmarks/nearby", "GET /api/v1/landmarks/{landmark_id}", "GET /healthz"} {
		router.HandleFunc(pattern, operations)
	}
	c.handler, err = around(router, c.app.config, c.app.requests)
	return err
}

// discard takes everything; unlike io.Discard, slog makes the lines for it.
type discard struct{ io.Writer }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

const nearby = "/api/v1/landmarks/nearby?latitude=1.2868&longitude=103.8545&radius_meters=500&size=3"

func (c *chain) ask(tb testing.TB, target, authorization string) {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := answer{header: http.Header{}}
	c.handler.ServeHTTP(&w, r)
	if w.status != c.status && (w.status != 0 || c.status != http.StatusOK) {
		tb.Fatal(w.status)
	}
}

func query(latitude, longitude float64) string {
	return fmt.Sprintf("latitude=%.6f&longitude=%.6f", latitude, longitude)
}

// answer takes what the chain answers and does no more, unlike a recorder.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkChain is the whole chain without the handler: what each request pays.
// Requests run side by side, as they do; the round trip to Redis is shared by
// what they wait for.
func BenchmarkChain(b *testing.B) {
	for _, withRedis := range []bool{true, false} {
		c := newChain(b, withRedis)
		for _, test := range []struct{ name, target, authorization string }{
			{"public", "/healthz", ""}, {"authenticated", nearby, c.user},
		} {
			b.Run(fmt.Sprintf("%s/redis=%t", test.name, withRedis), func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(16)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						c.ask(b, test.target, test.authorization)
					}
				})
			})
		}
	}
}

// BenchmarkHarness is what the benchmark itself costs.
func BenchmarkHarness(b *testing.B) {
	c := &chain{status: http.StatusNoContent, handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.ask(b, nearby, "Bearer x")
		}
	})
}

// BenchmarkNewToken is the first request with each token: its signature is checked.
func BenchmarkNewToken(b *testing.B) {
	c := newChain(b, true)
	ctx := context.Background()
	// It remembers so few that each token is new to it again.
	forgetful, err := token.New(token.Config{
		Issuer: c.app.config.PublicURL, Audience: c.app.config.PublicURL, TTL: time.Hour, Keys: c.app.Keys.Keys, CacheSize: 1,
	})
	require.NoError(b, err)
	c.app.operations.Verify = forgetful.Verify
	require.NoError(b, c.mount(nothing))
	made, err := c.app.Accounts.Login(ctx, account.Credentials{Identifier: "bench", Password: "seven maples by the quay"})
	require.NoError(b, err)
	tokens := make([]string, 500)
	for i := range tokens {
		made, err = c.app.Accounts.Refresh(ctx, made.RefreshToken)
		require.NoError(b, err)
		tokens[i] = "Bearer " + made.AccessToken
	}
	var next atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.ask(b, nearby, tokens[int(next.Add(1))%len(tokens)])
		}
	})
}
