package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// checkInterval is how long a connection may be used, or lie idle, until the pool asks
// its server again whether it takes writes.
const checkInterval = time.Second

// primary keeps a pool on the server that takes writes. After a failover some of the
// pool's connections may lead to a server that has become a standby, or was made
// read-only: it answers reads, from a state that is not kept current.
type primary struct {
	// validate asks a connection's server; nil when the operator has said that any
	// server will do.
	validate pgconn.ValidateConnectFunc
	pool     atomic.Pointer[pgxpool.Pool]
}

// checkedKey is where a connection keeps the time of its last check.
const checkedKey = "picaspot.checked"

// newPrimary has a pool connect to a server that takes writes, unless its URL or
// PGTARGETSESSIONATTRS has a target_session_attrs (libpq's parameter), and leave one that
// does not any more.
func newPrimary(address string, config *pgxpool.Config) (*primary, error) {
	target, err := targetSessionAttrs(address)
	if err != nil {
		return nil, err
	}
	p := &primary{}
	switch target {
	case "":
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
		p.validate = config.ConnConfig.ValidateConnect
	case "read-write", "primary":
		p.validate = config.ConnConfig.ValidateConnect
	}
	closeOnFatal := config.ConnConfig.OnPgError
	config.ConnConfig.OnPgError = func(conn *pgconn.PgConn, failed *pgconn.PgError) bool {
		if failed.Code == readOnlyTransaction {
			p.leave()
			return false // Which closes this connection.
		}
		return closeOnFatal(conn, failed)
	}
	if p.validate == nil {
		return p, nil
	}
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.PgConn().CustomData()[checkedKey] = time.Now()
		return nil
	}
	// The check stands in for the pool's ping, which shows no more than that a server is there.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		return p.check(ctx, conn.PgConn()), nil
	}
	return p, nil
}

// targetSessionAttrs returns what the operator has said, or nothing.
func targetSessionAttrs(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("the database URL is malformed") // The parser's error may show the password.
	}
	if target := u.Query().Get("target_session_attrs"); target != "" {
		return target, nil
	}
	return os.Getenv("PGTARGETSESSIONATTRS"), nil
}

// check reports whether a connection of the pool can be used. A request that is
// cancelled meanwhile does not cost the connection.
func (p *primary) check(ctx context.Context, conn *pgconn.PgConn) bool {
	checked, _ := conn.CustomData()[checkedKey].(time.Time)
	if time.Since(checked) < checkInterval {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
	defer cancel()
	if err := p.validate(ctx, conn); err != nil {
		if !conn.IsClosed() {
			p.leave()
		}
		return false
	}
	conn.CustomData()[checkedKey] = time.Now()
	return true
}

// leave closes the pool's connections, those in use when they are released: what holds
// for one of them holds for the others.
func (p *primary) leave() {
	if pool := p.pool.Load(); pool != nil {
		pool.Reset()
	}
}

// CheckWritable returns an error unless the database takes writes.
func (s *Store) CheckWritable(ctx context.Context) error {
	var readOnly string
	err := s.Pool.QueryRow(ctx, "-- name: store_check_writable\nSELECT current_setting('transaction_read_only')").Scan(&readOnly)
	if err != nil {
		return fmt.Errorf("ask whether the database takes writes: %w", err)
	}
	if readOnly != "off" {
		return errors.New("the database takes no writes: it is a standby, or default_transaction_read_only is on")
	}
	return nil
}
