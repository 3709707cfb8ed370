package testenv

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/localstack"
)

// engine answers as a Docker engine does, as far as it is asked here, and runs
// the real programs in the place of their images.
type engine struct {
	t       *testing.T
	mu      sync.Mutex // of pulled and created
	pulled  []string
	created map[string]any
	port    int
	broken  bool
	stop    func() error
	removed chan struct{}
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	e := &engine{t: t, removed: make(chan struct{})}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	t.Setenv(DatabaseVariable, "")
	t.Setenv(RedisVariable, "")
	return e
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(code int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
	switch path := r.URL.Path; {
	case path == "/_ping":
		answer(http.StatusOK, "OK")
	case strings.HasPrefix(path, "/images/") && r.Method == http.MethodGet:
		answer(http.StatusNotFound, map[string]string{"message": "no such image"})
	case path == "/images/create":
		e.mu.Lock()
		defer e.mu.Unlock()
		e.pulled = append(e.pulled, r.URL.Query().Get("fromImage")+":"+r.URL.Query().Get("tag"))
		w.WriteHeader(http.StatusOK)
	case path == "/containers/create":
		var created map[string]any
		if err := json.NewDecoder(r.Body).Decode(&created); err != nil {
			answer(http.StatusBadRequest, err.Error())
			return
		}
		e.mu.Lock()
		e.created = created
		e.mu.Unlock()
		answer(http.StatusCreated, map[string]string{"Id": "one"})
	case path == "/containers/one/start":
		if err := e.start(); err != nil {
			answer(http.StatusInternalServerError, map[string]string{"message": err.Error()})
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case path == "/containers/one/json":
		ports := map[string]any{}
		for port := range e.created["ExposedPorts"].(map[string]any) {
			ports[port] = []map[string]string{{"HostIp": "127.0.0.1", "HostPort": strconv.Itoa(e.port)}}
		}
		answer(http.StatusOK, map[string]any{"Id": "one", "NetworkSettings": map[string]any{"Ports": ports}})
	case path == "/containers/one/stop":
		<-e.removed
		w.WriteHeader(http.StatusNoContent)
	case path == "/containers/one" && r.Method == http.MethodDelete:
		err := e.stop()
		close(e.removed)
		if err != nil {
			answer(http.StatusInternalServerError, map[string]string{"message": err.Error()})
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		answer(http.StatusNotFound, map[string]string{"message": r.Method + " " + path})
	}
}

func (e *engine) start() error {
	if e.broken {
		return errors.New("no space left on device")
	}
	image, _, _ := strings.Cut(e.created["Image"].(string), ":")
	if image == "redis" {
		return e.startRedis()
	}
	return e.startPostgres()
}

func (e *engine) startRedis() error {
	e.port = int(netip.MustParseAddrPort(FreeAddr(e.t)).Port())
	var words []string
	for _, word := range e.created["Cmd"].([]any) {
		words = append(words, word.(string))
	}
	cmd := exec.Command(words[0], append(words[1:], "--port", strconv.Itoa(e.port), "--dir", e.t.TempDir())...)
	e.stop = func() error { _ = cmd.Process.Kill(); _ = cmd.Wait(); return nil }
	return cmd.Start()
}

func (e *engine) startPostgres() error {
	folder, err := newFolder(context.Background())
	if err != nil {
		return err
	}
	p, err := localstack.StartPostgres(context.Background(), localstack.PostgresOptions{Dir: folder.path + "/" + postgresFolder})
	if err != nil {
		return err
	}
	e.stop = func() error {
		return errors.Join(p.Stop(context.Background()), folder.remove(context.Background()))
	}
	u, err := url.Parse(p.URL("postgres"))
	if err != nil {
		return err
	}
	e.port, _ = strconv.Atoi(u.Port())
	password, _ := strings.CutPrefix(e.created["Env"].([]any)[0].(string), "POSTGRES_PASSWORD=")
	conn, err := pgx.Connect(context.Background(), p.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(context.Background(), "CREATE ROLE postgres SUPERUSER LOGIN PASSWORD '"+password+"'")
	return errors.Join(err, conn.Close(context.Background()))
}

func TestDatabaseContainer(t *testing.T) {
	e := newEngine(t)
	all, stop, err := openDatabases(t.Context(), extensionsOnly)
	require.NoError(t, err)
	require.Equal(t, []string{composeImage(t, "postgres")}, e.pulled)
	require.Contains(t, e.created["Labels"], containerLabel)
	binding := e.created["HostConfig"].(map[string]any)["PortBindings"].(map[string]any)["5432/tcp"].([]any)[0].(map[string]any)
	require.Equal(t, "127.0.0.1", binding["HostIp"], "not open to the network")
	require.Contains(t, e.created["Cmd"], "fsync=off")
	name, err := all.clone(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1", value[string](t, all.url(name), "SELECT ST_NPoints(ST_Point(1, 2))::text"))
	require.NoError(t, stop(t.Context()))
	<-e.removed
}

func TestRedisContainer(t *testing.T) {
	e := newEngine(t)
	all, stop, err := openRedises(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{composeImage(t, "redis")}, e.pulled)
	require.Equal(t, localstack.RedisDatabases, all.count)
	number, err := all.claim(t.Context())
	require.NoError(t, err)
	require.NoError(t, all.release(t.Context(), number))
	require.NoError(t, stop(t.Context()))
	<-e.removed
}

// An engine that answers but cannot run the image does not keep tests from running.
func TestContainerThatDoesNotRun(t *testing.T) {
	e := newEngine(t)
	e.broken = true
	_, err := redisContainer(t.Context())
	require.ErrorContains(t, err, "no space left on device")
	servers, err := Start(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1", value[string](t, servers.DatabaseURL, "SELECT '1'"))
	require.NoError(t, redisAt(t, servers.RedisURL).Ping(t.Context()).Err())
	require.NoError(t, servers.Stop())
	require.Error(t, redisAt(t, servers.RedisURL).Ping(t.Context()).Err())
	require.NoError(t, servers.Stop(), "stopping twice")
}

func TestNoDocker(t *testing.T) {
	for _, endpoint := range []string{"", "unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1", "nonsense://x"} {
		t.Setenv("DOCKER_HOST", endpoint)
		if endpoint == "" {
			// Whatever runs here, the engine is looked for in a home without one.
			t.Setenv("HOME", t.TempDir())
			continue
		}
		_, _, err := dockerPool(t.Context())
		require.ErrorIs(t, err, errNoDocker, endpoint)
	}
}

func composeImage(t *testing.T, service string) string {
	t.Helper()
	repository, tag, err := image(service)
	require.NoError(t, err)
	require.NotEmpty(t, repository)
	return repository + ":" + tag
}
