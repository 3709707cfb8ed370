package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"
)

const (
	// localSubjects bounds what the process remembers while Redis is away.
	localSubjects = 1 << 16
	// maxSubject is the longest subject that is a key as it is; longer ones are hashed.
	maxSubject = 64
)

// Key is what a request counts against.
type Key struct {
	// Policy names the limit to those who meet it, as "read".
	Policy string
	// Subject is who or what is counted, as "address:203.0.113.7".
	Subject string
	Rate    Rate
}

// name is the key in Redis. A subject that somebody made up is not let in as it is.
func (k Key) name() string {
	subject := k.Subject
	if len(subject) > maxSubject {
		digest := sha256.Sum256([]byte(subject))
		subject = hex.EncodeToString(digest[:])
	}
	return "rate:" + k.Policy + ":" + subject
}

// Result is what became of a request. The zero value is one that met no limit; it
// is allowed if [Result.Allowed] of a limiter's answer says so.
type Result struct {
	Allowed bool
	// Policy names the limit that is the nearest to being used up; empty for none.
	Policy string
	Rate   Rate
	// Remaining is how many more are possible at once.
	Remaining int
	// Reset is when all are possible again.
	Reset time.Duration
	// RetryAfter is when the next one is possible; zero for one that was allowed.
	RetryAfter time.Duration
}

// Headers returns the fields RateLimit-Policy and RateLimit
// (draft-ietf-httpapi-ratelimit-headers).
func (r Result) Headers() (policy, limit string) {
	var room [64]byte
	b := append(room[:0], '"')
	b = append(b, r.Policy...)
	b = append(b, `";q=`...)
	b = strconv.AppendInt(b, int64(r.Rate.Requests), 10)
	b = append(b, ";w="...)
	b = strconv.AppendInt(b, int64(math.Ceil(r.Rate.Period.Seconds())), 10)
	policy = string(b)
	b = append(room[:0], '"')
	b = append(b, r.Policy...)
	b = append(b, `";r=`...)
	b = strconv.AppendInt(b, int64(r.Remaining), 10)
	b = append(b, ";t="...)
	b = strconv.AppendInt(b, int64(math.Ceil(r.Reset.Seconds())), 10)
	return policy, string(b)
}

// tighter returns of two results the one that a client has to heed.
func (r Result) tighter(other Result) Result {
	switch {
	case r.Policy == "":
		return other
	case r.Allowed != other.Allowed:
		if r.Allowed {
			return other
		}
		return r
	case !r.Allowed:
		if other.RetryAfter > r.RetryAfter {
			return other
		}
		return r
	case other.Remaining*r.Rate.Requests < r.Remaining*other.Rate.Requests:
		return other
	default:
		return r
	}
}

// gcra decides on a request at the time now, in microseconds. tat is the
// theoretical arrival time that was stored, 0 for none; next is the one to store,
// which is the same when the request is refused, but for one that was too far ahead.
func gcra(tat, now int64, rate Rate) (next int64, r Result) {
	interval := rate.interval()
	window := interval * int64(rate.Requests)
	// Never further ahead than a window: a rate that was lowered or a clock that was
	// set back must not lock anybody out for longer, so it is stored too.
	tat = min(max(tat, now), now+window)
	r.Rate = rate
	next = tat + interval
	if early := next - window - now; early > 0 {
		r.Reset, r.RetryAfter = micros(tat-now), micros(early)
		return tat, r
	}
	r.Allowed = true
	r.Remaining = int((window - (next - now)) / interval)
	r.Reset = micros(next - now)
	return next, r
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// script is gcra in Redis, by its own clock, so that those of the replicas do not
// matter. While half of the requests or more are free it counts as many as ARGV[3] at
// once, see [stock]. It returns by how much the stored time was ahead of now; what
// follows from that is worked out here.
const script = `
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local tat = tonumber(redis.call('GET', KEYS[1]) or 0)
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local start = math.min(math.max(tat, now), now + window)
local next = start
if start + interval - window <= now then next = start + interval end
if tonumber(ARGV[3]) > 1 and 2 * (start - now) <= window then next = start + interval * ARGV[3] end
if next ~= tat then
  redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
end
return start - now`

// Limiter counts. It is safe for concurrent use.
type Limiter struct {
	client redis.UniversalClient
	script *redis.Script
	hash   any // of the script
	now    func() time.Time
	costs  atomic.Pointer[map[Rate]cost]

	mu     sync.Mutex
	local  *lru.Cache[string, int64]
	stocks *lru.Cache[string, stock]
}

// New makes a limiter that counts in Redis, or with nil within the process only.
func New(client redis.UniversalClient) *Limiter {
	local, errLocal := lru.New[string, int64](localSubjects)
	stocks, errStocks := lru.New[string, stock](localSubjects)
	if err := errors.Join(errLocal, errStocks); err != nil {
		panic(err) // The size is a constant.
	}
	l := &Limiter{client: client, script: redis.NewScript(script), now: time.Now, local: local, stocks: stocks}
	l.hash = l.script.Hash()
	l.costs.Store(&map[Rate]cost{})
	return l
}

// Allow counts a request against each of the keys, in one round trip. It is refused
// when one of them refuses. It never fails: while Redis is away the process counts.
func (l *Limiter) Allow(ctx context.Context, keys ...Key) Result {
	if l.client == nil {
		return l.Local(keys...)
	}
	pending, commands := l.Queue(ctx, nil, keys...)
	if len(commands) > 0 {
		pipe := l.client.Pipeline()
		_ = pipe.BatchProcess(ctx, commands...)
		_, _ = pipe.Exec(ctx) // Each command has its own error.
	}
	result, err := pending.Result(ctx)
	if err != nil {
		return l.Local(keys...)
	}
	return result
}

// Pending is an answer that was asked for along with something else.
type Pending struct {
	limiter *Limiter
	// taken is what there was in stock for.
	taken Result
	asked []asked
	room  [2]asked // of asked, for an address and an account
}

type asked struct {
	key   Key
	name  string
	at    int64 // when, in microseconds
	reply *redis.Cmd
}

// Queue counts a request from what is in stock, and adds to commands, which the
// caller executes, what has to be asked.
func (l *Limiter) Queue(ctx context.Context, commands []redis.Cmder, keys ...Key) (*Pending, []redis.Cmder) {
	p := &Pending{limiter: l, taken: Result{Allowed: true}}
	p.asked = p.room[:0]
	var now int64
	for _, key := range keys {
		if key.Rate.off() {
			continue
		}
		name := key.name()
		if key.Rate.atOnce() > 1 {
			now = l.now().UnixMicro()
			if one, ok := l.take(name, key, now); ok {
				p.taken = p.taken.tighter(one)
				continue
			}
		}
		cost := l.cost(key.Rate)
		// As EvalSha of the library, which makes a dozen small things on the way.
		reply := redis.NewCmd(ctx, evalSHA, l.hash, oneKey, name, cost.interval, cost.window, cost.atOnce)
		p.asked = append(p.asked, asked{key, name, now, reply})
		commands = append(commands, reply)
	}
	return p, commands
}

// What every command of ours begins with, made once.
var (
	evalSHA any = "evalsha"
	oneKey  any = 1
)

// cost is what the script needs to know of a rate.
type cost struct{ interval, window, atOnce any }

// cost returns what was worked out for a rate before: there are few.
func (l *Limiter) cost(rate Rate) cost {
	if known, ok := (*l.costs.Load())[rate]; ok {
		return known
	}
	interval := rate.interval()
	made := cost{interval, interval * int64(rate.Requests), rate.atOnce()}
	costs := maps.Clone(*l.costs.Load())
	costs[rate] = made
	l.costs.Store(&costs) // Two at once cost a rate that is worked out again.
	return made
}

// Result returns the answer once the pipeline was executed. A server that does not
// know the script yet, since it was restarted, is asked once more. The error says
// that Redis gave no answer; [Limiter.Local] then has one.
func (p *Pending) Result(ctx context.Context) (Result, error) {
	result := p.taken
	for _, a := range p.asked {
		ahead, err := a.reply.Int64()
		if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
			cost := p.limiter.cost(a.key.Rate)
			ahead, err = p.limiter.script.Eval(ctx, p.limiter.client, []string{a.name}, cost.interval, cost.window, cost.atOnce).Int64()
		}
		if err != nil {
			return Result{}, fmt.Errorf("count in redis: %w", err)
		}
		// The same arithmetic from the same start, with the server's now as zero.
		_, one := gcra(ahead, 0, a.key.Rate)
		one.Policy = a.key.Policy
		result = result.tighter(one)
		p.limiter.store(a, ahead)
	}
	return result, nil
}

// Local counts within the process.
func (l *Limiter) Local(keys ...Key) Result {
	result := Result{Allowed: true}
	now := l.now().UnixMicro()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range keys {
		if key.Rate.off() {
			continue
		}
		name := key.name()
		tat, _ := l.local.Get(name)
		next, one := gcra(tat, now, key.Rate)
		one.Policy = key.Policy
		if next != tat {
			l.local.Add(name, next)
		}
		result = result.tighter(one)
	}
	return result
}
