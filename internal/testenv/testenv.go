// Package testenv gives tests a real PostgreSQL with PostGIS and a real Redis:
// the ones named in the environment, else containers where Docker runs, else
// private servers from the installed programs. Each test has a database of its
// own, cloned from a migrated template. A server that can't be had fails the
// test; it is never skipped.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"
)

// The servers that tests use, when they are set: an administrator's URL of a
// PostgreSQL, and a Redis.
const (
	DatabaseVariable = "PICASPOT_TEST_DATABASE_URL"
	RedisVariable    = "PICASPOT_TEST_REDIS_URL"
)

// Migrator makes the template that tests get clones of.
type Migrator struct {
	// Fingerprint changes with what Up makes.
	Fingerprint string
	// Up migrates an empty database.
	Up func(ctx context.Context, databaseURL string) error
}

// Option configures [Main].
type Option func(*environment)

// WithMigrator gives tests migrated databases.
func WithMigrator(m Migrator) Option { return func(e *environment) { e.migrator = m } }

type environment struct {
	migrator Migrator

	servers   func() (*Servers, error)
	template  func() (string, error)
	mu        sync.Mutex
	nextRedis int
}

var env = newEnvironment()

func newEnvironment() *environment {
	e := &environment{}
	e.servers = sync.OnceValues(func() (*Servers, error) { return Start(context.Background()) })
	e.template = sync.OnceValues(e.makeTemplate)
	return e
}

// Main is the TestMain of packages that need servers: it runs the tests, then
// stops what they started.
func Main(m *testing.M, options ...Option) {
	for _, option := range options {
		option(env)
	}
	code := m.Run()
	if servers, err := env.servers(); err == nil {
		if err := servers.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "testenv:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

const setupTimeout = 2 * time.Minute

// Database returns the URL of a fresh, migrated database of the test's own. It
// is dropped when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	servers, err := env.servers()
	if err != nil {
		t.Fatalf("tests need a PostgreSQL with PostGIS and a Redis: %v", err)
	}
	template, err := env.template()
	if err != nil {
		t.Fatalf("make the template database: %v", err)
	}
	name := "picaspot_test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := servers.admin(ctx, func(conn *pgx.Conn) error { return clone(ctx, conn, name, template) }); err != nil {
		t.Fatalf("make a database for the test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		err := servers.admin(ctx, func(conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
			return err
		})
		if err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return servers.database(name)
}

// templateLock is the advisory lock under which templates are made and cloned:
// PostgreSQL clones only a database that nobody is connected to.
const templateLock = 0x7069636100000003

func clone(ctx context.Context, conn *pgx.Conn, name, template string) error {
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template)
	return err // The lock ends with the connection.
}

// makeTemplate makes the template once for all processes and runs that use the
// same server and migrations.
func (e *environment) makeTemplate() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	servers, err := e.servers()
	if err != nil {
		return "", err
	}
	name := "picaspot_template_" + e.migrator.Fingerprint
	err = servers.admin(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
			return err
		}
		var exists bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil || exists {
			return err
		}
		// Made under another name: a template that is there is complete.
		unfinished := name + "_new"
		for _, statement := range []string{
			"DROP DATABASE IF EXISTS " + unfinished + " WITH (FORCE)",
			"CREATE DATABASE " + unfinished,
		} {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
		if e.migrator.Up != nil {
			if err := e.migrator.Up(ctx, servers.database(unfinished)); err != nil {
				return err
			}
		}
		return rename(ctx, conn, unfinished, name)
	})
	return name, err
}

// objectInUse is PostgreSQL's SQLSTATE for a database that somebody is connected to.
const objectInUse = "55006"

// rename waits for the migrator's last connection to be gone.
func rename(ctx context.Context, conn *pgx.Conn, from, to string) error {
	for {
		_, err := conn.Exec(ctx, "ALTER DATABASE "+from+" RENAME TO "+to)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != objectInUse {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// redisDatabases is how many tests can have a Redis database at the same time.
const redisDatabases = 4096

// Redis returns the URL of an empty Redis database of the test's own.
func Redis(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	servers, err := env.servers()
	if err != nil {
		t.Fatalf("tests need a PostgreSQL with PostGIS and a Redis: %v", err)
	}
	options, err := redis.ParseURL(servers.RedisURL)
	if err != nil {
		t.Fatalf("Redis URL: %v", err)
	}
	first := redis.NewClient(options)
	defer first.Close()
	// Counted in the server, so that test processes that share it do not meet.
	number, err := first.Incr(ctx, "picaspot:testenv:databases").Result()
	if err != nil {
		t.Fatalf("Redis: %v", err)
	}
	databases, err := first.ConfigGet(ctx, "databases").Result()
	if err != nil {
		t.Fatalf("Redis: %v", err)
	}
	limit := 16
	if _, err := fmt.Sscan(databases["databases"], &limit); err != nil {
		t.Fatalf("Redis: %v", err)
	}
	options.DB = 1 + int(number)%(limit-1)
	own := redis.NewClient(options)
	defer own.Close()
	if err := own.FlushDB(ctx).Err(); err != nil {
		t.Fatalf("Redis: %v", err)
	}
	u, err := url.Parse(servers.RedisURL)
	if err != nil {
		t.Fatalf("Redis URL: %v", err)
	}
	u.Path = fmt.Sprintf("/%d", options.DB)
	return u.String()
}
