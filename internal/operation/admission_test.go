package operation_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/localstack"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/ratelimit"
	"github.com/picaspot/picaspot/internal/redisconn"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
	"github.com/picaspot/picaspot/internal/token"
)

func TestMain(m *testing.M) {
	testenv.Main(m, testenv.WithLeakCheck(), testenv.WithMigrator(testenv.Migrator{Fingerprint: store.Fingerprint(), Up: store.Migrate}))
}

const home = "203.0.113.7"

func rate(requests int) ratelimit.Rate { return ratelimit.Rate{Requests: requests, Period: time.Hour} }

// admissionLimits are such that what counts shows in what is left: 20 an address, 4 an account.
var admissionLimits = ratelimit.Limits{
	"read":    {Address: rate(20), Account: rate(4)},
	"write":   {Address: rate(20), Account: rate(4)},
	"address": {Address: rate(2)},
	"account": {Account: rate(2)},
	"none":    {},
}

type admission struct {
	*operation.Admission
	store *store.Store
	redis *redisconn.Conn
}

// newAdmission makes an admission on a Redis, or without one.
func newAdmission(tb testing.TB, redisURL string) *admission {
	tb.Helper()
	s, err := store.Open(tb.Context(), testenv.Database(tb), store.Options{MaxConns: 4})
	require.NoError(tb, err)
	tb.Cleanup(s.Close)
	if redisURL == "" {
		return &admission{operation.NewAdmission(admissionLimits, ratelimit.New(nil), session.NewRegistry(s.Pool, nil), nil), s, nil}
	}
	conn, err := redisconn.Open(redisURL)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	return &admission{operation.NewAdmission(admissionLimits, ratelimit.New(conn), session.NewRegistry(s.Pool, conn), conn), s, conn}
}

// patient makes a connection wait: machines that run tests are busy now and then.
func patient(redisURL string) string {
	return redisURL + "?dial_timeout=10s&read_timeout=10s&write_timeout=10s&pool_timeout=10s"
}

// logIn makes an account with a session.
func (b *admission) logIn(tb testing.TB) *token.Claims {
	tb.Helper()
	claims := &token.Claims{}
	require.NoError(tb, b.store.InTx(tb.Context(), func(ctx context.Context, tx *store.Tx) error {
		name := "u" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
		user, err := tx.User.Create().SetUsername(name).SetEmail(name + "@example.org").SetPasswordHash("none").SetRole("user").Save(ctx)
		if err != nil {
			return err
		}
		started, err := tx.Session.Create().SetUserID(user.ID).SetRefreshHash([]byte{1}).
			SetIdleExpiresAt(time.Now().Add(time.Hour)).SetExpiresAt(time.Now().Add(time.Hour)).Save(ctx)
		if err != nil {
			return err
		}
		claims.Subject, claims.SessionID = user.ID, started.ID
		return nil
	}))
	return claims
}

func (b *admission) end(t *testing.T, claims *token.Claims) {
	t.Helper()
	require.NoError(t, b.store.Ent.Session.UpdateOneID(claims.SessionID).SetEndedAt(time.Now()).Exec(t.Context()))
}

func fromAddress(ctx context.Context, address string) context.Context {
	return reqctx.With(ctx, reqctx.Request{Address: address})
}

// admit lets a request in that has to be let in, and returns the limit that is the nearest.
func (b *admission) admit(t *testing.T, class, address string, claims *token.Claims) ratelimit.Result {
	t.Helper()
	limit, state, err := b.Admit(fromAddress(t.Context(), address), class, claims)
	require.NoError(t, err)
	require.True(t, limit.Allowed)
	require.Equal(t, "user", state.Role)
	return limit
}

// left is how many requests of nobody an address has left, beside this one.
func (b *admission) left(t *testing.T, address string) int {
	t.Helper()
	return b.Limit(fromAddress(t.Context(), address), "read").Remaining
}

// withAndWithoutRedis runs a test with Redis, without one, and with one that is away.
func withAndWithoutRedis(t *testing.T, test func(t *testing.T, b *admission)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, newAdmission(t, patient(testenv.Redis(t))))
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		test(t, newAdmission(t, ""))
	})
	t.Run("away", func(t *testing.T) {
		t.Parallel()
		test(t, newAdmission(t, "redis://127.0.0.1:1/0"))
	})
}

func TestAdmissionCountsAddressAndAccount(t *testing.T) {
	t.Parallel()
	withAndWithoutRedis(t, func(t *testing.T, b *admission) {
		ann, bob := b.logIn(t), b.logIn(t)
		limit := b.admit(t, "read", home, ann)
		require.Equal(t, "read", limit.Policy)
		require.Equal(t, []int{4, 3}, []int{limit.Rate.Requests, limit.Remaining}, "the account is the nearest")
		b.admit(t, "read", home, ann)
		require.Equal(t, 3, b.admit(t, "read", home, bob).Remaining, "accounts count apart")
		require.Equal(t, 16, b.left(t, home), "and together for their address")
		require.Equal(t, 19, b.left(t, "203.0.113.8"), "addresses count apart")
		require.Equal(t, 1, b.admit(t, "read", "203.0.113.8", ann).Remaining, "an account counts wherever it is")
		require.Equal(t, 3, b.admit(t, "write", home, ann).Remaining, "classes count apart")

		require.Equal(t, 0, b.admit(t, "read", "203.0.113.9", ann).Remaining)
		limit, state, err := b.Admit(fromAddress(t.Context(), "203.0.113.9"), "read", ann)
		require.NoError(t, err)
		require.Zero(t, state)
		require.False(t, limit.Allowed)
		require.InDelta(t, 15*time.Minute, limit.RetryAfter, float64(time.Minute))
		b.admit(t, "read", "203.0.113.9", bob)
	})
}

func TestAdmissionClasses(t *testing.T) {
	t.Parallel()
	withAndWithoutRedis(t, func(t *testing.T, b *admission) {
		ann := b.logIn(t)
		for _, class := range []string{"none", "unknown", ""} {
			require.Equal(t, ratelimit.Result{Allowed: true}, b.admit(t, class, home, ann), class)
			require.Equal(t, ratelimit.Result{Allowed: true}, b.Limit(fromAddress(t.Context(), home), class), class)
		}
		require.Equal(t, ratelimit.Result{Allowed: true}, b.Limit(fromAddress(t.Context(), home), "account"), "nobody has no account")
		require.Equal(t, 1, b.admit(t, "address", home, ann).Remaining)
		require.Equal(t, 0, b.Limit(fromAddress(t.Context(), home), "address").Remaining)
		require.False(t, b.Limit(fromAddress(t.Context(), home), "address").Allowed)
		b.admit(t, "account", home, ann)
		require.Equal(t, 0, b.admit(t, "account", "203.0.113.8", ann).Remaining)
	})
}

func TestAdmissionOfAddresses(t *testing.T) {
	t.Parallel()
	b := newAdmission(t, "")
	for name, test := range map[string]struct {
		one, other string
		same       bool
	}{
		"IPv4":                            {"198.51.100.1", "198.51.100.2", false},
		"IPv6 of one customer":            {"2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
		"IPv6 of two customers":           {"2001:db8:0:2::1", "2001:db8:0:3::1", false},
		"IPv6 written in two ways":        {"2001:db8:0:4::1", "2001:0DB8:0000:0004:0:0:0:1", true},
		"IPv4 in IPv6":                    {"::ffff:198.51.100.3", "::ffff:198.51.100.4", false},
		"IPv4, and the same in IPv6":      {"198.51.100.5", "::ffff:198.51.100.5", true},
		"IPv6 with the name of a card":    {"fe80::1%eth0", "fe80::2%eth1", true},
		"what is no address":              {"somewhere", "elsewhere", false},
		"no address":                      {"", "", true},
		"no address, as long as you like": {strings.Repeat("x", 5000), strings.Repeat("x", 5001), false},
		"no address, and somebody else's": {"account:1", "1", false},
	} {
		require.Equal(t, 19, b.left(t, test.one), name)
		want := 19
		if test.same {
			want = 18
		}
		require.Equal(t, want, b.left(t, test.other), name)
	}
	require.Equal(t, 17, b.Limit(t.Context(), "read").Remaining, "outside of a request")
}

func TestAdmissionRefusesBeforeItAsksForTheSession(t *testing.T) {
	t.Parallel()
	withAndWithoutRedis(t, func(t *testing.T, b *admission) {
		ann := b.logIn(t)
		for range 2 {
			b.admit(t, "account", home, ann)
		}
		queries := b.store.Pool.Stat().AcquireCount()
		b.store.Pool.Close()
		limit, state, err := b.Admit(fromAddress(t.Context(), home), "account", ann)
		require.NoError(t, err)
		require.False(t, limit.Allowed)
		require.Zero(t, state)
		require.Equal(t, queries, b.store.Pool.Stat().AcquireCount())
	})
}

func TestAdmissionOfSessions(t *testing.T) {
	t.Parallel()
	withAndWithoutRedis(t, func(t *testing.T, b *admission) {
		ann, bob := b.logIn(t), b.logIn(t)
		b.end(t, ann)
		limit, state, err := b.Admit(fromAddress(t.Context(), home), "read", ann)
		require.ErrorIs(t, err, session.ErrEnded)
		require.Equal(t, fault.Unauthenticated, fault.KindOf(err))
		require.True(t, limit.Allowed, "it counts all the same")
		require.Zero(t, state)
		require.Equal(t, 18, b.left(t, home))

		_, _, err = b.Admit(fromAddress(t.Context(), home), "read", &token.Claims{Subject: bob.Subject, SessionID: ann.SessionID})
		require.ErrorIs(t, err, session.ErrEnded, "somebody else's")
		b.admit(t, "read", home, bob)

		late, cancel := context.WithDeadline(fromAddress(t.Context(), home), time.Now().Add(-time.Second))
		defer cancel()
		limit, _, err = b.Admit(late, "none", b.logIn(t))
		require.True(t, limit.Allowed)
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "what the database says is told apart")
	})
}

func TestAdmissionOfAKeptSessionCostsNoQuery(t *testing.T) {
	t.Parallel()
	b := newAdmission(t, patient(testenv.Redis(t)))
	ann := b.logIn(t)
	b.admit(t, "none", home, ann)
	queries := b.store.Pool.Stat().AcquireCount()
	b.admit(t, "read", home, ann)
	b.admit(t, "none", home, ann)
	require.Equal(t, queries, b.store.Pool.Stat().AcquireCount())
}

func TestAdmissionWhileRedisGoesAway(t *testing.T) {
	t.Parallel()
	server, err := localstack.StartRedisServer(t.Context(), t.TempDir())
	require.NoError(t, err)
	stop := func() { require.NoError(t, server.Stop(context.Background())) }
	t.Cleanup(stop)
	b := newAdmission(t, patient(server.URL()))
	ann, bob := b.logIn(t), b.logIn(t)
	for range 3 {
		b.admit(t, "read", home, ann)
	}
	stop()
	// Before it is noticed and after.
	for want := 3; want >= 0; want-- {
		require.Equal(t, want, b.admit(t, "read", home, ann).Remaining, "the process counts for itself")
	}
	require.True(t, b.redis.Away())
	limit, _, err := b.Admit(fromAddress(t.Context(), home), "read", ann)
	require.NoError(t, err)
	require.False(t, limit.Allowed)
	b.admit(t, "read", home, bob)
	b.end(t, bob)
	_, _, err = b.Admit(fromAddress(t.Context(), home), "read", bob)
	require.ErrorIs(t, err, session.ErrEnded, "the database answers")
	require.Equal(t, 12, b.left(t, home), "the refused one counted too")
}

func BenchmarkAdmit(b *testing.B) {
	bench := newAdmission(b, testenv.Redis(b))
	plenty := ratelimit.Rate{Requests: 1_000_000, Period: time.Second}
	a := operation.NewAdmission(ratelimit.Limits{"read": {Address: plenty, Account: plenty}}, ratelimit.New(bench.redis), session.NewRegistry(bench.store.Pool, bench.redis), bench.redis)
	claims := bench.logIn(b)
	ctx := fromAddress(b.Context(), home)
	admit := func() error {
		_, _, err := a.Admit(ctx, "read", claims)
		return err
	}
	require.NoError(b, admit())
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := admit(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := admit(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
