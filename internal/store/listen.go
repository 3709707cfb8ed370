package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
)

// listenRetryInterval is how long to wait before another connection is tried.
const listenRetryInterval = 500 * time.Millisecond

// Listener receives what other processes announce with pg_notify. Notifications may be
// lost, and a pooler of transactions does not pass them on, so a listener polls as well.
type Listener struct {
	Channel string
	// Interval is how often to poll, whatever is announced.
	Interval time.Duration
	// Notified is called with the payload of each notification.
	Notified func(ctx context.Context, payload string)
	// Poll is called where a notification may have been missed: at the start, each
	// Interval, and when the connection is lost.
	Poll func(ctx context.Context)
}

// Run listens on a connection of its own, and on another one when that breaks, until
// ctx ends.
func (l Listener) Run(ctx context.Context, config *pgx.ConnConfig) {
	for ctx.Err() == nil {
		err := l.listen(ctx, config)
		if ctx.Err() != nil {
			return
		}
		slog.DebugContext(ctx, "not listening, polling instead", "channel", l.Channel, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenRetryInterval):
			l.Poll(ctx)
		}
	}
}

// listen receives notifications until the connection breaks.
func (l Listener) listen(ctx context.Context, config *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // It may be broken.
	for connected := true; ; connected = false {
		// A server that has become a standby announces nothing any more. A connection
		// that was just made has been asked.
		if validate := config.ValidateConnect; validate != nil && !connected {
			if err := validate(ctx, conn.PgConn()); err != nil {
				return fmt.Errorf("listen: %w", err)
			}
		}
		// A repeated LISTEN changes nothing; pg_stat_activity then shows what the
		// connection is for.
		if _, err := conn.Exec(ctx, "LISTEN "+l.Channel); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		l.Poll(ctx)
		for next := time.Now().Add(l.Interval); time.Now().Before(next); {
			wait, cancel := context.WithDeadline(ctx, next)
			notification, err := conn.WaitForNotification(wait)
			cancel()
			if err == nil {
				l.Notified(ctx, notification.Payload)
				continue
			}
			var timeout net.Error
			nothing := errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
			if ctx.Err() != nil || conn.IsClosed() || !nothing {
				return fmt.Errorf("listen: %w", err)
			}
		}
	}
}
