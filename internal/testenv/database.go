package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// extensionsOnly makes the template of tests that have no migrations.
var extensionsOnly = Migrator{
	Fingerprint: "extensions",
	Up: func(ctx context.Context, databaseURL string) error {
		conn, err := pgx.Connect(ctx, databaseURL)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "CREATE EXTENSION postgis; CREATE EXTENSION pg_trgm; CREATE EXTENSION citext; CREATE EXTENSION unaccent")
		return errors.Join(err, conn.Close(ctx))
	},
}

const (
	// testPrefix begins the name of a test's database; the hour of its making,
	// in Unix seconds, and a random part follow.
	testPrefix     = "picaspot_test_"
	templatePrefix = "picaspot_template_"
	// staleAfter is the age at which a test's database is taken for one that a
	// killed run left behind on a server that outlives runs.
	staleAfter = 6 * time.Hour
	// templateLock is the advisory lock under which templates are made.
	templateLock = 0x7069636173706f74
	// objectInUse is the SQLSTATE for a database that somebody is connected to.
	objectInUse = "55006"
	// maxAdminConns bounds the connections that a process holds beside those of
	// its tests; many processes share a server.
	maxAdminConns = 2
)

var fingerprint = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

// databases makes and drops the databases of tests on one server.
type databases struct {
	address  *url.URL
	pool     *pgxpool.Pool
	template string
	strategy string
}

func openDatabases(ctx context.Context, m Migrator) (_ *databases, stop func(context.Context) error, err error) {
	if !fingerprint.MatchString(m.Fingerprint) {
		return nil, nil, fmt.Errorf("%q is no fingerprint of migrations: it has to match %s", m.Fingerprint, fingerprint)
	}
	server, err := startDatabase(ctx)
	if err != nil {
		return nil, nil, err
	}
	d := &databases{}
	stop = func(ctx context.Context) error {
		if d.pool != nil {
			d.pool.Close()
		}
		return server.stop(ctx)
	}
	if err := d.open(ctx, server.url, m); err != nil {
		return nil, nil, errors.Join(err, stop(context.WithoutCancel(ctx)))
	}
	return d, stop, nil
}

func (d *databases) open(ctx context.Context, address string, m Migrator) error {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return fmt.Errorf("%s: %w", DatabaseVariable, err)
	}
	if d.address, err = url.Parse(address); err != nil || d.address.Scheme == "" {
		return fmt.Errorf("%s has to be a URL", DatabaseVariable)
	}
	config.MaxConns = maxAdminConns
	config.ConnConfig.RuntimeParams["application_name"] = "testenv"
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	// Copying files is twice as fast as logging each page, but takes two
	// checkpoints, which cost nothing only where nothing is synced.
	var copyFiles bool
	if err := d.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int >= 150000
		AND current_setting('fsync') = 'off'`).Scan(&copyFiles); err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	if copyFiles {
		d.strategy = " STRATEGY file_copy"
	}
	d.template = templatePrefix + m.Fingerprint
	if err := d.makeTemplate(ctx, m); err != nil {
		return fmt.Errorf("make the template database: %w", err)
	}
	return d.dropStale(ctx, time.Now())
}

func (d *databases) url(name string) string {
	u := *d.address
	u.Path = "/" + name
	return u.String()
}

func newName(now time.Time) string {
	return testPrefix + strconv.FormatInt(now.Unix(), 10) + "_" + strings.ToLower(rand.Text()[:16])
}

// makeTemplate makes the template once for all processes that use the server.
// It is made under another name, so that a template that is there is complete.
func (d *databases) makeTemplate(ctx context.Context, m Migrator) (err error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
		return err
	}
	unlocking := context.WithoutCancel(ctx)
	defer func() {
		_, errUnlock := conn.Exec(unlocking, "SELECT pg_advisory_unlock($1)", int64(templateLock))
		err = errors.Join(err, errUnlock)
	}()
	var exists bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", d.template).Scan(&exists)
	if err != nil || exists {
		return err
	}
	unfinished := newName(time.Now())
	// A container's cluster may have a locale that knows no letters beyond ASCII.
	var locale string
	err = conn.QueryRow(ctx, `SELECT CASE WHEN current_setting('server_encoding') = 'UTF8' AND 'Éא' ~ '^[[:alpha:]]{2}$'
		THEN '' ELSE $$ ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'$$ END`).Scan(&locale)
	if err != nil {
		return err
	}
	// template1 may have been changed.
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+unfinished+" TEMPLATE template0"+locale); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.drop(unlocking, unfinished))
		}
	}()
	if err := m.Up(ctx, d.url(unfinished)); err != nil {
		return err
	}
	// A database that nobody may connect to can be cloned at any time.
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+unfinished+" WITH ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", unfinished); err != nil {
		return err
	}
	return whenFree(ctx, conn, "ALTER DATABASE "+unfinished+" RENAME TO "+d.template)
}

// clone makes a database from the template and returns its name.
func (d *databases) clone(ctx context.Context) (string, error) {
	name := newName(time.Now())
	if err := whenFree(ctx, d.pool, "CREATE DATABASE "+name+" TEMPLATE "+d.template+d.strategy); err != nil {
		return "", fmt.Errorf("clone the template database: %w", err)
	}
	return name, nil
}

func (d *databases) drop(ctx context.Context, name string) error {
	_, err := d.pool.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	return err
}

type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// whenFree executes a statement that wants a database without connections, and
// does it again while ones that are ending are still there.
func whenFree(ctx context.Context, on executor, statement string) error {
	for {
		_, err := on.Exec(ctx, statement)
		var failed *pgconn.PgError
		if !errors.As(err, &failed) || failed.Code != objectInUse {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// dropStale drops what runs that were killed left on a server that outlives
// them. Templates stay: another branch may be using them.
func (d *databases) dropStale(ctx context.Context, now time.Time) error {
	rows, err := d.pool.Query(ctx, `SELECT datname FROM pg_database WHERE starts_with(datname, $1)`, testPrefix)
	if err != nil {
		return fmt.Errorf("look for stale databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for stale databases: %w", err)
	}
	for _, name := range names {
		made, ok := madeAt(name)
		if !ok || now.Sub(made) < staleAfter {
			continue
		}
		if err := d.drop(ctx, name); err != nil {
			return fmt.Errorf("drop the stale database %s: %w", name, err)
		}
	}
	return nil
}

// madeAt reads the time from the name of a test's database.
func madeAt(name string) (time.Time, bool) {
	rest, found := strings.CutPrefix(name, testPrefix)
	seconds, _, cut := strings.Cut(rest, "_")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if !found || !cut || err != nil || unix < 0 {
		return time.Time{}, false
	}
	return time.Unix(unix, 0), true
}
