// Package notify waits for what other processes announce in the database with
// pg_notify. Notifications may be lost, and do not pass through a pooler of
// transactions: whoever waits for them looks now and then as well.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
)

// retryInterval is how long to wait before another connection is tried.
const retryInterval = 500 * time.Millisecond

// Watch is what is waited for.
type Watch struct {
	Channel string
	// Interval is how often to look, whatever is announced.
	Interval time.Duration
	// Told is called with each announcement.
	Told func(ctx context.Context, payload string)
	// Look is called where something may have been missed: at the start, each Interval,
	// and when the connection is lost.
	Look func(ctx context.Context)
}

// Run waits on a connection of its own, and on another one when that breaks, until
// ctx ends.
func (w Watch) Run(ctx context.Context, config *pgx.ConnConfig) {
	for ctx.Err() == nil {
		err := w.listen(ctx, config)
		if ctx.Err() != nil {
			return
		}
		slog.DebugContext(ctx, "not listening, looking instead", "channel", w.Channel, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryInterval):
			w.Look(ctx)
		}
	}
}

// listen waits until the connection breaks.
func (w Watch) listen(ctx context.Context, config *pgx.ConnConfig) error {
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
		// Said again it changes nothing; pg_stat_activity then tells what the
		// connection is for.
		if _, err := conn.Exec(ctx, "LISTEN "+w.Channel); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		w.Look(ctx)
		for next := time.Now().Add(w.Interval); time.Now().Before(next); {
			wait, cancel := context.WithDeadline(ctx, next)
			news, err := conn.WaitForNotification(wait)
			cancel()
			if err == nil {
				w.Told(ctx, news.Payload)
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
