package localstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/picaspot/picaspot/internal/fault"
)

const (
	// startTries bounds how often a start is tried that failed for a passing
	// reason: a port taken in between, children of a killed server.
	startTries = 6
	// portPatience is how long a start waits for the port of a killed server.
	portPatience = time.Second
	// maxLog is the size at which the server's log is put aside at a start.
	maxLog = 16 << 20
	// logTail is how much of the server's log an error quotes.
	logTail = 2 << 10
	// duplicateDatabase is the SQLSTATE of CREATE DATABASE with a taken name.
	duplicateDatabase = "42P04"
)

// ErrPort is returned when the port that was asked for is taken.
var ErrPort = fault.New(fault.Conflict, "port_taken", "the port of PostgreSQL is taken")

// PostgresOptions say where and how a private PostgreSQL runs.
type PostgresOptions struct {
	// Dir holds the cluster, its password and its log. It is made when it is
	// missing. Under root the cluster may lie elsewhere: see [Postgres.Dir].
	Dir string
	// Port on 127.0.0.1; 0 means a free one that stays the same from start to start.
	Port int
	// Settings of the server, such as "max_connections".
	Settings map[string]string
	// Log receives what happens to the server; nil means nothing does. The
	// server's own log is the file postgres.log in its folder.
	Log *slog.Logger
}

// Postgres is a running private server.
type Postgres struct {
	home, password string
	port           int
	log            *slog.Logger
	process        *process
	lock           *Lock

	stop     sync.Once
	stopping chan struct{}
	stopErr  error
}

// StartPostgres starts a private PostgreSQL, makes its cluster when there is
// none yet, and returns when it takes connections. A server that a killed
// process left in the folder is stopped first. Errors that the user can do
// something about are [ErrNotInstalled], [ErrVersion], [ErrInUse] and [ErrPort].
func StartPostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	who, err := serverAccount()
	if err != nil {
		return nil, err
	}
	found, err := installations(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := makeFolder(opts.Dir, who)
	if err != nil {
		return nil, err
	}
	home, err := place(ctx, dir, who, found[0].tool("postgres"))
	if err != nil {
		return nil, err
	}
	if home != dir {
		log.InfoContext(ctx, "PostgreSQL's account cannot enter the folder, so its data lies elsewhere",
			"folder", dir, "data", home)
	}
	lock, err := TakeLock(filepath.Join(home, lockFile))
	if err != nil {
		return nil, err
	}
	p := &Postgres{home: home, log: log, lock: lock, stopping: make(chan struct{})}
	if err := p.start(ctx, opts, found, who); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	go p.watch()
	return p, nil
}

func (p *Postgres) start(ctx context.Context, opts PostgresOptions, found []installation, who *syscall.Credential) error {
	major, err := clusterMajor(p.home)
	if err != nil {
		return err
	}
	chosen, err := choose(ctx, found, major)
	if err != nil {
		return err
	}
	unclean, err := stopLeftover(ctx, p.data())
	if err != nil {
		return err
	}
	if unclean {
		// Children of a killed server may hold the port for a moment longer;
		// without it the address would change.
		if _, err := poll(ctx, portPatience, func() bool { return portFree(cmp.Or(opts.Port, keptPort(p.home))) == nil }); err != nil {
			return err
		}
	}
	if major == 0 {
		p.log.InfoContext(ctx, "making a PostgreSQL cluster", "folder", p.home, "version", chosen.major)
		if err := makeCluster(ctx, p.home, chosen, who); err != nil {
			return err
		}
	}
	password, err := os.ReadFile(filepath.Join(p.home, passwordFile))
	if err != nil {
		return fmt.Errorf("password of PostgreSQL: %w", err)
	}
	p.password = string(password)
	for try := 1; ; try++ {
		again, err := p.launch(ctx, opts, chosen, who)
		if err == nil {
			p.log.InfoContext(ctx, "PostgreSQL is running", "folder", p.home, "port", p.port, "pid", p.process.pid())
			return nil
		}
		if !again || try == startTries {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		}
	}
}

// launch runs the server and waits until it is ready. Whether another try may
// succeed is the first result.
func (p *Postgres) launch(ctx context.Context, opts PostgresOptions, i installation, who *syscall.Credential) (bool, error) {
	var err error
	if p.port = opts.Port; p.port == 0 {
		if p.port, err = stablePort(p.home); err != nil {
			return false, err
		}
		if err := os.WriteFile(filepath.Join(p.home, portFile), []byte(strconv.Itoa(p.port)+"\n"), 0o600); err != nil {
			return false, fmt.Errorf("port of PostgreSQL: %w", err)
		}
	} else if err := portFree(p.port); err != nil {
		return false, ErrPort.Wrap(err)
	}
	output, err := openLog(filepath.Join(p.home, logFile))
	if err != nil {
		return false, err
	}
	defer output.Close()
	begin, err := output.Seek(0, io.SeekEnd)
	if err != nil {
		return false, fmt.Errorf("log of PostgreSQL: %w", err)
	}

	// Not bound to ctx, which ends before the server has to.
	cmd := exec.Command(i.tool("postgres"), p.arguments(opts.Settings)...)
	asServer(cmd, p.data(), who)
	cmd.Stdout, cmd.Stderr = output, output
	if p.process, err = startProcess(cmd, syscall.SIGINT); err != nil {
		return false, err
	}
	if err := p.awaitReady(ctx); err != nil {
		ended := p.process.ended()
		said := tail(output, begin)
		return ended && passing(said), errors.Join(
			fmt.Errorf("start PostgreSQL: %w: %s", err, said), p.process.stop(ctx, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL))
	}
	return false, nil
}

// arguments puts what keeps the server private last, where it wins.
func (p *Postgres) arguments(settings map[string]string) []string {
	args := []string{"-D", p.data(), "-c", "timezone=UTC", "-c", "log_timezone=UTC", "-c", "jit=off"}
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		args = append(args, "-c", name+"="+settings[name])
	}
	return append(args, "-c", "port="+strconv.Itoa(p.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
}

// awaitReady returns when the server takes connections. It reads the pid file,
// as pg_ctl does, rather than to knock before the server is up.
func (p *Postgres) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		content, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
		if state, ok := parsePostmaster(string(content)); err == nil && ok && state.pid == p.process.pid() && state.status == "ready" {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.process.done:
			return fmt.Errorf("it ended: %w", p.process.err)
		case <-ticker.C:
		}
	}
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return conn.Close(ctx)
}

// passing reports whether a start that failed with this output may succeed later.
func passing(said string) bool {
	for _, sign := range []string{
		"Address already in use",
		"pre-existing shared memory block",
		`lock file "postmaster.pid"`,
	} {
		if strings.Contains(said, sign) {
			return true
		}
	}
	return false
}

func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("log of PostgreSQL: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of PostgreSQL: %w", err)
	}
	return file, nil
}

func tail(file *os.File, begin int64) string {
	if info, err := file.Stat(); err == nil {
		begin = max(begin, info.Size()-logTail)
	}
	said, err := io.ReadAll(io.NewSectionReader(file, begin, logTail))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(said))
}

// watch tells of a server that ends without having been asked to.
func (p *Postgres) watch() {
	select {
	case <-p.stopping:
	case <-p.process.done:
		p.log.Error("PostgreSQL ended by itself", "error", p.process.err, "log", filepath.Join(p.home, logFile))
	}
}

func (p *Postgres) data() string { return filepath.Join(p.home, dataFolder) }

// Dir is the folder in which the cluster lies. It is not the one that was asked
// for if this process is root and the account that PostgreSQL runs as cannot
// enter that one.
func (p *Postgres) Dir() string { return p.home }

// URL returns the address of a database on this server, with the superuser's
// name and password.
func (p *Postgres) URL(dbname string) string {
	address := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, p.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)), Path: "/" + dbname, RawQuery: "sslmode=disable",
	}
	return address.String()
}

// CreateDatabase creates a database unless there is one of this name.
func (p *Postgres) CreateDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("create the database %s: %w", name, err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var failed *pgconn.PgError
	if errors.As(err, &failed) && failed.Code == duplicateDatabase {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create the database %s: %w", name, err)
	}
	return nil
}

// Done is closed when the server has ended, by [Postgres.Stop] or by itself.
func (p *Postgres) Done() <-chan struct{} { return p.process.done }

// Stop shuts the server down, ending its connections (fast shutdown), and gives
// the folder up. When ctx ends first, or after ten seconds, the server is ended
// without a checkpoint, which it makes up for at the next start; the error says
// so. Stopping again returns the same.
func (p *Postgres) Stop(ctx context.Context) error {
	p.stop.Do(func() {
		close(p.stopping)
		p.stopErr = errors.Join(p.process.stop(ctx, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL), p.lock.Release())
	})
	return p.stopErr
}
