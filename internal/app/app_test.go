package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/mailbox"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// output is written by one goroutine and read by another.
type output struct {
	mu sync.Mutex
	bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Buffer.String()
}

func devConfig(t *testing.T) config.Config {
	return config.Config{
		HTTPAddr: testenv.FreeAddr(t), OpsAddr: testenv.FreeAddr(t), DatabaseMaxConns: 8, StatementTimeout: 30 * time.Second,
		MailFrom: "PicASpot <no-reply@picaspot.example>", AccessTokenTTL: 15 * time.Minute,
		SessionTTL: time.Hour, SessionIdleTTL: time.Hour, RememberedTTL: time.Hour, RememberedIdleTTL: time.Hour,
		PhotoMaxAge: 24 * time.Hour, TrashRetention: 30 * 24 * time.Hour, ImportMaxSize: 100, ImportRetention: 7 * 24 * time.Hour, Workers: 2, ShutdownTimeout: 10 * time.Second, DevPassword: apptest.Password,
		DataDir: filepath.Join(t.TempDir(), "data"),
	}
}

// TestDev is `make run`: everything on one machine, twice on the same folder.
func TestDev(t *testing.T) {
	t.Parallel()
	c := devConfig(t)
	// The database runs as another user where the tests run as root.
	for dir := filepath.Dir(c.DataDir); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	for start := range 2 {
		ctx, cancel := context.WithCancel(context.Background())
		var out output
		done := make(chan error, 1)
		go func() { done <- app.Dev(ctx, c, &out) }()
		require.Eventually(t, func() bool {
			select {
			case err := <-done:
				require.NoError(t, err)
			default:
			}
			return strings.Contains(out.String(), "PicASpot is ready")
		}, 2*time.Minute, 20*time.Millisecond)
		require.Contains(t, out.String(), "http://"+c.HTTPAddr+"/docs")
		require.Contains(t, out.String(), "http://localhost:*", "origins of web apps on this machine are allowed")

		client, err := api.NewClientWithResponses("http://" + c.HTTPAddr)
		require.NoError(t, err)
		var token string
		for _, name := range []string{"user", "moderator", "admin"} {
			login, err := client.LoginWithResponse(ctx, api.LoginRequest{Identifier: name + "@picaspot.example", Password: apptest.Password})
			require.NoError(t, err)
			require.NotNil(t, login.JSON200, string(login.Body))
			token = login.JSON200.AccessToken
		}
		list, err := client.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{IsVerified: new(true)}, func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 48, *list.JSON200.Total, "start %d", start)
		requireExampleTileShowsLandmarks(t, client, token)

		get := func(url string) (*http.Response, []byte) {
			response, err := http.Get(url)
			require.NoError(t, err)
			defer response.Body.Close()
			var body bytes.Buffer
			_, err = body.ReadFrom(response.Body)
			require.NoError(t, err)
			return response, body.Bytes()
		}
		response, picture := get("http://" + c.HTTPAddr + "/dev/photo?latitude=1.5&longitude=103.5")
		require.Equal(t, "image/jpeg", response.Header.Get("Content-Type"))
		facts, err := photo.ReadFacts(bytes.NewReader(picture))
		require.NoError(t, err)
		require.InDelta(t, 1.5, facts.Position.Latitude, 1e-4)
		for _, bad := range []string{"", "?latitude=x&longitude=1", "?latitude=91&longitude=1"} {
			response, _ := get("http://" + c.HTTPAddr + "/dev/photo" + bad)
			require.Equal(t, http.StatusBadRequest, response.StatusCode)
		}
		response, _ = get("http://" + c.HTTPAddr + mailbox.Path)
		require.Equal(t, http.StatusOK, response.StatusCode)
		response, _ = get("http://" + c.OpsAddr + "/debug/pprof/")
		require.Equal(t, http.StatusOK, response.StatusCode)
		response, metrics := get("http://" + c.OpsAddr + "/metrics")
		require.Equal(t, http.StatusOK, response.StatusCode)
		for _, line := range []string{"picaspot_policy_version 1\n", "picaspot_policy_stale 0\n", "picaspot_redis_away 0\n", "picaspot_database_pool_connections_max 8\n",
			`picaspot_http_requests_total{method="GET",operation="listLandmarks",status="200"} 1` + "\n",
			`picaspot_http_requests_total{method="GET",operation="page",status="400"} 3` + "\n",
			`picaspot_database_query_duration_seconds_count{query="audit_insert"}`, "picaspot_jobs_reachable 1\n", "picaspot_redis_pool_connections "} {
			require.Contains(t, string(metrics), line)
		}
		response, _ = get("http://" + c.HTTPAddr + "/metrics")
		require.Equal(t, http.StatusNotFound, response.StatusCode)
		response, _ = get("http://" + c.HTTPAddr + "/debug/pprof/")
		require.Equal(t, http.StatusNotFound, response.StatusCode)
		if start == 0 {
			require.Error(t, app.Dev(context.Background(), c, &out), "its ports are taken")
			other := c
			other.HTTPAddr, other.OpsAddr = testenv.FreeAddr(t), ""
			require.Error(t, app.Dev(context.Background(), other, &out), "its folder is taken")
			requireImportFindsIt(t, c, client, token)
		}
		cancel()
		require.NoError(t, <-done)
		message, err := besides(t, c, "names").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(message), "PICASPOT_DATABASE_URL", "it does not run any more")
	}
}

func TestTakenPortIsAClearMessage(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	c := devConfig(t)
	c.HTTPAddr = listener.Addr().String()
	err = app.Dev(context.Background(), c, &output{})
	require.ErrorContains(t, err, "PICASPOT_HTTP_ADDR")
	require.ErrorContains(t, err, "is another program using the port?")

	s := apptest.NewWithoutWorkers(t)
	taken := s.Config
	taken.HTTPAddr, taken.OpsAddr = listener.Addr().String(), ""
	a, err := app.New(context.Background(), taken)
	require.NoError(t, err)
	defer a.Close()
	require.ErrorContains(t, a.Run(context.Background(), app.Roles{API: true, Worker: true}), "PICASPOT_HTTP_ADDR")
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	for name, change := range map[string]func(*config.Config){
		"another secret":     func(c *config.Config) { c.SecretKey = strings.Repeat("another one ", 4) },
		"no database":        func(c *config.Config) { c.DatabaseURL = "postgres://127.0.0.1:1/x" },
		"no storage":         func(c *config.Config) { c.StorageURL = "ftp://x" },
		"a malformed Redis":  func(c *config.Config) { c.RedisURL = "redis://host:port" },
		"a malformed server": func(c *config.Config) { c.SMTPURL = "http://x" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.Config
			change(&c)
			_, err := app.New(context.Background(), c)
			require.Error(t, err)
			require.NotContains(t, err.Error(), c.SecretKey)
		})
	}
}

func TestSystem(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	get := func(path string) (*http.Response, []byte) { return s.Call(nil, http.MethodGet, path, "", nil) }

	t.Run("is alive and ready", func(t *testing.T) {
		response, body := get("/healthz")
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.JSONEq(t, `{"status":"ok"}`, string(body))
		response, body = get("/readyz")
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.JSONEq(t, `{"status":"ready","dependencies":{"database":"up","policy":"up","redis":"up","storage":"up"}}`, string(body))
	})

	t.Run("serves the contract", func(t *testing.T) {
		response, body := get("/openapi.yaml")
		require.Equal(t, "application/yaml", response.Header.Get("Content-Type"))
		require.True(t, bytes.HasPrefix(body, []byte("openapi: 3.0.3\n")))
		_, body = get("/openapi.json")
		var doc struct {
			Paths map[string]struct {
				Get struct {
					OperationID string `json:"operationId"`
				} `json:"get"`
			} `json:"paths"`
		}
		require.NoError(t, json.Unmarshal(body, &doc))
		require.Equal(t, "listNearbyLandmarks", doc.Paths["/api/v1/landmarks/nearby"].Get.OperationID)
	})

	t.Run("publishes its keys, and nothing private", func(t *testing.T) {
		response, body := get("/.well-known/jwks.json")
		require.Contains(t, response.Header.Get("Cache-Control"), "public")
		require.Contains(t, string(body), `"crv":"Ed25519"`)
		require.NotContains(t, string(body), `"d":`)
	})

	t.Run("shows Swagger UI under a policy that lets only its own scripts run", func(t *testing.T) {
		response, page := get("/docs")
		require.Equal(t, "text/html; charset=utf-8", response.Header.Get("Content-Type"))
		policy := response.Header.Get("Content-Security-Policy")
		require.Contains(t, policy, "script-src 'self';")
		require.NotRegexp(t, `<script>|<script [^>]*>[^<]`, string(page), "no script stands in the page")
		for _, match := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllSubmatch(page, -1) {
			require.Regexp(t, "^/(docs|openapi)", string(match[1]), "it is from elsewhere")
			asset, _ := get(string(match[1]))
			require.Equal(t, http.StatusOK, asset.StatusCode, string(match[1]))
		}
		for path, to := range map[string]string{"/": "/docs", "/docs/": "/docs"} {
			redirect, _ := get(path)
			require.Equal(t, to, redirect.Header.Get("Location"))
		}
	})

	t.Run("puts security headers on every answer", func(t *testing.T) {
		for _, path := range []string{"/healthz", "/docs", "/api/v1/me", "/nothing"} {
			response, _ := get(path)
			require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
			require.Contains(t, response.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
			require.NotEmpty(t, response.Header.Get("X-Request-ID"))
		}
	})

	t.Run("says what is not there", func(t *testing.T) {
		response, body := get("/nothing")
		apptest.Problem(t, http.StatusNotFound, response, body)
		response, body = s.Call(nil, http.MethodPut, "/api/v1/areas", "", nil)
		apptest.Problem(t, http.StatusMethodNotAllowed, response, body)
		require.Equal(t, "GET, HEAD, POST", response.Header.Get("Allow"))
	})
}

func TestWithoutADatabaseItIsNotReadyAndAnswers503(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	s.Store.Pool.Close()
	response, body := s.Call(nil, http.MethodGet, "/readyz", "", nil)
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.Contains(t, string(body), `"database":"down"`)
	response, body = s.Call(nil, http.MethodGet, "/healthz", "", nil)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	response, body = s.Call(user, http.MethodGet, "/api/v1/me", "", nil)
	require.GreaterOrEqual(t, response.StatusCode, 500)
	require.NotContains(t, string(body), "pool")
}

func TestWithoutRedisItStaysReady(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, func(c *config.Config) { c.RedisURL = "redis://127.0.0.1:1/0" })
	response, body := s.Call(nil, http.MethodGet, "/readyz", "", nil)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	require.Contains(t, string(body), `"redis":"down"`)
}

// TestCommands runs the binary as operators do.
func TestCommands(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	run := func(want bool, args ...string) string {
		t.Helper()
		out, err := apptest.Command(t, s.Config, args...).CombinedOutput()
		require.Equal(t, want, err == nil, "%v\n%s", err, out)
		return string(out)
	}
	places := filepath.Join(t.TempDir(), "places.csv")
	require.NoError(t, os.WriteFile(places, []byte("name,lat,lon\nStone,53.8,8.7\nNowhere,99,8\n"), 0o600))
	rejects := filepath.Join(t.TempDir(), "rejects.ndjson")

	run(true, "migrate")
	run(true, "seed")
	run(true, "seed")
	// Its exit code says that a row was rejected.
	require.Contains(t, run(false, "import", places, "--rejects", rejects), "read 2, created 1, updated 0, unchanged 0, rejected 1")
	require.Contains(t, run(false, "import", places), "unchanged 1")
	require.NotContains(t, run(false, "import", places), "PICASPOT_REDIS_URL")
	require.Contains(t, run(false, "import", places, "--redis-url", ""), "PICASPOT_REDIS_URL is not set: servers that have a Redis are not told")
	content, err := os.ReadFile(rejects)
	require.NoError(t, err)
	require.Contains(t, string(content), `"line":3`)
	require.Contains(t, run(false, "import", places, "--owner", "nobody@example.org"), "no such account")
	require.Contains(t, run(true, "policy", "test"), "decides as the table says")
	require.Contains(t, run(true, "--help-all"), "PICASPOT_DATABASE_URL")
	photoFile := filepath.Join(t.TempDir(), "photo.jpg")
	run(true, "sample-photo", "--latitude", "1.5", "--longitude", "103.5", "-o", photoFile)
	info, err := os.Stat(photoFile)
	require.NoError(t, err)
	require.Positive(t, info.Size())
	run(false, "healthcheck")
	run(false, "migrate", "--database-url", "")

	faulty := apptest.Command(t, s.Config, "serve", "--secret-key", "short", "--database-url", "mysql://x", "--workers", "0")
	out, err := faulty.CombinedOutput()
	require.Error(t, err)
	for _, variable := range []string{"PICASPOT_SECRET_KEY", "PICASPOT_DATABASE_URL", "PICASPOT_WORKERS"} {
		require.Contains(t, string(out), variable, "all faults are reported at once")
	}
}

func TestProcessDrains(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	api, worker := apptest.Start(t, s.Config, "serve"), apptest.StartWorker(t, s.Config)
	me, err := api.Client(user.Token).GetMeWithResponse(context.Background(), nil)
	require.NoError(t, err)
	require.Equal(t, user.ID, me.JSON200.ID)
	require.Contains(t, api.Stop(), `"msg":"request"`)
	require.Contains(t, worker.Stop(), "started")
}

// Who is told to stop while they still start have not failed, whatever they wait for.
func TestProcessStopsWhileItStarts(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	waiting := func(statement string) func() bool {
		return func() bool {
			var n int
			err := s.Store.Pool.QueryRow(context.Background(), `
				SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%' || $1 || '%' AND pid <> pg_backend_pid()
				AND (wait_event_type = 'Lock' OR query LIKE '%pg_try_advisory_lock%')`, statement).Scan(&n)
			return err == nil && n > 0
		}
	}
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dialled := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := mute.Accept()
			if err != nil {
				return
			}
			dialled <- conn
		}
	}()
	t.Cleanup(func() { _ = mute.Close() })
	elsewhere := s.Config
	elsewhere.DatabaseURL = "postgres://picaspot@" + mute.Addr().String() + "/picaspot?sslmode=disable"
	for _, test := range []struct {
		name    string
		config  config.Config
		command string
		// hold is what keeps the process from starting, waits tells that it is there.
		hold  string
		waits func() bool
	}{
		{"worker while the database does not answer", elsewhere, "worker", "", func() bool { return len(dialled) > 0 }},
		{"worker while it reads the keys", s.Config, "worker", "LOCK signing_keys", waiting("signing_keys")},
		{"worker while it reads the policy", s.Config, "worker", "LOCK policy_versions", waiting("policy_versions")},
		{"worker while it reads the roles", s.Config, "worker", "LOCK roles", waiting("roles")},
		{"serve while another migrates", s.Config, "serve", "SELECT pg_advisory_lock(8100114675002273652)", waiting("pg_try_advisory_lock")},
		{"serve while it migrates", s.Config, "serve", "LOCK goose_db_version", waiting("goose_db_version")},
		{"serve while it reads the keys", s.Config, "serve", "LOCK signing_keys", waiting("signing_keys")},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.hold != "" {
				conn, err := pgx.Connect(t.Context(), s.Config.DatabaseURL)
				require.NoError(t, err)
				defer func() { _ = conn.Close(context.Background()) }()
				_, err = conn.Exec(t.Context(), "BEGIN; "+test.hold)
				require.NoError(t, err)
			}
			cmd, log := apptest.Command(t, test.config, test.command), &output{}
			cmd.Stdout, cmd.Stderr = log, log
			require.NoError(t, cmd.Start())
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			require.Eventually(t, test.waits, time.Minute, 10*time.Millisecond, log)
			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			select {
			case err := <-ended:
				require.NoError(t, err, log.String())
			case <-time.After(time.Minute):
				_ = cmd.Process.Kill()
				require.Fail(t, "it does not end", log.String())
			}
			for _, word := range []string{"ERROR", "WARN", "canceled", "picaspot:"} {
				require.NotContains(t, log.String(), word)
			}
		})
	}
}

func TestConfigFromFile(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(s.Config.SecretKey+"\n"), 0o600))
	c := s.Config
	c.SecretKey, c.SecretKeyFile = "", path
	require.NoError(t, c.Complete())
	require.Equal(t, strings.TrimSpace(s.Config.SecretKey), c.SecretKey)
	c.SecretKeyFile = path + ".missing"
	c.PhotoMaxAge, c.MailFrom, c.HTTPAddr, c.RedisURL = -1, "nobody", "8080", "http://x"
	err := c.Complete()
	for _, variable := range []string{"SECRET_KEY_FILE", "PHOTO_MAX_AGE", "MAIL_FROM", "HTTP_ADDR", "REDIS_URL"} {
		require.ErrorContains(t, err, "PICASPOT_"+variable, fmt.Sprint(err))
	}
}

// requireExampleTileShowsLandmarks asks for the tile that Swagger UI fills in: a
// reader who tries it on a fresh installation has to see something.
func requireExampleTileShowsLandmarks(t *testing.T, client *api.ClientWithResponses, token string) {
	t.Helper()
	contract, err := openapi3.NewLoader().LoadFromData(picaspot.OpenAPI)
	require.NoError(t, err)
	example := func(name string) int {
		value, ok := contract.Components.Parameters[name].Value.Schema.Value.Example.(float64)
		require.True(t, ok, name)
		return int(value)
	}
	tile, err := client.GetLandmarkTileWithResponse(t.Context(), example("TileZ"), example("TileX"), example("TileY"), nil,
		func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, tile.StatusCode())
	require.NotEmpty(t, tile.Body)
}
