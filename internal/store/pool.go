package store

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Options of a connection pool.
type Options struct {
	// ReadOnly is for what only reads: a standby will do. Without it the pool connects to
	// a server that takes writes, unless the URL has a target_session_attrs.
	ReadOnly bool
	// MaxConns bounds the pool; zero means pgx's default of max(4, CPUs).
	MaxConns int32
	// MinConns are kept open, so that a request after a quiet hour finds one.
	MinConns int32
	// MaxConnLifetime is the age at which a connection is replaced, give or take a
	// tenth, so that those that were opened together are not closed together; zero
	// means pgx's default of an hour.
	MaxConnLifetime time.Duration
	// MaxConnIdleTime closes a connection that nobody used for so long; zero means
	// pgx's default of 30 minutes.
	MaxConnIdleTime time.Duration
	// HealthCheckPeriod is how often old and idle connections are looked for; zero
	// means pgx's default of a minute.
	HealthCheckPeriod time.Duration
	// AcquireTimeout bounds how long somebody waits for a free connection; zero does not.
	AcquireTimeout time.Duration
	// ConnectTimeout bounds how long a connection may take to open; zero means what
	// the URL says, or two minutes.
	ConnectTimeout time.Duration

	// StatementTimeout ends a statement that runs longer; zero means 30 s.
	StatementTimeout time.Duration
	// LockTimeout ends a statement that waits longer for one lock; zero does not.
	LockTimeout time.Duration
	// IdleInTransactionTimeout ends a connection whose transaction is left alone for
	// so long; zero means 60 s.
	IdleInTransactionTimeout time.Duration

	// SlowQuery is from when on a query is logged; zero is never.
	SlowQuery time.Duration
	// Observe is told of each query that ended: its name, how long it took until its
	// rows were read, and why it failed, as an SQLSTATE or a word; empty when it did
	// not. It is called concurrently; nil is nobody.
	Observe func(name string, took time.Duration, failure string)
}

const (
	defaultStatementTimeout         = 30 * time.Second
	defaultIdleInTransactionTimeout = time.Minute
	// pingTimeout is how long a connection may take to show that it is alive, or that its
	// server takes writes, before another one is taken.
	pingTimeout = time.Second
	// besidePool are the connections that a process may open outside of its pool: for
	// news of the policy, and for news of jobs.
	besidePool = 2
)

// poolConfig is the configuration of the pool at a URL. What the options say goes
// before what the URL says.
func poolConfig(url string, opts Options, tracer *tracer) (*pgxpool.Config, *primary, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, nil, fmt.Errorf("database URL: %w", err)
	}
	primary := &primary{}
	if !opts.ReadOnly {
		if primary, err = newPrimary(url, config); err != nil {
			return nil, nil, err
		}
	}
	config.ConnConfig.DialFunc = markLost(config.ConnConfig.DialFunc)
	set(&config.MaxConns, opts.MaxConns)
	set(&config.MinConns, min(opts.MinConns, config.MaxConns))
	set(&config.MaxConnLifetime, opts.MaxConnLifetime)
	set(&config.MaxConnIdleTime, opts.MaxConnIdleTime)
	set(&config.HealthCheckPeriod, opts.HealthCheckPeriod)
	set(&config.ConnConfig.ConnectTimeout, opts.ConnectTimeout)
	config.MaxConnLifetimeJitter = config.MaxConnLifetime / 10
	config.PingTimeout = pingTimeout
	config.ConnConfig.Tracer = tracer

	statement, idle := defaultStatementTimeout, defaultIdleInTransactionTimeout
	set(&statement, opts.StatementTimeout)
	set(&idle, opts.IdleInTransactionTimeout)
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = applicationName(config.MaxConns + besidePool)
	params["timezone"] = "UTC"
	// Compiling a query takes longer than any of ours runs.
	params["jit"] = "off"
	params["statement_timeout"] = milliseconds(statement)
	params["lock_timeout"] = milliseconds(opts.LockTimeout)
	params["idle_in_transaction_session_timeout"] = milliseconds(idle)
	return config, primary, nil
}

func set[T int32 | time.Duration](to *T, value T) {
	if value > 0 {
		*to = value
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// maxApplicationName is where PostgreSQL cuts the name of an application, in bytes.
const maxApplicationName = 63

// applicationName tells others that look at pg_stat_activity which process a
// connection belongs to, and how many it may open: see [Store.Capacity].
func applicationName(conns int32) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	before, after := fmt.Sprintf("picaspot/%d@", conns), fmt.Sprintf(":%d", os.Getpid())
	// Names of replicas differ at their end.
	if room := maxApplicationName - len(before) - len(after); len(host) > room {
		host = host[len(host)-room:]
	}
	return before + host + after
}

// Capacity is how many connections there may be to the server, of those that its
// superuser has no claim on.
type Capacity struct {
	// Allowed is the most that the server takes.
	Allowed int
	// Processes are those of PicASpot that are connected at present, this one included.
	Processes int
	// Claimed is the most that all of them together may open.
	Claimed int
}

// capacitySQL looks at the names that [applicationName] makes.
const capacitySQL = `-- name: store_sum_connections
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0),
  count(*), coalesce(sum(claimed), 0)
FROM (
  SELECT DISTINCT application_name, substring(application_name FROM '^picaspot/([0-9]{1,6})@')::int AS claimed
  FROM pg_stat_activity WHERE application_name ~ '^picaspot/[0-9]{1,6}@'
) processes`

// Capacity adds up what the processes that are connected to the server may open.
func (s *Store) Capacity(ctx context.Context) (c Capacity, err error) {
	err = s.Pool.QueryRow(ctx, capacitySQL).Scan(&c.Allowed, &c.Processes, &c.Claimed)
	if err != nil {
		return Capacity{}, fmt.Errorf("ask how many connections there may be: %w", err)
	}
	return c, nil
}

// WarnOfCapacity logs when the processes that are connected may want more
// connections than the server allows: the last ones would be refused.
func (s *Store) WarnOfCapacity(ctx context.Context) {
	switch c, err := s.Capacity(ctx); {
	case err != nil:
		slog.WarnContext(ctx, "can't compare the pools with the server's limit", "error", err)
	case c.Claimed > c.Allowed:
		slog.WarnContext(ctx, "the processes may open more connections than the database allows; raise max_connections or lower PICASPOT_DATABASE_MAX_CONNS",
			"processes", c.Processes, "may_open", c.Claimed, "allowed", c.Allowed)
	}
}
