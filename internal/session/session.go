// Package session tells what a request needs to know of the session that its
// access token names: whether it goes on, and with which role. The answer is
// kept in Redis, and yet a change that was acknowledged (a logout, another role,
// a suspension) holds from the next request on, on every replica.
//
// How: an entry is stamped with the time of Redis. Whoever changes something
// marks the user as changed before the commit and again after it, until a little
// later than now. Entries stamped earlier than the mark's end do not count, and
// while it lasts none is written; nor is one by whoever saw another mark before
// the database was asked, however long that took. So what was read before the
// commit can't outlive it. A process that dies between the mark and the commit
// costs some queries; one that can't reach Redis keeps trying until no old entry
// can be left. An entry that a process has read it knows for some seconds, or until
// the journal of package redisconn has its user. Without Redis the database answers.
package session

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/redisconn"
)

const (
	// ttl is how long an entry is kept, give or take jitter.
	ttl    = 60 * time.Second
	jitter = 10 * time.Second
	// guard is how long after a mark nothing is kept: longer than it takes from the
	// mark before a commit to another try at the one after it.
	guard = 5 * time.Second
	// knownTTL is for how long a process knows an entry without asking Redis again, and
	// knownSessions of how many it does.
	knownTTL      = 20 * time.Second
	knownSessions = 1 << 15
	// markTTL outlasts every entry that the mark is about.
	markTTL = ttl + jitter + knownTTL + guard
	// skew is by how much the clocks of Redis and of this process may differ.
	skew = 5 * time.Second
	// loadTimeout bounds a look-up in the database.
	loadTimeout = 4 * time.Second
	// insistInterval is how often a mark is tried after a change was acknowledged
	// without one.
	insistInterval = time.Second
)

// ErrEnded is the answer to a session that has ended or expired, and to one of
// an account that is suspended or gone.
var ErrEnded = fault.New(fault.Unauthenticated, "session_ended", "The session has ended. Log in again.")

// State is what a session may still do.
type State struct {
	// Role is the account's present one.
	Role string
	// SecondFactor tells that a second factor has proven the session.
	SecondFactor bool
	// ExpiresAt is when the session ends by itself.
	ExpiresAt time.Time
}

// Registry answers for all sessions.
type Registry struct {
	pool  *pgxpool.Pool
	redis *redisconn.Conn
	guard time.Duration
	known *lru.Cache[id, known]
}

// id names a session.
type id struct{ user, session uuid.UUID }

// known is an entry of Redis that the process has read, and knows as long as the
// journal has nothing on its user behind the mark.
type known struct {
	entry entry
	until time.Time
	mark  redisconn.Mark
}

// NewRegistry makes a registry; redis may be nil.
func NewRegistry(pool *pgxpool.Pool, redis *redisconn.Conn) *Registry {
	sessions, err := lru.New[id, known](knownSessions)
	if err != nil {
		panic(err) // The size is a constant.
	}
	return &Registry{pool: pool, redis: redis, guard: guard, known: sessions}
}

// The keys of a user share a slot of a Redis Cluster. They are made for each
// request, so ids are in plain hexadecimal, which needs no memory of its own.
func markKey(user uuid.UUID) string {
	var room [64]byte
	return string(append(userKey(room[:0], user), "changed"...))
}

func entryKey(user, session uuid.UUID) string {
	var room [96]byte
	return string(hex.AppendEncode(userKey(room[:0], user), session[:]))
}

func userKey(room []byte, user uuid.UUID) []byte {
	return append(hex.AppendEncode(append(room, "auth:{"...), user[:]), "}:"...)
}

// word is what stands for a user in the journal.
func word(user uuid.UUID) string {
	var room [40]byte
	return string(hex.AppendEncode(append(room[:0], 's'), user[:]))
}

// mget is made once.
var mget any = "mget"

// Pending is an answer that was asked for along with something else.
type Pending struct {
	registry *Registry
	id
	mark  redisconn.Mark
	reply *redis.SliceCmd // nil for a session that the process knows
}

// Queue adds to commands, which the caller has executed by [redisconn.Conn.Together],
// what has to be asked. Those that do not come back have [Pending.State] ask the
// database.
func (r *Registry) Queue(ctx context.Context, commands []redis.Cmder, user, session uuid.UUID) (*Pending, []redis.Cmder) {
	p := &Pending{registry: r, id: id{user, session}}
	if _, ok := r.recall(p.id); ok {
		return p, commands
	}
	p.mark = r.redis.Mark()
	p.reply = redis.NewSliceCmd(ctx, mget, markKey(user), entryKey(user, session))
	return p, append(commands, p.reply)
}

// recall returns an entry that the process knows. A request may rely on it once the
// journal was read since it began.
func (r *Registry) recall(session id) (entry, bool) {
	k, ok := r.known.Get(session)
	if !ok || !r.redis.Unchanged(k.mark, word(session.user)) || !k.entry.counts("", r.distrusted()) ||
		k.entry.expired() || !time.Now().Before(k.until) {
		return entry{}, false
	}
	return k.entry, true
}

// State returns the state, or [ErrEnded]; read is the error with which the journal was
// read. With one, what Redis keeps may be from before a change that it has refused.
func (p *Pending) State(ctx context.Context, read error) (State, error) {
	if read != nil {
		return p.registry.State(ctx, p.user, p.session)
	}
	if p.reply == nil {
		if e, ok := p.registry.recall(p.id); ok {
			return e.state()
		}
		return p.registry.State(ctx, p.user, p.session)
	}
	values, err := p.reply.Result()
	if err != nil || len(values) != 2 {
		// Nothing is kept either, for which it takes the mark from before the look-up.
		return p.registry.State(ctx, p.user, p.session)
	}
	mark, _ := values[0].(string)
	kept, _ := values[1].(string)
	if e, ok := parse(kept); ok && e.counts(mark, p.registry.distrusted()) && !e.expired() {
		p.registry.known.Add(p.id, known{entry: e, until: time.Now().Add(knownTTL), mark: p.mark})
		return e.state()
	}
	state, err := p.registry.State(ctx, p.user, p.session)
	switch {
	case err == nil:
		p.registry.keep(ctx, p, mark, kept, state.text())
	case errors.Is(err, ErrEnded):
		p.registry.keep(ctx, p, mark, kept, ended)
	}
	return state, err
}

// distrusted is the time before which entries do not count: a change that was
// made while Redis was away may not have reached it, and one from shortly before it
// stopped may be missing in what it came back with.
func (r *Registry) distrusted() time.Time {
	started, recovered := r.redis.StartedAt(), r.redis.Recovered()
	if recovered.IsZero() || started.After(recovered.Add(skew)) {
		return started
	}
	return recovered.Add(skew)
}

// entry is what Redis keeps of a session: when it was written, in microseconds of
// the clock of Redis, and either that it has ended or its state.
type entry struct {
	at    int64
	alive bool
	State
}

// ended is what is kept of a session that has ended, in the place of its state.
const ended = "-"

// text is what is kept of a state: expiry, factor and role.
func (s State) text() string {
	factor := "0"
	if s.SecondFactor {
		factor = "1"
	}
	return strconv.FormatInt(s.ExpiresAt.Unix(), 10) + " " + factor + " " + s.Role
}

// parse reads "at -" and "at expiry factor role".
func parse(text string) (entry, bool) {
	stamp, rest, _ := strings.Cut(text, " ")
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return entry{}, false
	}
	if rest == ended {
		return entry{at: at}, true
	}
	expiry, rest, _ := strings.Cut(rest, " ")
	factor, role, ok := strings.Cut(rest, " ")
	seconds, err := strconv.ParseInt(expiry, 10, 64)
	if err != nil || !ok {
		return entry{}, false
	}
	return entry{at: at, alive: true, State: State{
		Role: role, SecondFactor: factor == "1", ExpiresAt: time.Unix(seconds, 0),
	}}, true
}

func (e entry) counts(mark string, distrusted time.Time) bool {
	if mark != "" {
		until, err := strconv.ParseInt(mark, 10, 64)
		if err != nil || e.at <= until {
			return false
		}
	}
	return distrusted.IsZero() || e.at > distrusted.UnixMicro()
}

// expired reports whether a session would have ended by itself since; a refresh,
// which is no change that is announced, may have made it longer.
func (e entry) expired() bool { return e.alive && !time.Now().Before(e.ExpiresAt) }

func (e entry) state() (State, error) {
	if !e.alive {
		return State{}, ErrEnded
	}
	return e.State, nil
}

// loadSQL is two look-ups by primary key.
const loadSQL = `-- name: session_load
SELECT u.role, s.second_factor, least(s.expires_at, s.idle_expires_at)
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.id = $1 AND s.user_id = $2 AND s.ended_at IS NULL AND s.expires_at > now() AND s.idle_expires_at > now()
  AND u.deleted_at IS NULL AND u.status = 'active'`

// State asks the database, or returns [ErrEnded]. It does not share a look-up that
// is under way: that may have begun before a change that this request is to see.
func (r *Registry) State(ctx context.Context, user, session uuid.UUID) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	var state State
	err := r.pool.QueryRow(ctx, loadSQL, session, user).Scan(&state.Role, &state.SecondFactor, &state.ExpiresAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return State{}, ErrEnded
	case err != nil:
		return State{}, fmt.Errorf("look up the session: %w", err)
	}
	return state, nil
}

// keepScript writes an entry unless the user is marked as changed, or was marked
// again or somebody else has written one since ours were read.
var keepScript = redis.NewScript(`
local now = redis.call('TIME')
local at = now[1] * 1000000 + now[2]
local mark = redis.call('GET', KEYS[1]) or ''
if mark ~= ARGV[1] or mark ~= '' and at <= tonumber(mark) then return 0 end
local kept = redis.call('GET', KEYS[2])
if kept and kept ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[2], string.format('%.0f', at) .. ' ' .. ARGV[3], 'PX', ARGV[4])
return 1`)

// keep keeps what the database said after the mark and the entry were read.
func (r *Registry) keep(ctx context.Context, p *Pending, mark, kept, text string) {
	life := ttl + rand.N(jitter) //nolint:gosec // Jitter is no secret.
	keys := []string{markKey(p.user), entryKey(p.user, p.session)}
	if err := keepScript.Run(ctx, r.redis, keys, mark, kept, text, life.Milliseconds()).Err(); err != nil {
		slog.DebugContext(ctx, "session not cached", "error", err)
	}
}

// markScript marks a user as changed until a while from now. Each mark is later
// than the one before, also when the clock was set back.
var markScript = redis.NewScript(`
local now = redis.call('TIME')
local mark = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
local till = math.max(now[1] * 1000000 + now[2] + tonumber(ARGV[1]), mark + 1)
redis.call('SET', KEYS[1], string.format('%.0f', till), 'PX', ARGV[2])
return 1`)

func (r *Registry) mark(ctx context.Context, user uuid.UUID) error {
	err := markScript.Run(ctx, r.redis, []string{markKey(user)}, r.guard.Microseconds(), markTTL.Milliseconds()).Err()
	if err != nil {
		return err
	}
	return r.redis.Note(ctx, word(user))
}

// AfterCommitter is the transaction that a change is part of.
type AfterCommitter interface {
	AfterCommit(fn func(ctx context.Context))
}

// Changed has to be called in the transaction that changes what a session of the
// user may do, before it commits: from the commit on, no request on any replica
// goes by what was before.
func (r *Registry) Changed(ctx context.Context, tx AfterCommitter, user uuid.UUID) {
	if r.redis == nil {
		return
	}
	if err := r.mark(ctx, user); err != nil {
		slog.WarnContext(ctx, "session change not announced yet", "user_id", user, "error", err)
	}
	tx.AfterCommit(func(ctx context.Context) {
		if err := r.redis.Announce(ctx, func(ctx context.Context) error { return r.mark(ctx, user) }); err != nil {
			go r.insist(ctx, user)
		}
	})
}

// insist marks a user once Redis is back. It gives up when no entry from before
// the change can be left, and when the connection is closed.
func (r *Registry) insist(ctx context.Context, user uuid.UUID) {
	ctx, cancel := context.WithTimeout(ctx, markTTL)
	defer cancel()
	tick := time.NewTicker(insistInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.mark(ctx, user); err == nil || errors.Is(err, redis.ErrClosed) {
				return
			}
		}
	}
}
