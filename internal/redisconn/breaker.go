package redisconn

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
)

const (
	// tripAfter is how many failures in a row mean that Redis is away: one may be
	// a connection that was cut.
	tripAfter = 2
	// noticed is how long Redis has to be away until each process with a monitor has
	// noticed it.
	noticed = monitorInterval + dialTimeout + ioTimeout
	// openFor is a little less than a monitor's interval, so that its next ping
	// is not refused.
	openFor = 900 * time.Millisecond
)

// ErrAway is the error of each command while Redis is away.
var ErrAway = errors.New("redis is away")

// failures are the replies with which a server says that it can't serve anybody.
var failures = []string{
	"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "OOM", "MISCONF",
	"NOAUTH", "WRONGPASS", "ERR max number of clients",
}

// refusals are those of a server that answers reads and refuses writes. It counts as away
// at once: changes that are made meanwhile can't be announced to other processes.
var refusals = []string{"READONLY", "NOREPLICAS", "OOM", "MISCONF"}

// probeKey marks the context of a monitor's ping.
type probeKey struct{}

// breaker is a circuit breaker (M. Nygard, Release It!, 2nd ed. 2018, section
// 5.2) around a client's commands, as a hook.
type breaker struct {
	circuit   *gobreaker.CircuitBreaker[struct{}]
	monitors  atomic.Int32
	away      atomic.Bool
	recovered atomic.Pointer[time.Time]
	cause     atomic.Pointer[error]     // the last failure
	since     atomic.Pointer[time.Time] // when it opened
}

var _ redis.Hook = (*breaker)(nil)

func newBreaker() *breaker {
	b := &breaker{}
	b.circuit = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:          "redis",
		Timeout:       openFor,
		ReadyToTrip:   func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= tripAfter || b.refused() },
		OnStateChange: b.changed,
		IsExcluded:    func(err error) bool { return errors.Is(err, errNoVerdict) },
	})
	return b
}

// changed is called with the circuit's lock held, so that the log tells the
// changes in their order. Trying again and failing again is no change.
func (b *breaker) changed(_ string, from, to gobreaker.State) {
	now := time.Now()
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		b.since.Store(&now)
		b.away.Store(true)
		slog.Warn("redis away", "error", *b.cause.Load())
	case to == gobreaker.StateClosed:
		b.recovered.Store(&now)
		b.away.Store(false)
		slog.Info("redis back", "after", now.Sub(*b.since.Load()))
	}
}

// refused reports whether the last failure was a refused write.
func (b *breaker) refused() bool {
	var reply redis.Error
	cause := b.cause.Load()
	return cause != nil && errors.As(*cause, &reply) && begins(reply, refusals)
}

func begins(reply redis.Error, prefixes []string) bool {
	text := reply.Error()
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(text, prefix) })
}

// awayFor returns for how long Redis has been away; zero if it is not.
func (b *breaker) awayFor() time.Duration {
	if since := b.since.Load(); since != nil && b.away.Load() {
		return time.Since(*since)
	}
	return 0
}

// do runs a command or a pipeline unless Redis is away. The error is
// [ErrAway] when it did not run.
func (b *breaker) do(ctx context.Context, run func() (failure, err error)) error {
	if b.away.Load() && b.monitors.Load() > 0 && ctx.Value(probeKey{}) == nil {
		return ErrAway
	}
	var err error
	ran := false
	_, _ = b.circuit.Execute(func() (struct{}, error) {
		ran = true
		var failure error
		failure, err = run()
		failure = verdict(ctx, failure)
		if failure != nil && !errors.Is(failure, errNoVerdict) {
			b.cause.Store(&failure)
		}
		return struct{}{}, failure
	})
	if !ran {
		return ErrAway
	}
	return err
}

// errNoVerdict stands for an outcome that says nothing about Redis.
var errNoVerdict = errors.New("no verdict")

// verdict returns what an error says about Redis: nil if it answered, whatever
// it answered, [errNoVerdict] if it may or may not be well, or the failure.
func verdict(ctx context.Context, err error) error {
	switch answered, failed := classify(err); {
	case failed:
		return err
	case answered:
		return nil
	case ended(ctx):
		return errNoVerdict
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrClosed):
		// Ours and not the server's: whoever holds the connections will tell.
		return errNoVerdict
	default:
		return err
	}
}

// classify reports whether an error, or none, is a reply of the server, and
// whether it is one of a server that can't serve.
func classify(err error) (answered, failed bool) {
	if err == nil || err == redis.Nil { //nolint:errorlint // The case of nearly every command must not allocate.
		return true, false
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return false, false
	}
	return true, begins(reply, failures)
}

// ended reports whether it was the caller who stopped waiting. The connection's
// own deadline is taken from the context and may fire before the context's.
func ended(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// handshake reports whether a command is one of those that the client sends
// when it connects. They pass through the hooks too, within the command that
// needs the connection, and must not take its place in a half-open breaker.
func handshake(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "hello", "auth", "select", "client", "readonly", "info":
		return true
	}
	return false
}

// DialHook implements [redis.Hook].
func (b *breaker) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements [redis.Hook].
func (b *breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if handshake(cmd) {
			return next(ctx, cmd)
		}
		err := b.do(ctx, func() (failure, err error) {
			err = next(ctx, cmd)
			return err, err
		})
		if errors.Is(err, ErrAway) {
			cmd.SetErr(err)
		}
		return err
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (b *breaker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) == 0 || handshake(cmds[0]) {
			return next(ctx, cmds)
		}
		err := b.do(ctx, func() (failure, err error) {
			err = next(ctx, cmds)
			return worst(cmds, err), err
		})
		if errors.Is(err, ErrAway) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

// worst returns of a pipeline's errors one that says that Redis failed, if there
// is one: the first may be a mere redis.Nil.
func worst(cmds []redis.Cmder, err error) error {
	if err == nil {
		return nil
	}
	for _, cmd := range cmds {
		if answered, failed := classify(cmd.Err()); failed || !answered {
			return cmd.Err()
		}
	}
	return err
}
