package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/migrate"
	"github.com/picaspot/picaspot/ent/migrate/migrations"
)

// migrationLock is the key of the advisory lock that makes replicas which
// start at the same time migrate one after the other.
const migrationLock = 0x7069636173706f74 // "picaspot"

// Migrate brings the database to the present version: the project's versioned
// SQL, then River's own. It waits while another process migrates, and changes
// nothing when the database is up to date.
func Migrate(ctx context.Context, url string) (err error) {
	// A pool of its own: an index may take longer to build than a request may run.
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := newPrimary(url, config); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer pool.Close()
	lock, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer lock.Release()
	if err := lockMigrations(ctx, lock.Conn()); err != nil {
		return fmt.Errorf("migrate: take the lock: %w", err)
	}
	defer func() {
		_, unlockErr := lock.Exec(context.WithoutCancel(ctx), "-- name: store_unlock_migrations\nSELECT pg_advisory_unlock($1)", int64(migrationLock))
		err = errors.Join(err, unlockErr)
	}()

	if err := checkLocale(ctx, lock.Conn()); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}

	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	river, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return fmt.Errorf("migrate river: %w", err)
	}
	if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate river: %w", err)
	}
	return nil
}

// checkLocale warns of a database in which PostgreSQL takes letters beyond ASCII for
// punctuation: names and searches in most languages would be split in the wrong places.
// The locale of a database can't be changed, so an installation that exists goes on.
func checkLocale(ctx context.Context, conn *pgx.Conn) error {
	var encoding, ctype string
	var knows bool
	err := conn.QueryRow(ctx, `-- name: store_check_locale
SELECT pg_encoding_to_char(encoding), datctype, 'Éא' ~ '^[[:alpha:]]{2}$' FROM pg_database WHERE datname = current_database()`).
		Scan(&encoding, &ctype, &knows)
	if err != nil {
		return fmt.Errorf("look at the locale: %w", err)
	}
	if encoding != "UTF8" || !knows {
		slog.WarnContext(ctx, "the database's locale does not know letters beyond ASCII: searches miss names that have some; "+
			"create the database with ENCODING 'UTF8' and LC_CTYPE 'C.UTF-8'", "encoding", encoding, "lc_ctype", ctype)
	}
	return nil
}

// lockMigrations polls for the lock. A statement that waited for it would hold a
// snapshot, for whose end the CONCURRENTLY of a migration waits: neither would get on.
func lockMigrations(ctx context.Context, conn *pgx.Conn) error {
	for {
		var locked bool
		err := conn.QueryRow(ctx, "-- name: store_lock_migrations\nSELECT pg_try_advisory_lock($1)", int64(migrationLock)).Scan(&locked)
		if err != nil || locked {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// lockPoll is how often a process that waits for a migration asks whether it is done.
const lockPoll = 100 * time.Millisecond

// Fingerprint changes with the migrations; databases made for one are no use
// for another.
func Fingerprint() string {
	digest := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := migrations.FS.ReadFile(path)
		fmt.Fprintf(digest, "%s\x00%s\x00", path, content)
		return err
	})
	if err != nil {
		panic(err) // The files are in the binary.
	}
	return hex.EncodeToString(digest.Sum(nil)[:8])
}

// drifting has one comparison at a time: ent prepares its tables, which are global.
var drifting sync.Mutex

// Drift returns the statements that would bring a migrated database to what
// ent/schema says. It is empty when the migrations and the schema agree.
func Drift(ctx context.Context, db *sql.DB) (string, error) {
	drifting.Lock()
	defer drifting.Unlock()
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db)))
	var statements bytes.Buffer
	err := client.Schema.WriteTo(ctx, &statements, migrate.WithDropColumn(true), migrate.WithDropIndex(true),
		schema.WithDiffHook(keepExpressionIndexes))
	if err != nil {
		return "", fmt.Errorf("compare the database with ent/schema: %w", err)
	}
	return statements.String(), nil
}

// keepExpressionIndexes leaves indexes on expressions to the migrations: ent/schema
// can't say them.
func keepExpressionIndexes(next schema.Differ) schema.Differ {
	return schema.DiffFunc(func(current, desired *atlas.Schema) ([]atlas.Change, error) {
		changes, err := next.Diff(current, desired)
		for _, change := range changes {
			if table, ok := change.(*atlas.ModifyTable); ok {
				table.Changes = slices.DeleteFunc(table.Changes, dropsExpressionIndex)
			}
		}
		return changes, err
	})
}

func dropsExpressionIndex(change atlas.Change) bool {
	drop, ok := change.(*atlas.DropIndex)
	return ok && slices.ContainsFunc(drop.I.Parts, func(part *atlas.IndexPart) bool { return part.X != nil })
}
