// Package gate is asked once for each request, in one round trip to Redis:
// whether the caller keeps within the limits, and whether the session goes on.
package gate

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

// Gate knows the limits and the sessions.
type Gate struct {
	limits   ratelimit.Limits
	limiter  *ratelimit.Limiter
	sessions *session.Registry
	redis    *redisconn.Conn
}

// New makes a gate; redis may be nil.
func New(limits ratelimit.Limits, limiter *ratelimit.Limiter, sessions *session.Registry, redis *redisconn.Conn) *Gate {
	return &Gate{limits: limits, limiter: limiter, sessions: sessions, redis: redis}
}

// Limit counts a request of nobody in particular against a class of limits.
func (g *Gate) Limit(ctx context.Context, class string) ratelimit.Result {
	var room [2]ratelimit.Key
	return g.limiter.Allow(ctx, g.keys(ctx, room[:0], class, nil)...)
}

// Admit counts a request of a session against a class of limits, and tells what
// the session may still do. A question that the context carries is put along with it. The error is [session.ErrEnded], or the database's.
func (g *Gate) Admit(ctx context.Context, class string, claims *token.Claims) (ratelimit.Result, session.State, error) {
	var room [2]ratelimit.Key
	keys := g.keys(ctx, room[:0], class, claims)
	if g.redis == nil || g.redis.Away() {
		limit := g.limiter.Local(keys...)
		if !limit.Allowed {
			return limit, session.State{}, nil
		}
		state, err := g.sessions.State(ctx, claims.Subject, claims.SessionID)
		return limit, state, store.Classify(err)
	}
	var commandRoom [4]redis.Cmder
	question := cache.QuestionFrom(ctx)
	counted, commands := g.limiter.Queue(ctx, commandRoom[:0], keys...)
	asked, commands := g.sessions.Queue(ctx, commands, claims.Subject, claims.SessionID)
	commands = question.Queue(ctx, commands)
	unread := g.redis.Together(commands)
	if unread == nil {
		question.JournalRead()
	}
	limit, err := counted.Result(ctx)
	if err != nil {
		limit = g.limiter.Local(keys...)
	}
	if !limit.Allowed {
		return limit, session.State{}, nil
	}
	state, err := asked.State(ctx, unread)
	return limit, state, store.Classify(err)
}

// keys says what a request counts against: its address, and its account if it has one.
func (g *Gate) keys(ctx context.Context, room []ratelimit.Key, class string, claims *token.Claims) []ratelimit.Key {
	limit, ok := g.limits[class]
	if !ok {
		return room
	}
	if limit.Address != (ratelimit.Rate{}) {
		room = append(room, ratelimit.Key{Policy: class, Subject: "address:" + network(reqctx.From(ctx).Address), Rate: limit.Address})
	}
	if claims != nil && limit.Account != (ratelimit.Rate{}) {
		room = append(room, ratelimit.Key{Policy: class, Subject: account(claims.Subject), Rate: limit.Account})
	}
	return room
}

func account(user uuid.UUID) string {
	var room [64]byte
	return string(hex.AppendEncode(append(room[:0], "account:"...), user[:]))
}

// network is what an address counts as: itself for IPv4, and for IPv6 its /64,
// all of which one customer has.
func network(address string) string {
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
