// Package apptest is how tests speak of the system: each has a server on a
// database of its own, users that are logged in, and landmarks in a line. They
// call it as an app does, through the generated client over HTTP.
package apptest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/mailbox"
	"github.com/picaspot/picaspot/internal/password"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

// Go's transport asks for gzip by itself, and the entity tag of a compressed answer has
// a suffix, so that tags would differ with the length of the answer. Tests that are
// about compression name the content coding.
func init() { http.DefaultTransport.(*http.Transport).DisableCompression = true }

// Password is that of every account made here.
const Password = "seven maples by the quay"

// passwordHash is that of Password, made once: with the race detector it takes a tenth
// of a second, and nearly every test has accounts.
var passwordHash = sync.OnceValues(func() (string, error) {
	return password.NewHasher(1).Hash(context.Background(), Password)
})

// Main is the TestMain of packages that use this one.
func Main(m *testing.M) {
	testenv.Main(m, testenv.WithMigrator(testenv.Migrator{Fingerprint: store.Fingerprint(), Up: store.Migrate}),
		testenv.WithCleanup(func() error { return os.RemoveAll(binaryDir) })) // Of an empty name it removes nothing.
}

// Server is the running system of one test.
type Server struct {
	*app.App
	Config  config.Config
	URL     string
	Mailbox *mailbox.Mailbox

	t     testing.TB
	named atomic.Int64
}

// Option changes the configuration of a test's server.
type Option func(*config.Config)

// WithPhotoMaxAge sets how old photos may be; zero lifts the limit.
func WithPhotoMaxAge(age time.Duration) Option {
	return func(c *config.Config) { c.PhotoMaxAge = age }
}

// unlimited lifts the limits, of which a test's many requests from one address
// would fall foul. Tests of limits set their own.
var unlimited = []string{
	"register:address=off", "login:address=off", "login:account=off", "otp:account=off", "refresh:address=off", "token:address=off",
	"mail:address=off", "mail:account=off", "password:address=off", "password:account=off", "export:address=off",
	"export:account=off", "read:address=off", "read:account=off", "tile:address=off", "tile:account=off", "write:address=off", "write:account=off",
	"upload:address=off", "upload:account=off",
}

// WithLimits sets limits, as login:address=5/1m; all others stay lifted.
func WithLimits(limits ...string) Option {
	return func(c *config.Config) { c.RateLimits = append(slices.Clone(c.RateLimits), limits...) }
}

// WithEvents sets how many streams of events may be open, and how often each says
// that it goes on.
func WithEvents(streams int, heartbeat time.Duration) Option {
	return func(c *config.Config) { c.EventStreams, c.EventHeartbeat = streams, heartbeat }
}

// Config is a configuration on a fresh, migrated database of the test's own.
func Config(t testing.TB, box *mailbox.Mailbox) config.Config {
	t.Helper()
	return config.Config{
		HTTPAddr: "127.0.0.1:0", PublicURL: "http://127.0.0.1:8080", DatabaseURL: testenv.Database(t), DatabaseMaxConns: 8, StatementTimeout: 30 * time.Second,
		RedisURL: testenv.Redis(t), CacheMemory: 8, StorageURL: (&url.URL{Scheme: "file", Path: filepath.ToSlash(t.TempDir())}).String(),
		SMTPURL: box.URL(), MailFrom: "PicASpot <no-reply@picaspot.example>",
		SecretKey: strings.Repeat("test secret ", 4), AccessTokenTTL: 15 * time.Minute,
		SessionTTL: time.Hour, SessionIdleTTL: 30 * time.Minute, RememberedTTL: 24 * time.Hour, RememberedIdleTTL: 12 * time.Hour,
		RateLimits:   unlimited,
		EventStreams: 100, EventHeartbeat: 15 * time.Second,
		PhotoMaxAge: 24 * time.Hour, TrashRetention: 30 * 24 * time.Hour, ImportMaxSize: 100, ImportRetention: 7 * 24 * time.Hour, Workers: 2, ShutdownTimeout: 10 * time.Second, DevPassword: Password,
	}
}

// New starts the API and the workers on a database of the test's own.
func New(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := NewWithoutWorkers(t, options...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() { done <- s.Run(ctx, app.Roles{Worker: true, Ready: func() { close(ready) }}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	select {
	case <-ready:
	case err := <-done:
		require.NoError(t, err)
	}
	return s
}

// NewWithoutWorkers starts the API; jobs stay where they are.
func NewWithoutWorkers(t testing.TB, options ...Option) *Server {
	t.Helper()
	box, err := mailbox.Listen(context.Background(), mailbox.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, box.Close()) })
	c := Config(t, box)
	server := httptest.NewUnstartedServer(nil)
	c.PublicURL = "http://" + server.Listener.Addr().String()
	for _, option := range options {
		option(&c)
	}
	require.NoError(t, c.Complete())
	a, err := app.New(context.Background(), c)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	server.Config.Handler, err = heldToContract(t, a.Handler)
	require.NoError(t, err)
	server.Start()
	t.Cleanup(server.Close)
	return &Server{App: a, Config: c, URL: server.URL, Mailbox: box, t: t}
}

// Client is the generated client of one user, or of nobody.
type Client struct {
	*api.ClientWithResponses
	ID       uuid.UUID
	Username string
	Email    string
	Token    string
}

// Anonymous is a client without an account.
func (s *Server) Anonymous() *Client {
	client, err := api.NewClientWithResponses(s.URL)
	require.NoError(s.t, err)
	return &Client{ClientWithResponses: client}
}

// User is a client of a new account with the role that every account has.
func (s *Server) User() *Client { return s.As(authz.DefaultRole) }

// As is a client of a new account with a role.
func (s *Server) As(role string) *Client {
	s.t.Helper()
	n := s.named.Add(1)
	name := role + "-" + strings.Repeat("z", int(n-1)/26) + string(rune('a'+(n-1)%26))
	hash, err := passwordHash()
	require.NoError(s.t, err)
	var user *ent.User
	require.NoError(s.t, s.Store.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) (err error) {
		user, err = tx.User.Create().SetUsername(name).SetEmail(name + "@example.org").SetPasswordHash(hash).
			SetRole(role).SetEmailVerifiedAt(mixin.Now()).Save(ctx)
		return err
	}))
	return s.LogIn(user.ID, user.Username, user.Email)
}

// LogIn is a client of an account that is there already.
func (s *Server) LogIn(id uuid.UUID, username, email string) *Client {
	s.t.Helper()
	login, err := s.Anonymous().LoginWithResponse(context.Background(), api.LoginRequest{Identifier: username, Password: Password})
	require.NoError(s.t, err)
	require.NotNil(s.t, login.JSON200, string(login.Body))
	token := login.JSON200.AccessToken
	client, err := api.NewClientWithResponses(s.URL, api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	require.NoError(s.t, err)
	return &Client{ClientWithResponses: client, ID: id, Username: username, Email: email, Token: token}
}
