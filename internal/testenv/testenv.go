// Package testenv gives tests a real PostgreSQL with PostGIS and a real Redis:
// the servers that the environment names, else containers where Docker runs,
// else private servers from the installed programs. Each test has a database of
// its own, cloned from a migrated template, and a Redis database of its own. A
// server that can't be had fails the test; no test is skipped for it.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The servers that tests use, when they are set: an administrator's URL of a
// PostgreSQL that databases may be created on, and a Redis whose databases may
// be emptied, all of them.
const (
	DatabaseVariable = "PICASPOT_TEST_DATABASE_URL"
	RedisVariable    = "PICASPOT_TEST_REDIS_URL"
)

// setupTimeout bounds what is done for a test before and after it.
const setupTimeout = 2 * time.Minute

// Migrator makes the template that tests get clones of.
type Migrator struct {
	// Fingerprint changes with what Up makes. It becomes part of a database's
	// name: lower-case letters, digits and underscores, 40 at most.
	Fingerprint string
	// Up migrates the empty database at the URL and leaves no connection open.
	Up func(ctx context.Context, databaseURL string) error
}

// Option configures [Main].
type Option func(*environment)

// WithMigrator gives tests migrated databases. Without it they have the
// extensions of PicASpot and nothing else.
func WithMigrator(m Migrator) Option { return func(e *environment) { e.migrator = m } }

// WithLeakCheck fails the run when goroutines are left after the last test.
func WithLeakCheck(options ...goleak.Option) Option {
	return func(e *environment) { e.leaks, e.checkLeaks = options, true }
}

// WithCleanup has something done after the last test.
func WithCleanup(do func() error) Option {
	return func(e *environment) {
		e.stops = append(e.stops, func(context.Context) error { return do() })
	}
}

// environment is what the tests of one process share. Servers start when the
// first test asks for them.
type environment struct {
	migrator   Migrator
	leaks      []goleak.Option
	checkLeaks bool

	mu        sync.Mutex
	stopped   bool
	databases *databases
	redises   *redises
	stops     []func(context.Context) error
	failed    map[string]error // so that each test need not wait for the same failure
}

func newEnvironment() *environment {
	return &environment{migrator: extensionsOnly, failed: map[string]error{}}
}

// current is set by [Main], before any test runs.
var current *environment

var errNoMain = errors.New("the package's TestMain has to call testenv.Main")

// Main is the TestMain of packages that need servers: it runs the tests, stops
// what they started and ends the process.
func Main(m *testing.M, options ...Option) {
	current = newEnvironment()
	for _, option := range options {
		option(current)
	}
	code := m.Run()
	if err := current.close(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// close stops the servers and looks for what the tests left running.
func (e *environment) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	e.stopped = true
	var errs []error
	for i := len(e.stops) - 1; i >= 0; i-- {
		errs = append(errs, e.stops[i](ctx))
	}
	if e.checkLeaks {
		http.DefaultClient.CloseIdleConnections()
		leak := goleak.Find(e.leaks...)
		// goleak waits for a second. What asks a server again each second ends later on a machine that is busy.
		for begun := time.Now(); leak != nil && time.Since(begun) < 10*time.Second; {
			leak = goleak.Find(e.leaks...)
		}
		errs = append(errs, leak)
	}
	return errors.Join(errs...)
}

// once returns what is there already, the failure of the last try, or what make
// makes.
func once[T any](e *environment, name string, there **T, start func(context.Context) (*T, func(context.Context) error, error)) (*T, error) {
	if e == nil {
		return nil, errNoMain
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return nil, errors.New("the tests of this process have ended")
	}
	if *there != nil {
		return *there, nil
	}
	if err := e.failed[name]; err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	started, stop, err := start(ctx)
	if err != nil {
		e.failed[name] = err
		return nil, err
	}
	*there, e.stops = started, append(e.stops, stop)
	return started, nil
}

// Database returns the URL of a fresh, migrated database of the test's own. It
// is dropped when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	url, drop, err := current.database()
	if err != nil {
		t.Fatalf("a test database: %v", err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return url
}

func (e *environment) database() (url string, drop func() error, err error) {
	if e == nil {
		return "", nil, errNoMain
	}
	all, err := once(e, DatabaseVariable, &e.databases, func(ctx context.Context) (*databases, func(context.Context) error, error) {
		return openDatabases(ctx, e.migrator)
	})
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	name, err := all.clone(ctx)
	if err != nil {
		return "", nil, err
	}
	return all.url(name), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		return all.drop(ctx, name)
	}, nil
}

// Redis returns the URL of an empty Redis database of the test's own.
func Redis(t testing.TB) string {
	t.Helper()
	url, release, err := current.redis()
	if err != nil {
		t.Fatalf("a test Redis: %v", err)
	}
	t.Cleanup(func() {
		if err := release(); err != nil {
			t.Errorf("give back the test's Redis: %v", err)
		}
	})
	return url
}

func (e *environment) redis() (url string, release func() error, err error) {
	if e == nil {
		return "", nil, errNoMain
	}
	all, err := once(e, RedisVariable, &e.redises, openRedises)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	number, err := all.claim(ctx)
	if err != nil {
		return "", nil, err
	}
	return all.url(number), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		return all.release(ctx, number)
	}, nil
}
