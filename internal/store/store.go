// Package store is the database: one pool of connections beneath ent, hand-written
// SQL and River, and the one way to run a transaction on all three.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"

	// The runtime package registers the hooks and interceptors of the schema;
	// without it deletions would be real and changes unrecorded.
	_ "github.com/picaspot/picaspot/ent/runtime"
)

// Store is the database. Pool serves hand-written SQL, Ent reads; writes go
// through [Store.InTx].
type Store struct {
	Pool *pgxpool.Pool
	Ent  *ent.Client

	db        *sql.DB
	insert    *river.Client[*sql.Tx]
	tracer    *tracer
	announcer Announcer
}

// Announcer is told what transactions change that others keep copies of.
type Announcer interface {
	// Committing is called before the commit of a transaction that touched words
	// (migration 00007 says which there are); the function that it returns is called
	// once the transaction has ended, committed or not.
	Committing(ctx context.Context, words []string) (ended func(context.Context))
}

// AnnounceTo has an announcer told of each change from now on.
func (s *Store) AnnounceTo(a Announcer) { s.announcer = a }

// Open connects to PostgreSQL at a postgres:// URL.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	tracer := newTracer(opts)
	config, primary, err := poolConfig(url, opts, tracer)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	primary.pool.Store(pool)
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	insert, err := river.NewClient(riverdatabasesql.New(db), &river.Config{Logger: slog.Default()})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("job inserter: %w", err)
	}
	return &Store{
		Pool: pool, Ent: ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db))), db: db, insert: insert, tracer: tracer,
	}, nil
}

// Close ends all connections.
func (s *Store) Close() {
	_ = s.db.Close() // It has no connections of its own.
	s.Pool.Close()
}

// Tx is one transaction, seen by ent, by SQL and by River.
type Tx struct {
	*ent.Client
	tx     *sql.Tx
	insert *river.Client[*sql.Tx]
	after  []func(context.Context)
}

// Enqueue adds a job that starts once the transaction commits, and never if it does not.
func (t *Tx) Enqueue(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) error {
	if _, err := t.insert.InsertTx(ctx, t.tx, args, opts); err != nil {
		return fmt.Errorf("enqueue %s: %w", args.Kind(), err)
	}
	return nil
}

// EnqueueMany adds jobs as [Tx.Enqueue] does, in one statement.
func (t *Tx) EnqueueMany(ctx context.Context, jobs []river.InsertManyParams) error {
	if _, err := t.insert.InsertManyFastTx(ctx, t.tx, jobs); err != nil {
		return fmt.Errorf("enqueue jobs: %w", err)
	}
	return nil
}

// AfterCommit runs fn once the transaction has committed, or may have ([ErrCommit]): fn
// tells others to look again, or is right in either case for another reason.
func (t *Tx) AfterCommit(fn func(context.Context)) { t.after = append(t.after, fn) }

// txDriver keeps ent, which wants a transaction for most changes, inside of ours.
type txDriver struct{ *entsql.Driver }

func (d txDriver) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(d), nil }

// maxTries bounds how often a transaction is run that PostgreSQL ended for the
// sake of another one (deadlock, serialisation failure).
const maxTries = 3

// ErrCommit is part of the error of a commit whose outcome is unknown: the connection was
// lost before the answer. What the transaction refers to has to stay.
var ErrCommit = errors.New("the outcome of the commit is unknown")

// InTx runs fn in a transaction: committed when fn returns nil, rolled back
// when it returns an error or panics. A transaction that lost to another one is
// run again, so fn has no effects outside of it but through [Tx.AfterCommit]. In a
// context of [Hold] it does not commit: that is up to who holds it.
func (s *Store) InTx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	for try := 1; ; try++ {
		err := s.inTx(ctx, fn)
		if err == nil || try == maxTries || !isRetryable(err) || ctx.Err() != nil {
			return err
		}
	}
}

func (s *Store) inTx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	held := heldFrom(ctx)
	if held != nil && held.Began() {
		return held.goOn(ctx, fn)
	}
	sqlTx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	driver := txDriver{entsql.NewDriver(dialect.Postgres, entsql.Conn{ExecQuerier: sqlTx})}
	tx := &Tx{Client: ent.NewClient(ent.Driver(driver)), tx: sqlTx, insert: s.insert}
	kept := false
	defer func() {
		if !kept {
			// The only news this could bring is that the connection is gone, and with it the
			// transaction, or that it was committed.
			_ = sqlTx.Rollback()
		}
	}()
	if err := fn(mixin.InTx(ctx), tx); err != nil {
		return err
	}
	if held != nil {
		held.store, held.tx, kept = s, tx, true
		return nil
	}
	return s.commit(ctx, tx)
}

func (s *Store) commit(ctx context.Context, tx *Tx) error {
	ended, err := s.announce(ctx, tx.tx)
	if err != nil {
		return err
	}
	err = tx.tx.Commit()
	ended(context.WithoutCancel(ctx))
	if isRolledBack(err) {
		return fmt.Errorf("commit: %w", err)
	}
	for _, fn := range tx.after {
		fn(context.WithoutCancel(ctx))
	}
	if err != nil {
		return errors.Join(ErrCommit, err, ctx.Err())
	}
	return nil
}

// isRolledBack reports whether the error of a commit proves that nothing was committed:
// the server said so, or the context had ended before the commit was sent. A server that
// ends the connection (severity FATAL) proves nothing.
func isRolledBack(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.SeverityUnlocalized == "ERROR"
	}
	return errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, sql.ErrTxDone)
}

// announce tells the announcer what a transaction has touched.
func (s *Store) announce(ctx context.Context, tx *sql.Tx) (ended func(context.Context), err error) {
	nobody := func(context.Context) {}
	if s.announcer == nil {
		return nobody, nil
	}
	var touched sql.NullString
	if err := tx.QueryRowContext(ctx, "-- name: store_touched\nSELECT current_setting('picaspot.touched', true)").Scan(&touched); err != nil {
		return nil, fmt.Errorf("what the transaction touched: %w", err)
	}
	words := strings.Fields(touched.String)
	if len(words) == 0 {
		return nobody, nil
	}
	slices.Sort(words)
	return s.announcer.Committing(ctx, slices.Compact(words)), nil
}
