package localstack_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/localstack"
)

// helperDir makes the test binary start a PostgreSQL there and wait to be killed.
const helperDir = "LOCALSTACK_TEST_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		p, err := localstack.StartPostgres(context.Background(), localstack.PostgresOptions{Dir: dir, Settings: fast})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(p.URL("postgres"))
		<-p.Done()
		return
	}
	os.Exit(m.Run())
}

var fast = map[string]string{"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}

// folder is one that PostgreSQL's account can enter, unlike [testing.T.TempDir].
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "picaspot-localstack-*")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	dir, err = filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	return dir
}

func start(t *testing.T, dir string) *localstack.Postgres {
	t.Helper()
	p, err := localstack.StartPostgres(t.Context(), localstack.PostgresOptions{Dir: dir, Settings: fast, Log: slog.Default()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Stop(context.Background()) }) // Again, if the test stopped it.
	return p
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// stopped stops a server and makes the next start the one under test.
func stopped(t *testing.T, p *localstack.Postgres) {
	t.Helper()
	require.NoError(t, p.Stop(t.Context()))
	require.NoError(t, p.Stop(t.Context()), "stopping twice")
	select {
	case <-p.Done():
	default:
		t.Fatal("the server has not ended")
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "with 'odd' name")
	begin := time.Now()
	p := start(t, dir)
	t.Logf("first start: %s", time.Since(begin))
	require.Equal(t, dir, p.Dir())

	require.NoError(t, p.CreateDatabase(t.Context(), "pica spot"))
	require.NoError(t, p.CreateDatabase(t.Context(), "pica spot"), "a database that is there")
	url := p.URL("pica spot")
	execute(t, url, `CREATE EXTENSION postgis; CREATE EXTENSION pg_trgm; CREATE EXTENSION citext; CREATE EXTENSION unaccent;
		CREATE TABLE kept AS SELECT 'here'::text AS value`)

	require.Equal(t, "école", query(t, url, `SELECT lower('ÉCOLE')`), "letters beyond ASCII")
	require.Equal(t, "20", query(t, url, `SHOW max_connections`))
	require.Equal(t, "127.0.0.1", query(t, url, `SHOW listen_addresses`))
	require.Empty(t, query(t, url, `SHOW unix_socket_directories`))
	require.Equal(t, "UTC", query(t, url, `SHOW timezone`))
	require.Equal(t, "scram-sha-256", query(t, url, `SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules`))

	password, err := os.Stat(filepath.Join(dir, "password"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), password.Mode().Perm())
	_, err = pgx.Connect(t.Context(), strings.Replace(url, "picaspot:", "picaspot:x", 1))
	require.ErrorContains(t, err, "password authentication failed")

	t.Run("in use", func(t *testing.T) {
		_, err := localstack.StartPostgres(t.Context(), localstack.PostgresOptions{Dir: dir})
		require.ErrorIs(t, err, localstack.ErrInUse)
		require.ErrorContains(t, err, "process "+strconv.Itoa(os.Getpid()))
		require.ErrorIs(t, localstack.RemovePostgres(t.Context(), dir), localstack.ErrInUse)
	})

	stopped(t, p)
	begin = time.Now()
	p = start(t, dir)
	t.Logf("second start: %s", time.Since(begin))
	require.Equal(t, url, p.URL("pica spot"), "port and password stay")
	require.Equal(t, "here", query(t, url, `SELECT value FROM kept`))
	stopped(t, p)

	t.Run("other version", func(t *testing.T) {
		file := filepath.Join(dir, "data", "PG_VERSION")
		before, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, []byte("9\n"), 0o600))
		_, err = localstack.StartPostgres(t.Context(), localstack.PostgresOptions{Dir: dir})
		require.ErrorIs(t, err, localstack.ErrVersion)
		require.ErrorContains(t, err, "made by PostgreSQL 9")
		require.NoError(t, os.WriteFile(file, before, 0o600))
	})
	t.Run("bad setting", func(t *testing.T) {
		_, err := localstack.StartPostgres(t.Context(), localstack.PostgresOptions{Dir: dir, Settings: map[string]string{"no_such": "1"}})
		require.ErrorContains(t, err, `unrecognized configuration parameter "no_such"`)
	})
	t.Run("taken port", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		port := listener.Addr().(*net.TCPAddr).Port
		_, err = localstack.StartPostgres(t.Context(), localstack.PostgresOptions{Dir: dir, Port: port})
		require.ErrorIs(t, err, localstack.ErrPort)
	})
	t.Run("kept port taken", func(t *testing.T) {
		kept, err := os.ReadFile(filepath.Join(dir, "port"))
		require.NoError(t, err)
		listener, err := net.Listen("tcp", "127.0.0.1:"+strings.TrimSpace(string(kept)))
		require.NoError(t, err)
		defer listener.Close()
		p := start(t, dir)
		require.NotEqual(t, url, p.URL("pica spot"))
		require.Equal(t, "here", query(t, p.URL("pica spot"), `SELECT value FROM kept`))
		stopped(t, p)
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := localstack.StartPostgres(ctx, localstack.PostgresOptions{Dir: dir})
		require.Error(t, err)
		p := start(t, dir)
		stopped(t, p)
	})
	t.Run("removed", func(t *testing.T) {
		require.NoError(t, localstack.RemovePostgres(t.Context(), dir))
		require.NoDirExists(t, dir)
		require.NoError(t, localstack.RemovePostgres(t.Context(), dir), "what is not there")
	})
}

// postmaster returns the process id that the server's pid file names, or 0.
func postmaster(p string) int {
	content, _ := os.ReadFile(filepath.Join(p, "data", "postmaster.pid"))
	first, _, _ := strings.Cut(string(content), "\n")
	pid, _ := strconv.Atoi(first)
	return pid
}

func TestPostgresAfterAKill(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "postgres")
	ctx := context.Background()

	helper := exec.Command(os.Args[0], "-test.run=^$")
	helper.Env = append(os.Environ(), helperDir+"="+dir)
	out, err := helper.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, helper.Start())
	url, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	url = strings.TrimSpace(url)
	execute(t, url, `CREATE TABLE kept AS SELECT 'here'::text AS value`)
	require.NoError(t, helper.Process.Kill())
	require.Error(t, helper.Wait())

	t.Run("of the parent", func(t *testing.T) {
		begin := time.Now()
		p := start(t, dir)
		t.Logf("start after kill -9 of the parent: %s", time.Since(begin))
		require.Equal(t, url, p.URL("postgres"))
		require.Equal(t, "here", query(t, url, `SELECT value FROM kept`))
		stopped(t, p)
	})
	t.Run("of the server", func(t *testing.T) {
		p := start(t, dir)
		execute(t, p.URL("postgres"), `INSERT INTO kept SELECT 'more'`)
		require.NoError(t, syscall.Kill(postmaster(dir), syscall.SIGKILL))
		<-p.Done()
		stopped(t, p)
		p = start(t, dir)
		require.Equal(t, "2", query(t, p.URL("postgres"), `SELECT count(*)::text FROM kept`))
		stopped(t, p)
	})
	t.Run("with the server left running", func(t *testing.T) {
		p := start(t, dir)
		// The server's own arguments, so that it is the same to all who look.
		args, err := os.ReadFile("/proc/" + strconv.Itoa(postmaster(dir)) + "/cmdline")
		if err != nil { // Elsewhere than on Linux.
			args, err = exec.CommandContext(ctx, "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(postmaster(dir))).Output()
			require.NoError(t, err)
			args = []byte(strings.ReplaceAll(strings.TrimSpace(string(args)), " ", "\x00"))
		}
		info, err := os.Stat(filepath.Join(dir, "data"))
		require.NoError(t, err)
		stopped(t, p)

		words := strings.Split(strings.Trim(string(args), "\x00"), "\x00")
		orphan := exec.Command(words[0], words[1:]...)
		orphan.Dir = filepath.Join(dir, "data")
		orphan.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if os.Geteuid() == 0 {
			owner := info.Sys().(*syscall.Stat_t)
			orphan.SysProcAttr.Credential = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
		}
		require.NoError(t, orphan.Start())
		ended := make(chan error, 1)
		go func() { ended <- orphan.Wait() }()
		require.Eventually(t, func() bool { return postmaster(dir) == orphan.Process.Pid }, 10*time.Second, 5*time.Millisecond)

		p = start(t, dir)
		require.NoError(t, <-ended, "it was shut down in order")
		require.NotEqual(t, orphan.Process.Pid, postmaster(dir))
		require.Equal(t, "2", query(t, p.URL("postgres"), `SELECT count(*)::text FROM kept`))
		stopped(t, p)
	})
	for name, content := range map[string]string{
		"pid of another process": strconv.Itoa(os.Getpid()) + "\n" + filepath.Join(dir, "data") + "\n1700000000\n5432\n\n127.0.0.1\n        0         0\nready   \n",
		"pid of nobody":          "4194304\n" + filepath.Join(dir, "data") + "\n",
		"empty pid file":         "",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "data", "postmaster.pid")
			require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
			info, err := os.Stat(filepath.Join(dir, "data"))
			require.NoError(t, err)
			owner := info.Sys().(*syscall.Stat_t)
			require.NoError(t, os.Chown(file, int(owner.Uid), int(owner.Gid)))
			p := start(t, dir)
			require.Equal(t, "2", query(t, p.URL("postgres"), `SELECT count(*)::text FROM kept`))
			stopped(t, p)
		})
	}
}

// A folder beneath one of mode 0700, as a clone beneath /root is.
func TestPostgresInAFolderOfRoot(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	require.NoError(t, os.Chmod(closed, 0o700))
	closed, err := filepath.EvalSymlinks(closed)
	require.NoError(t, err)
	dir := filepath.Join(closed, "picaspot", "postgres")
	p := start(t, dir)
	url := p.URL("postgres")
	execute(t, url, `CREATE TABLE kept AS SELECT 'here'::text AS value`)
	if os.Geteuid() != 0 {
		require.Equal(t, dir, p.Dir())
		return
	}
	other := p.Dir()
	require.NotEqual(t, dir, other)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(other)) })
	stopped(t, p)

	p = start(t, dir)
	require.Equal(t, other, p.Dir(), "found again")
	require.Equal(t, "here", query(t, url, `SELECT value FROM kept`))
	stopped(t, p)

	moved := filepath.Join(closed, "moved")
	require.NoError(t, os.Rename(filepath.Join(closed, "picaspot"), moved))
	p = start(t, filepath.Join(moved, "postgres"))
	require.Equal(t, other, p.Dir(), "moves along")
	stopped(t, p)

	copied := filepath.Join(closed, "copied")
	require.NoError(t, os.CopyFS(copied, os.DirFS(filepath.Join(moved, "postgres"))))
	p = start(t, copied)
	require.NotEqual(t, other, p.Dir(), "a copy has a cluster of its own")
	second := p.Dir()
	stopped(t, p)
	require.NoError(t, os.RemoveAll(copied))
	p = start(t, copied)
	require.NoDirExists(t, second, "who deletes the folder deletes the data")
	stopped(t, p)
	third := p.Dir()
	require.NoError(t, localstack.RemovePostgres(t.Context(), copied))
	require.NoDirExists(t, third)
	require.DirExists(t, other)

	require.NoError(t, os.WriteFile(filepath.Join(moved, "postgres", "place"), []byte("/etc\n"), 0o600))
	_, err = localstack.StartPostgres(t.Context(), localstack.PostgresOptions{Dir: filepath.Join(moved, "postgres")})
	require.ErrorContains(t, err, `"/etc" is no place of a cluster`)
}

func TestPostgresNotInstalled(t *testing.T) {
	for name, c := range map[string]struct {
		programs map[string]string
		message  string
	}{
		"nothing":    {nil, "holds no initdb and postgres that run"},
		"broken":     {map[string]string{"initdb": "exit 1", "postgres": "exit 1"}, "holds no initdb and postgres that run"},
		"no PostGIS": {map[string]string{"initdb": "exit 1", "postgres": "echo 'postgres (PostgreSQL) 12.1'"}, "postgresql-12-postgis-3"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			bin := filepath.Join(dir, "bin")
			require.NoError(t, os.Mkdir(bin, 0o755))
			for program, script := range c.programs {
				require.NoError(t, os.WriteFile(filepath.Join(bin, program), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
			}
			t.Setenv("PICASPOT_PG_BIN", bin)
			_, err := localstack.StartPostgres(t.Context(), localstack.PostgresOptions{Dir: filepath.Join(dir, "postgres")})
			require.ErrorIs(t, err, localstack.ErrNotInstalled)
			require.ErrorContains(t, err, c.message)
		})
	}
}

// installation makes an installation out of scripts, with all extensions.
func installation(t *testing.T, programs map[string]string) {
	t.Helper()
	dir := folder(t)
	bin, share := filepath.Join(dir, "bin"), filepath.Join(dir, "share", "extension")
	require.NoError(t, os.Mkdir(bin, 0o755))
	require.NoError(t, os.MkdirAll(share, 0o755))
	for _, extension := range []string{"postgis", "pg_trgm", "citext", "unaccent"} {
		require.NoError(t, os.WriteFile(filepath.Join(share, extension+".control"), nil, 0o600))
	}
	for program, script := range programs {
		require.NoError(t, os.WriteFile(filepath.Join(bin, program), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	t.Setenv("PICASPOT_PG_BIN", bin)
}

func TestPostgresThatDoesNotStart(t *testing.T) {
	const version = `[ "$1" = --version ] && echo "postgres (PostgreSQL) 15.1" && exit; `
	start := func(t *testing.T, dir string) error {
		t.Helper()
		_, err := localstack.StartPostgres(t.Context(), localstack.PostgresOptions{Dir: dir})
		return err
	}
	t.Run("initdb fails", func(t *testing.T) {
		installation(t, map[string]string{"initdb": "echo no such locale; exit 1", "postgres": version})
		dir := filepath.Join(folder(t), "postgres")
		err := start(t, dir)
		require.ErrorContains(t, err, "initdb --locale=C.UTF-8: exit status 1: no such locale")
		require.ErrorContains(t, err, "initdb --locale=C: ", "the last one that was tried")
		left, _ := filepath.Glob(filepath.Join(dir, "data*"))
		require.Empty(t, left)
	})
	t.Run("port taken in between", func(t *testing.T) {
		installation(t, map[string]string{"initdb": "exit 0", "postgres": version + "echo Address already in use; exit 1"})
		dir := filepath.Join(folder(t), "postgres")
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "data.unfinished"), 0o711))
		err := start(t, dir)
		require.ErrorContains(t, err, "it ended: exit status 1: Address already in use")
		require.NoDirExists(t, filepath.Join(dir, "data.unfinished"))
		log, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
		require.NoError(t, err)
		require.Greater(t, strings.Count(string(log), "Address already in use"), 1, "it was tried again")
	})
	t.Run("damaged folders", func(t *testing.T) {
		installation(t, map[string]string{"initdb": "exit 0", "postgres": version})
		dir := folder(t)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
		require.ErrorContains(t, start(t, filepath.Join(dir, "file")), "folder of PostgreSQL")
		require.ErrorContains(t, localstack.RemovePostgres(t.Context(), filepath.Join(dir, "file", "below")), "folder of PostgreSQL")

		home := filepath.Join(dir, "postgres")
		require.NoError(t, os.MkdirAll(filepath.Join(home, "data"), 0o711))
		require.NoError(t, os.WriteFile(filepath.Join(home, "data", "PG_VERSION"), []byte("x"), 0o600))
		require.ErrorContains(t, start(t, home), "version of the cluster")
		require.NoError(t, os.WriteFile(filepath.Join(home, "data", "PG_VERSION"), []byte("15"), 0o600))
		require.ErrorContains(t, start(t, home), "password of PostgreSQL")
		require.NoError(t, os.Mkdir(filepath.Join(home, "data", "postmaster.pid"), 0o700))
		require.ErrorContains(t, start(t, home), "pid file of PostgreSQL")
		require.ErrorContains(t, localstack.RemovePostgres(t.Context(), home), "pid file of PostgreSQL")
		require.NoError(t, os.Mkdir(filepath.Join(home, "place"), 0o700))
		require.ErrorContains(t, start(t, home), "place of the cluster")
		require.ErrorContains(t, localstack.RemovePostgres(t.Context(), home), "place of the cluster")
	})
}

func TestDatabaseThatCannotBeMade(t *testing.T) {
	t.Parallel()
	p := start(t, filepath.Join(folder(t), "postgres"))
	require.ErrorContains(t, p.CreateDatabase(t.Context(), ""), "create the database")
	stopped(t, p)
	require.ErrorContains(t, p.CreateDatabase(t.Context(), "picaspot"), "create the database")
}
