// Package localstack runs what a laptop lacks: a private PostgreSQL with
// PostGIS, and Redis. What it starts lies in a folder of the project and never
// touches a server that runs already.
package localstack

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// PostgresOptions say where a private PostgreSQL lives and how it is set.
type PostgresOptions struct {
	// Dir keeps the cluster, its password and its log.
	Dir string
	// Settings are parameters of postgresql.conf.
	Settings map[string]string
	// Log hears what is done; nil is [slog.Default].
	Log *slog.Logger
}

// Postgres is a private PostgreSQL server.
type Postgres struct {
	dir      string
	bin      string
	port     int
	password string
	owner    *owner
	log      *slog.Logger
	process  *exec.Cmd
	lock     *os.File
}

const (
	startTimeout = 60 * time.Second
	superuser    = "picaspot"
)

// StartPostgres starts the private PostgreSQL in a folder, and makes its
// cluster at the first start. A server that was left behind in this folder by a
// process that was killed is stopped first; a second process that wants the
// folder gets an error.
func StartPostgres(ctx context.Context, opts PostgresOptions) (_ *Postgres, err error) {
	p := &Postgres{dir: opts.Dir, log: opts.Log}
	if p.log == nil {
		p.log = slog.Default()
	}
	if p.bin, err = findPostgres(); err != nil {
		return nil, err
	}
	if p.owner, err = unprivileged(); err != nil {
		return nil, err
	}
	if p.dir, err = p.owner.reachable(p.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil { //nolint:gosec // Its owner is another user.
		return nil, fmt.Errorf("database folder: %w", err)
	}
	if err := p.lockDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.lock.Close())
		}
	}()
	if err := p.initCluster(ctx); err != nil {
		return nil, err
	}
	if err := p.stopLeftover(ctx); err != nil {
		return nil, err
	}
	return p, p.start(ctx, opts.Settings)
}

func (p *Postgres) data() string         { return filepath.Join(p.dir, "cluster") }
func (p *Postgres) passwordFile() string { return filepath.Join(p.dir, "password") }
func (p *Postgres) logFile() string      { return filepath.Join(p.dir, "log") }

// lockDir makes this process the only one that runs the folder; the kernel lets
// go of the lock when the process dies.
func (p *Postgres) lockDir() error {
	lock, err := os.OpenFile(filepath.Join(p.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the database folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("the database in %s belongs to another process that is running; stop it, or set PICASPOT_DATA_DIR", p.dir), lock.Close())
	}
	p.lock = lock
	return nil
}

func (p *Postgres) initCluster(ctx context.Context) error {
	version, err := os.ReadFile(filepath.Join(p.data(), "PG_VERSION"))
	if err == nil {
		return p.checkVersion(ctx, strings.TrimSpace(string(version)))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the cluster: %w", err)
	}
	// What a start that was killed left half done is made anew.
	if err := os.RemoveAll(p.data()); err != nil {
		return fmt.Errorf("remove a half-made cluster: %w", err)
	}
	p.log.InfoContext(ctx, "making a private PostgreSQL", "folder", p.dir)
	if err := os.WriteFile(p.passwordFile(), []byte(rand.Text()), 0o600); err != nil {
		return fmt.Errorf("database password: %w", err)
	}
	if err := p.owner.own(p.dir, p.passwordFile()); err != nil {
		return err
	}
	// Made aside and renamed, so that a cluster that is there is complete.
	fresh := p.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove a half-made cluster: %w", err)
	}
	initdb := exec.CommandContext(ctx, filepath.Join(p.bin, "initdb"), "-D", fresh, "-U", superuser, "--pwfile", p.passwordFile(),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir = p.dir
	p.owner.runAs(initdb)
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	if err := os.Rename(fresh, p.data()); err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	return nil
}

func (p *Postgres) checkVersion(ctx context.Context, cluster string) error {
	output, err := exec.CommandContext(ctx, filepath.Join(p.bin, "postgres"), "--version").Output()
	if err != nil {
		return fmt.Errorf("postgres --version: %w", err)
	}
	fields := strings.Fields(string(output))
	if len(fields) < 3 || strings.Split(fields[2], ".")[0] != cluster {
		return fmt.Errorf("the database in %s was made by PostgreSQL %s, but %s is found; set PICASPOT_PG_BIN, or remove the folder to start anew",
			p.dir, cluster, strings.TrimSpace(string(output)))
	}
	return nil
}

// leftover returns the process id of a server that runs on our cluster, or 0.
func (p *Postgres) leftover() int {
	return running(filepath.Join(p.data(), "postmaster.pid"), p.data())
}

// running returns the number in the first line of a pid file if a process of
// that number has mark in its command line: the number may belong to another
// program by now.
func running(pidFile, mark string) int {
	content, err := os.ReadFile(pidFile)
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 || syscall.Kill(pid, 0) != nil {
		return 0
	}
	command, err := exec.Command("ps", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	if err != nil || !bytes.Contains(command, []byte(mark)) {
		return 0
	}
	return pid
}

func (p *Postgres) stopLeftover(ctx context.Context) error {
	pid := p.leftover()
	if pid == 0 {
		return nil
	}
	p.log.InfoContext(ctx, "stopping the database that an earlier run left behind", "pid", pid)
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		return fmt.Errorf("stop the database left behind: %w", err)
	}
	deadline := time.Now().Add(startTimeout)
	for p.leftover() != 0 {
		if time.Now().After(deadline) {
			return fmt.Errorf("the database left behind (process %d) does not stop", pid)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

func (p *Postgres) start(ctx context.Context, settings map[string]string) error {
	password, err := os.ReadFile(p.passwordFile())
	if err != nil {
		return fmt.Errorf("database password: %w", err)
	}
	p.password = string(password)
	if p.port, err = p.pickPort(ctx); err != nil {
		return err
	}
	args := []string{
		"-D", p.data(), "-p", strconv.Itoa(p.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "jit=off",
	}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	logFile, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644) //nolint:gosec // Nothing secret.
	if err != nil {
		return fmt.Errorf("database log: %w", err)
	}
	defer logFile.Close()
	p.process = exec.Command(filepath.Join(p.bin, "postgres"), args...) //nolint:noctx // It outlives ctx and is stopped by Stop.
	p.process.Dir, p.process.Stdout, p.process.Stderr = p.dir, logFile, logFile
	p.owner.runAs(p.process)
	// A group of its own: Ctrl-C in the terminal is for us, who stop it in order.
	p.process.SysProcAttr.Setpgid = true
	if err := p.process.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- p.process.Wait() }()
	deadline := time.Now().Add(startTimeout)
	for {
		if err := p.ping(ctx); err == nil {
			go func() {
				<-exited
				p.log.Debug("PostgreSQL ended")
			}()
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("PostgreSQL did not start; %s says:\n%s", p.logFile(), tail(p.logFile()))
		case <-ctx.Done():
			return errors.Join(ctx.Err(), p.process.Process.Signal(syscall.SIGINT))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("PostgreSQL is not ready after %s; see %s", startTimeout, p.logFile()), p.process.Process.Signal(syscall.SIGINT))
		}
	}
}

// pickPort keeps the port of the last run if it is free, so that the address
// stays the same; otherwise it takes another one.
func (p *Postgres) pickPort(ctx context.Context) (int, error) {
	file := filepath.Join(p.dir, "port")
	wanted := "0"
	if content, err := os.ReadFile(file); err == nil {
		wanted = strings.TrimSpace(string(content))
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", wanted))
	if err != nil {
		if listener, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return 0, fmt.Errorf("find a port for the database: %w", err)
		}
	}
	port := listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // It listens on TCP.
	if err := listener.Close(); err != nil {
		return 0, fmt.Errorf("find a port for the database: %w", err)
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(port)), 0o600); err != nil {
		return 0, fmt.Errorf("keep the database's port: %w", err)
	}
	return port, nil
}

func (p *Postgres) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// URL addresses a database of the server as its superuser.
func (p *Postgres) URL(database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, p.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}).String()
}

// duplicateDatabase is PostgreSQL's SQLSTATE for a database that exists.
const duplicateDatabase = "42P04"

// CreateDatabase creates a database unless it is there.
func (p *Postgres) CreateDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == duplicateDatabase {
		return nil
	}
	return err
}

// Stop shuts the server down: it ends its connections and writes everything
// down. It returns when the server has ended or ctx does.
func (p *Postgres) Stop(ctx context.Context) error {
	defer p.lock.Close()
	if err := p.process.Process.Signal(syscall.SIGINT); err != nil {
		if errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	for {
		if p.process.Process.Signal(syscall.Signal(0)) != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL did not stop in time: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// tail returns the last lines of a log.
func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// owner is the user that PostgreSQL runs as. It refuses to run as root, so root
// hands it to an unprivileged user; others run it as themselves.
type owner struct {
	uid, gid int
	switched bool
}

func unprivileged() (*owner, error) {
	if os.Geteuid() != 0 {
		return &owner{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(account.Uid)
		gid, errGID := strconv.Atoi(account.Gid)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &owner{uid: uid, gid: gid, switched: true}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it as")
}

// reachable returns dir, or a folder in its place when the owner may not pass
// through one above it, as below /root.
func (o *owner) reachable(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil || !o.switched {
		return dir, err
	}
	for above := filepath.Dir(dir); above != "/"; above = filepath.Dir(above) {
		info, err := os.Stat(above)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("database folder: %w", err)
		}
		if info.Mode().Perm()&0o001 == 0 {
			slashed := strings.ReplaceAll(strings.Trim(dir, "/"), "/", "-")
			return filepath.Join("/var/lib/picaspot", slashed), nil
		}
	}
	return dir, nil
}

func (o *owner) own(paths ...string) error {
	if !o.switched {
		return nil
	}
	for _, path := range slices.Compact(paths) {
		if err := os.Chown(path, o.uid, o.gid); err != nil {
			return fmt.Errorf("hand %s to the database's user: %w", path, err)
		}
	}
	return nil
}

func (o *owner) runAs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	if o.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)} //nolint:gosec // They come from the system.
	}
}
