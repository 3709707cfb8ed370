package store

import (
	"context"
	"errors"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// lostError is the error of a connection to the database that broke. It tells one from
// the same error of another connection, such as "unexpected EOF" of a client's upload.
type lostError struct{ cause error }

func (e *lostError) Error() string {
	return "the connection to the database was lost: " + e.cause.Error()
}
func (e *lostError) Unwrap() error { return e.cause }

// markLost has the errors of a pool's connections be [lostError]s.
func markLost(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &marked{Conn: conn}, nil
	}
}

type marked struct{ net.Conn }

func (c *marked) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, lost(err)
}

func (c *marked) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, lost(err)
}

// lost leaves timeouts as they are: the driver sets deadlines, and looks for them.
func lost(err error) error {
	var network net.Error
	if err == nil || errors.As(err, &network) && network.Timeout() {
		return err
	}
	return &lostError{err}
}

var _ net.Conn = (*marked)(nil)
