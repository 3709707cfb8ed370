package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/localstack"
	"github.com/picaspot/picaspot/internal/store"
)

// pair is a primary and its standby, which stream.
type pair struct {
	t                *testing.T
	primary, standby *localstack.Postgres
}

func startPostgres(t *testing.T, dir string) *localstack.Postgres {
	t.Helper()
	server, err := localstack.StartPostgres(t.Context(), localstack.PostgresOptions{Dir: dir, Settings: map[string]string{
		"fsync": "off", "shared_buffers": "16MB", "max_connections": "50", "wal_keep_size": "64MB",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	return server
}

// sh runs a command as the account that owns what it copies.
func sh(t *testing.T, format string, args ...any) {
	t.Helper()
	out, err := exec.Command("sh", "-ec", fmt.Sprintf(format, args...)).CombinedOutput()
	require.NoError(t, err, string(out))
}

// follow has the stopped cluster in a folder be a standby of a server.
func follow(t *testing.T, dir string, of *localstack.Postgres) {
	t.Helper()
	u, err := url.Parse(of.URL("postgres"))
	require.NoError(t, err)
	password, _ := u.User.Password()
	data := filepath.Join(dir, "data")
	sh(t, `cp -p %[1]s/PG_VERSION %[1]s/standby.signal
		echo "primary_conninfo = 'host=127.0.0.1 port=%[2]s user=%[3]s password=%[4]s'" >> %[1]s/postgresql.auto.conf`,
		data, u.Port(), u.User.Username(), password)
}

func newPair(t *testing.T) *pair {
	t.Helper()
	base := t.TempDir()
	// The database runs as another user where the tests run as root.
	for dir := base; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	one, two := filepath.Join(base, "one"), filepath.Join(base, "two")
	server := startPostgres(t, one)
	require.NoError(t, server.CreateDatabase(t.Context(), "picaspot"))
	require.NoError(t, store.Migrate(t.Context(), server.URL("picaspot")))
	require.NoError(t, server.Stop(t.Context()))
	sh(t, "cp -a %[1]s %[2]s && rm -f %[2]s/port %[2]s/lock", one, two)
	p := &pair{t: t, primary: startPostgres(t, one)}
	follow(t, two, p.primary)
	p.standby = startPostgres(t, two)
	return p
}

// url names both servers, the present primary first.
func (p *pair) url() string {
	one, err := url.Parse(p.primary.URL("picaspot"))
	require.NoError(p.t, err)
	two, err := url.Parse(p.standby.URL("picaspot"))
	require.NoError(p.t, err)
	one.Host += "," + two.Host
	return one.String()
}

func query[T any](t *testing.T, server *localstack.Postgres, sql string) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("picaspot"))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func exec1(t *testing.T, server *localstack.Postgres, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("picaspot"))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// The primary becomes a standby, and takes connections as one before another server is
// promoted: requests meanwhile are told to come back, and then everything is as before.
func TestFailoverOfTheDatabase(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	s := apptest.NewWithoutWorkers(t, func(c *config.Config) {
		c.DatabaseURL, c.DatabaseMaxConns, c.DatabaseConnectTimeout = p.url(), 6, 2*time.Second
	})
	user := s.User()
	call := func(method, path, body string) (int, string) {
		response, content := s.Call(user, method, path, "application/merge-patch+json", strings.NewReader(body))
		return response.StatusCode, string(content)
	}
	write := func() (int, string) { return call(http.MethodPatch, "/api/v1/me", `{"display_name":"Ada"}`) }
	ready := func() int { status, _ := call(http.MethodGet, "/readyz", ""); return status }
	status, body := write()
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, http.StatusOK, ready())

	// tries writes and reads until a write gets a status.
	tries := func(want int) {
		t.Helper()
		for begun := time.Now(); ; time.Sleep(often) {
			read, content := call(http.MethodGet, "/api/v1/me", "")
			require.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, read, content)
			status, content := write()
			require.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, status, content)
			if status == http.StatusServiceUnavailable {
				require.Contains(t, content, "/problems/database_unavailable")
			}
			if status == want {
				t.Logf("%d after %s", want, time.Since(begun))
				return
			}
			require.Less(t, time.Since(begun), soon)
		}
	}
	old := p.primary
	require.NoError(t, old.Stop(t.Context()))
	tries(http.StatusServiceUnavailable)
	require.Equal(t, http.StatusServiceUnavailable, ready())
	follow(t, old.Dir(), p.standby)
	old = startPostgres(t, old.Dir())
	require.True(t, query[bool](t, old, "SELECT pg_is_in_recovery()"))
	tries(http.StatusServiceUnavailable)
	require.Equal(t, http.StatusServiceUnavailable, ready(), "two standbys are up")

	require.True(t, query[bool](t, p.standby, "SELECT pg_promote()"))
	tries(http.StatusOK)
	require.Equal(t, http.StatusOK, ready())
	require.Zero(t, query[int](t, old, "SELECT count(*)::int FROM pg_stat_activity WHERE application_name LIKE 'picaspot/%'"),
		"connections to the standby are left")

	// The operator makes the server read-only, as one whose disk gets full.
	exec1(t, p.standby, "ALTER SYSTEM SET default_transaction_read_only = on")
	require.True(t, query[bool](t, p.standby, "SELECT pg_reload_conf()"))
	tries(http.StatusServiceUnavailable)
	require.Equal(t, http.StatusServiceUnavailable, ready())
	exec1(t, p.standby, "ALTER SYSTEM RESET default_transaction_read_only")
	require.True(t, query[bool](t, p.standby, "SELECT pg_reload_conf()"))
	tries(http.StatusOK)
	require.Equal(t, http.StatusOK, ready())
	me, err := user.GetMeWithResponse(t.Context(), &api.GetMeParams{})
	require.NoError(t, err)
	require.NotNil(t, me.JSON200, string(me.Body))
}
