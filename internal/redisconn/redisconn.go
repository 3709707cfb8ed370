// Package redisconn is the one way in which the program speaks to Redis. What
// is kept there may be lost at any time, and the program works without it; so a
// command waits for little, and while Redis is away a circuit breaker fails it
// at once, without touching the network.
package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/picaspot/picaspot/internal/batch"
)

// What holds unless the URL says otherwise. Redis answers within a millisecond;
// after a quarter of a second a request is better off without it.
const (
	dialTimeout = 500 * time.Millisecond
	ioTimeout   = 250 * time.Millisecond
	// maxRedirects is also how often a cluster's client tries again after a
	// failure. A slot that is being moved takes two.
	maxRedirects = 2
	maxBackoff   = 20 * time.Millisecond
	// connsPerCore: a connection carries some ten thousand commands a second, so
	// these are for requests that meet by chance, not for throughput.
	connsPerCore    = 8
	minConns        = 16
	connMaxIdleTime = 5 * time.Minute
	defaultPort     = "6379"
)

const (
	// monitorInterval is how often [Conn.Monitor] looks.
	monitorInterval = time.Second
	// announceInterval is how long [Conn.Announce] waits between two tries.
	announceInterval = 20 * time.Millisecond
)

var errURL = errors.New("PICASPOT_REDIS_URL is malformed")

// Conn is a client of one Redis server or of a cluster, behind a circuit
// breaker. While [Conn.Away], each command and pipeline fails at once with
// [ErrAway]. Nothing is tried twice, so that a command that timed out has had
// its effect once at most; only a cluster's client, which has to follow slots
// that move, may repeat one. It is safe for concurrent use.
type Conn struct {
	redis.UniversalClient
	breaker *breaker
	starts  *starts
	batcher *batch.Joint[*questions]
	journal journal
}

// Open returns a connection to the Redis at a URL in go-redis's form,
// redis://user:password@host:6379/0 or rediss:// for TLS, with that library's
// options as parameters. Several addresses, as redis://a:6379,b:6379 or
// redis://a:6379?addr=b:6379, or ?cluster=true make it the client of a cluster.
// It dials with the first command, not here. The error does not show the URL, which may hold a password.
func Open(address string) (*Conn, error) {
	starts := &starts{}
	client, err := open(address, starts)
	if err != nil {
		return nil, err
	}
	quieten()
	c := &Conn{UniversalClient: client, breaker: newBreaker(), starts: starts, journal: journal{seed: maphash.MakeSeed()}}
	c.batcher = c.newBatcher()
	client.AddHook(c.breaker)
	return c, nil
}

func open(address string, starts *starts) (redis.UniversalClient, error) {
	address, others := cutHosts(address)
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" {
		return nil, errURL
	}
	query := u.Query()
	cluster := query.Get("cluster")
	query.Del("cluster")
	if !slices.Contains([]string{"", "true", "false"}, cluster) || len(others) > 0 && u.Hostname() == "" {
		return nil, errURL
	}
	if len(others) == 0 && cluster != "true" && !query.Has("addr") {
		u.RawQuery = query.Encode()
		options, err := redis.ParseURL(u.String())
		if err != nil {
			return nil, errURL
		}
		options = tuned(options)
		options.OnConnect = starts.note
		return redis.NewClient(options), nil
	}
	if path := strings.Trim(u.Path, "/"); path != "" && path != "0" || cluster == "false" {
		return nil, errURL // A cluster has one database.
	}
	for _, host := range others {
		other, err := url.Parse("//" + host)
		if err != nil || other.Hostname() == "" {
			return nil, errURL
		}
		query.Add("addr", net.JoinHostPort(other.Hostname(), cmp.Or(other.Port(), defaultPort)))
	}
	u.RawQuery = query.Encode()
	options, err := redis.ParseClusterURL(u.String())
	if err != nil {
		return nil, errURL
	}
	options = tunedCluster(options)
	options.OnConnect = starts.note
	return redis.NewClusterClient(options), nil
}

// cutHosts leaves the first of a URL's hosts in it and returns the others apart:
// a list is not a URL's host, and package url takes it for one now and then only.
func cutHosts(address string) (one string, others []string) {
	scheme, rest, _ := strings.Cut(address, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	start := strings.LastIndex(rest[:end], "@") + 1
	hosts := strings.Split(rest[start:end], ",")
	if len(hosts) == 1 {
		return address, nil
	}
	return scheme + "://" + rest[:start] + hosts[0] + rest[end:], hosts[1:]
}

func poolSize() int { return max(minConns, connsPerCore*runtime.GOMAXPROCS(0)) }

func tuned(o *redis.Options) *redis.Options {
	o.DialTimeout = cmp.Or(o.DialTimeout, dialTimeout)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, ioTimeout)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, ioTimeout)
	o.PoolTimeout = cmp.Or(o.PoolTimeout, ioTimeout)
	o.PoolSize = cmp.Or(o.PoolSize, poolSize())
	o.ConnMaxIdleTime = cmp.Or(o.ConnMaxIdleTime, connMaxIdleTime)
	o.MaxRetries = cmp.Or(o.MaxRetries, -1)
	o.DialerRetries = 1
	o.ContextTimeoutEnabled = true
	// Pipelines here are of a few commands: they need no pool with large buffers.
	o.PipelinePoolSize = cmp.Or(o.PipelinePoolSize, -1)
	// Both cost round trips for each connection, for what nobody looks at.
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o
}

func tunedCluster(o *redis.ClusterOptions) *redis.ClusterOptions {
	o.DialTimeout = cmp.Or(o.DialTimeout, dialTimeout)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, ioTimeout)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, ioTimeout)
	o.PoolTimeout = cmp.Or(o.PoolTimeout, ioTimeout)
	o.PoolSize = cmp.Or(o.PoolSize, poolSize())
	o.ConnMaxIdleTime = cmp.Or(o.ConnMaxIdleTime, connMaxIdleTime)
	o.MaxRetries = cmp.Or(o.MaxRetries, -1)
	o.MaxRedirects = cmp.Or(o.MaxRedirects, maxRedirects)
	o.MaxRetryBackoff = cmp.Or(o.MaxRetryBackoff, maxBackoff)
	o.DialerRetries = cmp.Or(o.DialerRetries, 1)
	o.ContextTimeoutEnabled = true
	o.PipelinePoolSize = cmp.Or(o.PipelinePoolSize, -1)
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o
}

// Away reports whether Redis has failed and not answered since.
func (c *Conn) Away() bool { return c.breaker.away.Load() }

// Recovered returns when Redis last answered again after it had been away; zero
// if it never was. What a cache wrote before then may have missed an
// invalidation and is not to be trusted. A command that failed by itself, too
// few for Redis to count as away, does not change it: whoever invalidates
// handles the error.
func (c *Conn) Recovered() time.Time {
	if at := c.breaker.recovered.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// StartedAt returns when the server started by its own clock, give or take a second;
// of several, when the last one did; zero if none has told. A server that starts with
// what it had written to disk has lost the last changes before. It is known by the
// time that a command on the first connection since then runs.
func (c *Conn) StartedAt() time.Time { return c.starts.last() }

// Check returns an error unless Redis takes writes.
func (c *Conn) Check(ctx context.Context) error { return c.IncrBy(ctx, journalNumber, 0).Err() }

// Announce calls announce, which tells other processes of a change, until it succeeds.
// It gives up with the last error once Redis has been away for so long that each process
// has noticed that by its monitor, and relies on nothing that Redis told it before. So a
// change that is acknowledged after that is seen everywhere, however short the outage
// was. An error that Redis answers and that is none of an outage is returned at once.
func (c *Conn) Announce(ctx context.Context, announce func(context.Context) error) error {
	for begun := time.Now(); ; {
		err := announce(ctx)
		answered, failed := classify(err)
		if err == nil || answered && !failed || errors.Is(err, redis.ErrClosed) ||
			c.breaker.awayFor() >= noticed || time.Since(begun) >= 2*noticed {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(announceInterval):
		}
	}
}

// Monitor checks every second until ctx ends, so that an outage and a recovery
// are noticed without traffic. As long as it runs, nothing but its checks tries
// whether Redis is back: an outage costs no request more than the first few.
// Each change of state is logged once, with or without it.
func (c *Conn) Monitor(ctx context.Context) {
	c.breaker.monitors.Add(1)
	defer c.breaker.monitors.Add(-1)
	ticker := time.NewTicker(monitorInterval)
	defer ticker.Stop()
	probe := context.WithValue(ctx, probeKey{}, true)
	for {
		_ = c.Check(probe) // The breaker sees and logs how it went.
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// debugLog takes what the library has to say, which during an outage is a line
// for each connection that it tries.
type debugLog struct{}

func (debugLog) Printf(ctx context.Context, format string, v ...any) {
	slog.DebugContext(ctx, "redis client", "message", fmt.Sprintf(format, v...))
}

var quieten = sync.OnceFunc(func() { redis.SetLogger(debugLog{}) })
