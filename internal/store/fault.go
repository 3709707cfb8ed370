package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io/fs"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/fault"
)

// SQLSTATEs that the project tells apart (PostgreSQL documentation, appendix A).
const (
	uniqueViolation     = "23505"
	foreignKeyViolation = "23503"
	serialization       = "40001"
	deadlock            = "40P01"
	queryCanceled       = "57014"
	lockNotAvailable    = "55P03"
	idleInTransaction   = "25P03"
	readOnlyTransaction = "25006" // of a standby, or by setting
	ioError             = "58030"
)

// IsUnique reports whether err is a violation of the named unique index.
func IsUnique(err error, index string) bool { return violates(err, uniqueViolation, index) }

// IsForeignKey reports whether err is a violation of the named foreign key.
func IsForeignKey(err error, constraint string) bool {
	return violates(err, foreignKeyViolation, constraint)
}

func violates(err error, state, constraint string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == state && pg.ConstraintName == constraint
}

// IsNotFound reports whether err says that a query found no row.
func IsNotFound(err error) bool {
	return ent.IsNotFound(err) || errors.Is(err, pgx.ErrNoRows)
}

func isRetryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == serialization || pg.Code == deadlock)
}

// Classify turns errors that say that the database is away or too busy into
// [fault.Unavailable], so that callers try again instead of seeing a 500.
// Others come back as they are.
func Classify(err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	away := fault.New(fault.Unavailable, "database_unavailable", "The service is busy or restarting. Try again in a moment.")
	if errors.Is(err, ErrCommit) {
		return away.Wrap(err)
	}
	// Whatever the server says to a connection that it refuses, it is away for us:
	// asked before the codes of statements, since both carry a PgError.
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return away.Wrap(err)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == queryCanceled, pg.Code == lockNotAvailable, pg.Code == idleInTransaction, pg.Code == readOnlyTransaction,
			pg.Code == ioError, isRetryable(err),
			pg.Code[:2] == "08", pg.Code[:2] == "53", pg.Code[:3] == "57P":
			return away.Wrap(err)
		}
		return err
	}
	// A full disk is not the database, though its error numbers pass for a net.Error.
	var disk *fs.PathError
	if errors.As(err, &disk) {
		return err
	}
	var lost *lostError
	var network net.Error
	if errors.As(err, &lost) || errors.Is(err, driver.ErrBadConn) || errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err) {
		return away.Wrap(err)
	}
	return err
}
