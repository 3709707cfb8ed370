package operation

import (
	"context"
	"encoding/hex"
	"net/netip"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/ratelimit"
	"github.com/picaspot/picaspot/internal/redisconn"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

// Admission decides on each request, in one round trip to Redis: whether the caller keeps
// within the limits, and whether the session goes on. It is the [Admitter] of the server.
type Admission struct {
	limits   ratelimit.Limits
	limiter  *ratelimit.Limiter
	sessions *session.Registry
	redis    *redisconn.Conn
}

// NewAdmission makes an admission; redis may be nil.
func NewAdmission(limits ratelimit.Limits, limiter *ratelimit.Limiter, sessions *session.Registry, redis *redisconn.Conn) *Admission {
	return &Admission{limits: limits, limiter: limiter, sessions: sessions, redis: redis}
}

// Limit counts an unauthenticated request against its address, by a class of limits.
func (a *Admission) Limit(ctx context.Context, class string) ratelimit.Result {
	var room [2]ratelimit.Key
	return a.limiter.Allow(ctx, a.keys(ctx, room[:0], class, nil)...)
}

// Admit counts a request of a session against a class of limits, and tells what
// the session may still do. A question that the context carries is put along with it.
// The error is [session.ErrEnded], or the database's.
func (a *Admission) Admit(ctx context.Context, class string, claims *token.Claims) (ratelimit.Result, session.State, error) {
	var room [2]ratelimit.Key
	keys := a.keys(ctx, room[:0], class, claims)
	if a.redis == nil || a.redis.Away() {
		limit := a.limiter.Local(keys...)
		if !limit.Allowed {
			return limit, session.State{}, nil
		}
		state, err := a.sessions.State(ctx, claims.Subject, claims.SessionID)
		return limit, state, store.Classify(err)
	}
	var commandRoom [4]redis.Cmder
	question := cache.QuestionFrom(ctx)
	counted, commands := a.limiter.Queue(ctx, commandRoom[:0], keys...)
	asked, commands := a.sessions.Queue(ctx, commands, claims.Subject, claims.SessionID)
	commands = question.Queue(ctx, commands)
	unread := a.redis.Together(commands)
	if unread == nil {
		question.JournalRead()
	}
	limit, err := counted.Result(ctx)
	if err != nil {
		limit = a.limiter.Local(keys...)
	}
	if !limit.Allowed {
		return limit, session.State{}, nil
	}
	state, err := asked.State(ctx, unread)
	return limit, state, store.Classify(err)
}

// keys says what a request counts against: its address, and its account if it has one.
func (a *Admission) keys(ctx context.Context, room []ratelimit.Key, class string, claims *token.Claims) []ratelimit.Key {
	limit, ok := a.limits[class]
	if !ok {
		return room
	}
	if limit.Address != (ratelimit.Rate{}) {
		room = append(room, ratelimit.Key{Policy: class, Subject: "address:" + networkOf(reqctx.From(ctx).Address), Rate: limit.Address})
	}
	if claims != nil && limit.Account != (ratelimit.Rate{}) {
		room = append(room, ratelimit.Key{Policy: class, Subject: accountKey(claims.Subject), Rate: limit.Account})
	}
	return room
}

func accountKey(user uuid.UUID) string {
	var room [64]byte
	return string(hex.AppendEncode(append(room[:0], "account:"...), user[:]))
}

// networkOf is what an address counts as: itself for IPv4, and for IPv6 its /64,
// all of which one customer has.
func networkOf(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Is4() {
		return address
	}
	if addr.Is4In6() {
		return addr.Unmap().String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.Addr().String()
}
