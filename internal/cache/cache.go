// Package cache keeps copies of what the database says, in the process and in
// Redis, such that a read that begins after a write was acknowledged never sees
// what was before it, on any replica.
//
// How: everything that there are copies of has a word, as "l<id>" for a landmark,
// and each word has a generation in Redis, a token that is never used twice. A
// copy is good for the generations that were read before the database was asked,
// if they are the same afterwards, and no others. Whoever commits a change gives each word that it touches (the
// database gathers them) a new generation before the commit and again after it;
// between the two the word is unsettled, and nothing is kept. So what was read
// before the commit belongs to a generation that nobody asks for any more. Generations
// that a process has asked for it knows until the journal of package redisconn tells
// that they have changed.
//
// A process that dies between the two leaves the word unsettled for [guard], by
// when its transaction has ended, one way or the other. Generations that Redis
// loses are made anew; those from before its last start, which it may have brought
// back, and from before the end of an outage, in which it may have missed a change,
// do not count, nor do those of the first seconds after. What
// remains: if one replica alone can't reach Redis, the others may believe their
// copies until it can. Without Redis the database answers.
package cache

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"

	"github.com/picaspot/picaspot/internal/redisconn"
)

const (
	// ttl is how long a generation and the copies of it last, give or take jitter.
	ttl    = 30 * time.Minute
	jitter = 5 * time.Minute
	// knownWords is of how many words a process knows the generations, and knownTTL
	// for how long without asking again.
	knownWords = 1 << 15
	knownTTL   = time.Minute
	// guard is how long a word stays unsettled for a transaction that does not say
	// how it ended. It commits within that time, or its process has died.
	guard = 10 * time.Second
	// grace is how long after Redis is back some process may not know that yet, and
	// acknowledge changes that it has not announced.
	grace = 5 * time.Second
	// insistInterval is how often an announcement is tried after a change was
	// acknowledged without one.
	insistInterval = time.Second
	// loadTimeout bounds a query that several requests wait for.
	loadTimeout = 20 * time.Second
)

// everything is the word that stands for all others: the database names it when a
// transaction touches more than it can list.
const everything = "*"

// Cache keeps copies. It may be used concurrently; the zero of a pointer keeps nothing.
type Cache struct {
	redis   *redisconn.Conn
	version string
	cluster bool
	local   *otter.Cache[localKey, entry]
	known   *otter.Cache[string, known]
	flights flights
	doors   *doorkeeper
	metrics *metrics

	// recovered is the last recovery of the connection that was looked into, and
	// recoveredAt when it counts from, by the clock of Redis.
	recovering             sync.Mutex
	recovered, recoveredAt time.Time
}

// localKey names a copy in the process.
type localKey struct{ kind, key string }

// entryBytes is about what a copy takes besides its value.
const entryBytes = 256

// entry is a copy in the process.
type entry struct {
	generation string
	value      any
	bytes      int
	at         time.Time
}

// New makes a cache that keeps at most as many bytes of copies in the process. Copies
// in Redis are shared by processes of the same version only: another one may write
// the same row in another way.
func New(conn *redisconn.Conn, version string, memory int) (*Cache, error) {
	local, err := otter.New(&otter.Options[localKey, entry]{
		MaximumWeight:    uint64(max(memory, 1)),
		Weigher:          func(_ localKey, e entry) uint32 { return uint32(e.bytes + entryBytes) }, //nolint:gosec // Bounded by what one query returns.
		ExpiryCalculator: otter.ExpiryWriting[localKey, entry](ttl),
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	generations, err := otter.New(&otter.Options[string, known]{
		MaximumSize:      knownWords,
		ExpiryCalculator: otter.ExpiryWriting[string, known](knownTTL),
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	_, cluster := conn.UniversalClient.(*redis.ClusterClient)
	return &Cache{redis: conn, version: version, cluster: cluster, local: local, known: generations, doors: newDoorkeeper(), metrics: newMetrics()}, nil
}

// Close ends what the cache runs in the background.
func (c *Cache) Close() {
	c.local.StopAllGoroutines()
	c.known.StopAllGoroutines()
}

// A generation is a token, and for each transaction that is about to commit a
// space, its id, a colon and until when it is waited for:
//
//	<microseconds since 1970 in hexadecimal>-<random> <id>:<microseconds> …
//
// unsettled tells the second kind.
func unsettled(generation string) bool {
	return generation == "" || strings.IndexByte(generation, ' ') >= 0
}

// madeAt is when a generation was made, in microseconds of the clock of Redis; -1 for
// one that can't be read.
func madeAt(generation string) int64 {
	stamp, _, ok := strings.Cut(generation, "-")
	at, err := strconv.ParseInt(stamp, 16, 64)
	if !ok || err != nil {
		return -1
	}
	return at
}

// changeScript gives a word a new generation. Transactions that it waited for and
// are late are forgotten, as is ARGV[2]; when ARGV[3] is more than 0 it is waited
// for, for as many microseconds.
var changeScript = redis.NewScript(`
local now = redis.call('TIME')
local at = now[1] * 1000000 + now[2]
local waiting = ''
for id, till in string.gmatch(redis.call('GET', KEYS[1]) or '', ' (%w+):(%d+)') do
  if id ~= ARGV[2] and tonumber(till) > at then waiting = waiting .. ' ' .. id .. ':' .. till end
end
if tonumber(ARGV[3]) > 0 then
  waiting = waiting .. ' ' .. ARGV[2] .. ':' .. string.format('%.0f', at + ARGV[3])
end
redis.call('SET', KEYS[1], string.format('%x', at) .. '-' .. ARGV[1] .. waiting, 'PX', ARGV[4])
return 1`)

// settleScript returns a word's generation. It makes one if there is none, if the
// one that is there was made before ARGV[2], or if nobody is waited for any more.
var settleScript = redis.NewScript(`
local now = redis.call('TIME')
local at = now[1] * 1000000 + now[2]
local kept = redis.call('GET', KEYS[1])
if kept then
  local made = tonumber(string.match(kept, '^(%x+)%-') or '0', 16)
  local waits, late = '', false
  for id, till in string.gmatch(kept, ' (%w+):(%d+)') do
    if tonumber(till) > at then waits = waits .. ' ' .. id .. ':' .. till else late = true end
  end
  if made >= tonumber(ARGV[2]) and not late then return kept end
  kept = string.format('%x', at) .. '-' .. ARGV[1] .. waits
else
  kept = string.format('%x', at) .. '-' .. ARGV[1]
end
redis.call('SET', KEYS[1], kept, 'PX', ARGV[3])
return kept`)

func generationKey(word string) string { return "generation:" + word }

func random() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // It never fails.
	return hex.EncodeToString(id[:])
}

func life() time.Duration {
	return ttl + mathrand.N(jitter) //nolint:gosec // Jitter is no secret.
}

// Committing tells that a transaction which touched words is about to commit. The
// function that it returns has to be called when it has ended, committed or not.
func (c *Cache) Committing(ctx context.Context, words []string) (ended func(context.Context)) {
	id := random()
	if err := c.change(ctx, words, id, guard); err != nil {
		slog.WarnContext(ctx, "change not announced yet", "error", err)
	}
	return func(ctx context.Context) {
		if err := c.redis.Announce(ctx, func(ctx context.Context) error { return c.change(ctx, words, id, 0) }); err != nil {
			go c.insist(context.WithoutCancel(ctx), words, id)
		}
	}
}

func (c *Cache) change(ctx context.Context, words []string, id string, wait time.Duration) error {
	if err := c.run(ctx, words, id, wait); !redis.HasErrorPrefix(err, "NOSCRIPT") {
		return err
	}
	// The scripts are not known yet.
	if err := errors.Join(changeScript.Load(ctx, c.redis).Err(), c.redis.Note(ctx, words...)); err != nil {
		return err
	}
	return c.run(ctx, words, id, wait)
}

// run changes the generations of words, and notes it behind that.
func (c *Cache) run(ctx context.Context, words []string, id string, wait time.Duration) error {
	_, err := c.redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, word := range words {
			changeScript.EvalSha(ctx, pipe, []string{generationKey(word)}, random(), id, wait.Microseconds(), life().Milliseconds())
		}
		if !c.cluster {
			c.redis.QueueNote(ctx, pipe, words...)
		}
		return nil
	})
	if err == nil && c.cluster {
		err = c.redis.Note(ctx, words...)
	}
	return err
}

// insist announces a change once Redis is back. It gives up when no copy from
// before the change can be left, and when the connection is closed.
func (c *Cache) insist(ctx context.Context, words []string, id string) {
	ctx, cancel := context.WithTimeout(ctx, ttl+jitter+knownTTL)
	defer cancel()
	tick := time.NewTicker(insistInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := c.change(ctx, words, id, 0); err == nil || errors.Is(err, redis.ErrClosed) {
				return
			}
		}
	}
}
