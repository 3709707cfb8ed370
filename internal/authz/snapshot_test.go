package authz_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	stringadapter "github.com/casbin/casbin/v2/persist/string-adapter"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/policy"
)

func compile(t testing.TB, csv string) *authz.Snapshot {
	t.Helper()
	s, err := authz.NewSnapshot(1, policy.Model, csv)
	require.NoError(t, err)
	return s
}

func TestDecide(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy string
		role   string
		want   authz.Decision
	}{
		"any":                                {"p, a, area, update, any, allow", "a", authz.Any},
		"own":                                {"p, a, area, update, own, allow", "a", authz.Own},
		"any wins over own":                  {"p, a, area, update, own\np, a, area, update, any", "a", authz.Any},
		"effect left out":                    {"p, a, area, update, any", "a", authz.Any},
		"other action":                       {"p, a, area, read, any", "a", authz.Denied},
		"other resource":                     {"p, a, landmark, update, any", "a", authz.Denied},
		"other role":                         {"p, b, area, update, any", "a", authz.Denied},
		"inherited":                          {"p, b, area, update, own\ng, a, b", "a", authz.Own},
		"inherited through two":              {"p, c, area, update, any\ng, a, b\ng, b, c", "a", authz.Any},
		"not inherited downwards":            {"p, a, area, update, any\ng, a, b\np, b, area, read, any", "b", authz.Denied},
		"denied at the role":                 {"p, b, area, update, any\ng, a, b\np, a, area, update, any, deny", "a", authz.Denied},
		"denied at an inherited role":        {"p, b, area, update, any, deny\ng, a, b\np, a, area, update, any", "a", authz.Denied},
		"denied for own denies altogether":   {"p, a, area, update, any\np, a, area, update, own, deny", "a", authz.Denied},
		"denied for any denies altogether":   {"p, a, area, update, own\np, a, area, update, any, deny", "a", authz.Denied},
		"a deny of the heir stays with it":   {"p, b, area, update, any\ng, a, b\np, a, area, update, any, deny", "b", authz.Any},
		"unknown role":                       {"p, a, area, update, any", "zz", authz.Denied},
		"no role":                            {"p, a, area, update, any", "", authz.Denied},
		"byte order mark, CRLF, indentation": {"\ufeff# roles\r\n  # more\r\n\tp,  a ,\"area\", update , any \r\n", "a", authz.Any},
		"empty policy":                       {"", "a", authz.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := compile(t, tc.policy)
			require.Equal(t, tc.want, s.Decide(tc.role, "area:update"), "asked for the first time")
			require.Equal(t, tc.want, s.Decide(tc.role, "area:update"), "asked again")
		})
	}
}

func TestDecideIsDeniedForWhatIsNoPermission(t *testing.T) {
	t.Parallel()
	s := compile(t, policy.CSV)
	for _, p := range []authz.Permission{"", "area", "area:", ":read", "area:read:any", "AREA:READ", "*:*", "public", "authenticated"} {
		for _, role := range s.Roles() {
			require.Equal(t, authz.Denied, s.Decide(role, p), "%s %q", role, p)
		}
	}
}

func TestSnapshotTellsWhatItHolds(t *testing.T) {
	t.Parallel()
	s, err := authz.NewSnapshot(7, policy.Model, "p, b, policy, manage, any\ng, a, b\np, c, policy, manage, own\np, c, area, read, any\ng, d, a\np, d, policy, manage, any, deny")
	require.NoError(t, err)
	require.EqualValues(t, 7, s.Version())
	require.Equal(t, []string{"a", "b", "c", "d"}, s.Roles())
	require.Equal(t, []authz.Permission{"area:read", "policy:manage"}, s.Permissions())
	require.Equal(t, []string{"a", "b"}, s.Holders("policy:manage"))
}

func TestNewSnapshotRefuses(t *testing.T) {
	t.Parallel()
	good := "p, a, area, read, any"
	for name, tc := range map[string]struct{ model, csv string }{
		"a line that stock casbin would drop": {policy.Model, "p, a, area, read, any, allow, more"},
		"a misspelt deny":                     {policy.Model, "p, a, area, read, any, denied"},
		"a circle":                            {policy.Model, "g, a, b\ng, b, a"},
		"no model":                            {"", good},
		"a model without inheritance":         {strings.NewReplacer("[role_definition]", "", "g = _, _", "").Replace(policy.Model), good + "\ng, b, a"},
		"a matcher that does not compile":     {strings.Replace(policy.Model, "g(r.role, p.role)", "h(r.role, p.role)", 1), good},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := authz.NewSnapshot(1, tc.model, tc.csv)
			require.Error(t, err)
		})
	}
}

// A matcher may fail on one question only; that question is then refused.
func TestDecideFailsClosed(t *testing.T) {
	t.Parallel()
	broken := strings.Replace(policy.Model, "g(r.role, p.role)", `regexMatch(r.role, "[") && g(r.role, p.role)`, 1)
	s, err := authz.NewSnapshot(1, broken, "p, a, area, read, any")
	require.NoError(t, err)
	require.Equal(t, authz.Denied, s.Decide("a", "area:read"))
}

// randomPolicy writes a policy over a few names, without circles because roles
// inherit upwards only, that stock casbin can read.
func randomPolicy(r *rand.Rand) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	seen := map[string]bool{}
	var b strings.Builder
	for range 1 + r.IntN(40) {
		var line string
		if r.IntN(5) == 0 {
			from := r.IntN(5)
			line = fmt.Sprintf("g, r%d, r%d", from, from+1+r.IntN(5-from))
		} else {
			line = fmt.Sprintf("p, r%d, %s, %s, %s, %s", r.IntN(6), pick("area", "landmark"), pick("read", "update"), pick("any", "own"), pick("allow", "allow", "allow", "deny"))
		}
		if !seen[line] {
			seen[line] = true
			b.WriteString(line + "\n")
		}
	}
	// Every role is spoken of, so that none is unknown to a line above.
	for i := range 6 {
		fmt.Fprintf(&b, "p, r%d, feed, read, any, allow\n", i)
	}
	return b.String()
}

func TestKeptDecisionsAreThoseOfPlainCasbin(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	tally := map[authz.Decision]int{}
	for range 60 {
		text := randomPolicy(r)
		s := compile(t, text)
		m, err := model.NewModelFromString(policy.Model)
		require.NoError(t, err)
		plain, err := casbin.NewEnforcer(m, stringadapter.NewAdapter(text))
		require.NoError(t, err)
		for round := range 2 {
			for role := range 7 {
				for _, p := range []authz.Permission{"area:read", "area:update", "landmark:read", "landmark:update", "feed:read", "feed:update"} {
					name := fmt.Sprintf("r%d", role)
					own, err := plain.Enforce(name, p.Resource(), p.Action(), "own")
					require.NoError(t, err)
					anyone, err := plain.Enforce(name, p.Resource(), p.Action(), "any")
					require.NoError(t, err)
					want := authz.Denied
					switch {
					case own && anyone:
						want = authz.Any
					case own:
						want = authz.Own
					}
					require.Equal(t, want, s.Decide(name, p), "seed %d, round %d: %s %s under\n%s", seed, round, name, p, text)
					tally[want]++
				}
			}
		}
	}
	require.Len(t, tally, 3, "the random policies have to lead to every decision")
}

func TestMoreQuestionsThanAreKept(t *testing.T) {
	t.Parallel()
	s := compile(t, "p, a, area, read, any")
	for i := range 5000 {
		require.Equal(t, authz.Denied, s.Decide(fmt.Sprintf("made-up-%d", i), "area:read"))
	}
	require.Equal(t, authz.Any, s.Decide("a", "area:read"))
}

// Each version grants exactly one of two permissions: whoever asks one snapshot
// for both must never see a mixture of versions.
func TestSwapWhileDeciding(t *testing.T) {
	t.Parallel()
	version := func(n int64) *authz.Snapshot {
		action := "read"
		if n%2 == 1 {
			action = "update"
		}
		s, err := authz.NewSnapshot(n, policy.Model, "p, b, area, "+action+", any\ng, a, b")
		require.NoError(t, err)
		return s
	}
	a := authz.New(version(0))
	ctx := authz.WithCaller(context.Background(), authz.Caller{Role: "a"})
	stop := make(chan struct{})
	var deciders sync.WaitGroup
	for range 4 {
		deciders.Go(func() {
			last := int64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := a.Current()
				if s.Version() < last {
					t.Errorf("version %d came after %d", s.Version(), last)
				}
				last = s.Version()
				read, update := s.Decide("a", "area:read"), s.Decide("a", "area:update")
				odd := last%2 == 1
				if (read == authz.Any) == odd || (update == authz.Any) != odd {
					t.Errorf("version %d: read %s, update %s", last, read, update)
				}
				a.May(ctx, "area:read")
			}
		})
	}
	for n := range int64(100) {
		if !a.Swap(version(n)) {
			t.Errorf("version %d was refused", n)
		}
	}
	close(stop)
	deciders.Wait()
	require.EqualValues(t, 99, a.Current().Version())
	require.False(t, a.Swap(version(98)), "older than the present one")
	require.EqualValues(t, 99, a.Current().Version())
}

func TestMay(t *testing.T) {
	t.Parallel()
	a := authz.New(compile(t, "p, a, area, verify, any\np, b, area, read, any"))
	as := func(role string) context.Context {
		return authz.WithCaller(context.Background(), authz.Caller{Role: role, Scope: authz.Any})
	}
	require.Equal(t, authz.Any, a.May(as("a"), "area:verify"))
	require.Equal(t, authz.Denied, a.May(as("b"), "area:verify"))
	require.Equal(t, authz.Denied, a.May(context.Background(), "area:verify"), "without a caller")
}

func TestSeenDecisionDoesNotAllocate(t *testing.T) {
	s := compile(t, policy.CSV)
	role := s.Roles()[0]
	s.Decide(role, "area:read")
	require.Zero(t, testing.AllocsPerRun(1000, func() { s.Decide(role, "area:read") }))
}

func TestRequireOwner(t *testing.T) {
	t.Parallel()
	me, other := uuid.New(), uuid.New()
	for name, tc := range map[string]struct {
		scope   authz.Decision
		owner   uuid.UUID
		visible bool
		want    fault.Kind
		code    string
	}{
		"any, own object":               {authz.Any, me, true, 0, ""},
		"any, another's object":         {authz.Any, other, false, 0, ""},
		"any, nobody's object":          {authz.Any, uuid.Nil, true, 0, ""},
		"own, own object":               {authz.Own, me, true, 0, ""},
		"own, own object, hidden":       {authz.Own, me, false, 0, ""},
		"own, another's visible object": {authz.Own, other, true, fault.Forbidden, "not_owner"},
		"own, another's hidden object":  {authz.Own, other, false, fault.NotFound, "not_found"},
		"own, nobody's object":          {authz.Own, uuid.Nil, true, fault.Forbidden, "not_owner"},
		"no scope, own object":          {authz.Denied, me, true, fault.Forbidden, "not_owner"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := authz.WithCaller(context.Background(), authz.Caller{UserID: me, Scope: tc.scope})
			err := authz.RequireOwner(ctx, tc.owner, tc.visible)
			if tc.code == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, fault.New(tc.want, tc.code, ""))
		})
	}
	t.Run("without a caller, nobody's object", func(t *testing.T) {
		t.Parallel()
		err := authz.RequireOwner(context.Background(), uuid.Nil, false)
		require.Equal(t, fault.NotFound, fault.KindOf(err))
	})
}

func TestNobodyOwnsWhatHasNoOwner(t *testing.T) {
	t.Parallel()
	require.False(t, authz.Caller{}.Owns(uuid.Nil))
	id := uuid.New()
	require.True(t, authz.Caller{UserID: id}.Owns(id))
	_, ok := authz.CallerFrom(context.Background())
	require.False(t, ok)
}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	m.Run()
}

// thousandLines is 50 roles of 20 permissions each.
func thousandLines() string {
	var b strings.Builder
	for role := range 50 {
		for p := range 20 {
			fmt.Fprintf(&b, "p, role%d, resource%d, update, own, allow\n", role, p)
		}
	}
	return b.String()
}

func BenchmarkDecide(b *testing.B) {
	for name, bc := range map[string]struct {
		policy     string
		role       string
		permission authz.Permission
	}{
		"default":    {policy.CSV, "moderator", "area:delete"},
		"1000_lines": {thousandLines(), "role49", "resource19:update"},
	} {
		s := compile(b, bc.policy)
		b.Run(name+"/seen", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Decide(bc.role, bc.permission)
			}
		})
		b.Run(name+"/seen_parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					s.Decide(bc.role, bc.permission)
				}
			})
		})
		b.Run(name+"/compile_and_first", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				compile(b, bc.policy).Decide(bc.role, bc.permission)
			}
		})
		b.Run(name+"/validate", func(b *testing.B) {
			for b.Loop() {
				_ = authz.Validate(bc.policy, s.Permissions())
			}
		})
	}
}

func TestExceeding(t *testing.T) {
	t.Parallel()
	s := compile(t, `
p, user, area, read, any
p, user, area, update, own
g, moderator, user
p, moderator, area, update, any
p, moderator, area, verify, any
g, trainee, moderator
p, trainee, area, verify, any, deny
`)
	for _, test := range []struct {
		role, other string
		want        []authz.Permission
	}{
		{"user", "user", nil},
		{"user", "moderator", nil},
		{"moderator", "user", []authz.Permission{"area:update", "area:verify"}},
		{"trainee", "user", []authz.Permission{"area:update"}},
		{"moderator", "trainee", []authz.Permission{"area:verify"}},
		{"user", "nothing", []authz.Permission{"area:read", "area:update"}},
		{"nothing", "user", nil},
		{"", "", nil},
	} {
		require.ElementsMatch(t, test.want, s.Exceeding(test.role, test.other), "%s beyond %s", test.role, test.other)
	}
}
