// Package redisconn is the one way in which the program speaks to Redis: with
// short time-outs, and behind a circuit breaker, so that a Redis that is away costs
// a request nothing. Everything that is kept there can be done without.
package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
)

const (
	dialTimeout = 500 * time.Millisecond
	// commandTimeout bounds a round trip. One on a local network takes well below a
	// millisecond; a request that waited longer is better off without.
	commandTimeout = 250 * time.Millisecond
	// poolTimeout bounds the wait for a connection when all are in use.
	poolTimeout = 250 * time.Millisecond
	// failuresToOpen opens the breaker. One failure may be a connection that the
	// server closed while it was idle.
	failuresToOpen = 2
	// openFor is how long Redis is left alone before it is asked again.
	openFor = time.Second
	// monitorInterval is how often it is asked when nobody else does.
	monitorInterval = time.Second
)

// ErrAway is the error of every command while the breaker is open: Redis was not
// asked.
var ErrAway = errors.New("redis is away")

// Conn is the connection to Redis, or to a cluster. It is safe for concurrent use.
type Conn struct {
	redis.UniversalClient

	breaker   *gobreaker.TwoStepCircuitBreaker[struct{}]
	recovered atomic.Int64 // Unix microseconds; 0 for never
}

// Open makes a connection by a URL such as redis://user:password@host:6379/0, or
// rediss:// for TLS; one with ?addr=host:port beside it is a cluster. It does not
// connect yet. The error never shows the URL, which may hold a password.
func Open(url string) (*Conn, error) {
	c := &Conn{}
	c.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: "redis", MaxRequests: 1, Timeout: openFor,
		ReadyToTrip:   func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= failuresToOpen },
		OnStateChange: c.changed,
	})
	var err error
	if c.UniversalClient, err = newClient(url); err != nil {
		return nil, errors.New("PICASPOT_REDIS_URL is malformed")
	}
	c.AddHook(hook{c})
	return c, nil
}

func newClient(url string) (redis.UniversalClient, error) {
	if strings.Contains(url, "addr=") {
		options, err := redis.ParseClusterURL(url)
		if err != nil {
			return nil, fmt.Errorf("redis cluster: %w", err)
		}
		options.DialTimeout, options.ReadTimeout, options.WriteTimeout = dialTimeout, commandTimeout, commandTimeout
		options.PoolTimeout, options.ContextTimeoutEnabled = poolTimeout, true
		options.DialerRetries = 1
		return redis.NewClusterClient(options), nil
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = dialTimeout, commandTimeout, commandTimeout
	options.PoolTimeout, options.ContextTimeoutEnabled = poolTimeout, true
	// One retry, on a fresh connection: a server that was restarted has closed all.
	options.MaxRetries, options.DialerRetries = 1, 1
	return redis.NewClient(options), nil
}

// Away reports whether commands fail at once, because Redis did not answer lately.
func (c *Conn) Away() bool { return c.breaker.State() == gobreaker.StateOpen }

// Recovered returns when Redis last came back after it was away, or the zero time.
// What was written before may miss what happened meanwhile.
func (c *Conn) Recovered() time.Time {
	at := c.recovered.Load()
	if at == 0 {
		return time.Time{}
	}
	return time.UnixMicro(at)
}

// Monitor asks Redis each second until ctx ends, so that an outage is noticed, and
// its end, also when nobody else asks.
func (c *Conn) Monitor(ctx context.Context) {
	tick := time.NewTicker(monitorInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = c.Ping(ctx).Err() // The breaker takes note.
		}
	}
}

func (c *Conn) changed(_ string, from, to gobreaker.State) {
	switch {
	case to == gobreaker.StateOpen && from == gobreaker.StateClosed:
		slog.Warn("redis is away; going on without")
	case to == gobreaker.StateClosed:
		c.recovered.Store(time.Now().UnixMicro())
		slog.Info("redis is back")
	}
}

// hook puts the breaker around each command and each pipeline.
type hook struct{ conn *Conn }

// DialHook implements redis.Hook.
func (hook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		done, err := h.conn.breaker.Allow()
		if err != nil {
			cmd.SetErr(ErrAway)
			return ErrAway
		}
		err = next(ctx, cmd)
		done(verdict(ctx, err))
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		done, err := h.conn.breaker.Allow()
		if err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(ErrAway)
			}
			return ErrAway
		}
		err = next(ctx, cmds)
		done(verdict(ctx, err))
		return err
	}
}

// unable are the replies of a server that can't serve for now.
var unable = []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "OOM", "MISCONF", "TRYAGAIN"}

// verdict tells the breaker what an error says of Redis: nil when it answered, or
// when the caller gave up, which says nothing.
func verdict(ctx context.Context, err error) error {
	var reply redis.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return nil
	case errors.As(err, &reply):
		for _, prefix := range unable {
			if redis.HasErrorPrefix(err, prefix) {
				return err
			}
		}
		return nil
	case ctx.Err() != nil:
		// Its own deadline is long; one that passed here says that Redis was slow.
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return err
		}
		return nil
	default:
		return err
	}
}
