package token_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/token"
)

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const life = 15 * time.Minute

// bundle is an authority with a clock and keys that a test can turn.
type bundle struct {
	*token.Authority
	key  token.Key
	now  time.Time
	keys atomic.Pointer[token.KeySet]
}

func setup(t testing.TB) *bundle {
	t.Helper()
	b := &bundle{now: start}
	var err error
	b.key, err = token.GenerateKey(start)
	require.NoError(t, err)
	b.use(t, b.key)
	b.Authority, err = token.New(b.config())
	require.NoError(t, err)
	return b
}

func (b *bundle) config() token.Config {
	return token.Config{
		Issuer: "https://picaspot.example", Audience: "picaspot", TTL: life,
		Clock: func() time.Time { return b.now }, Keys: b.keys.Load,
	}
}

func (b *bundle) use(t testing.TB, keys ...token.Key) {
	t.Helper()
	set, err := token.NewKeySet(keys, b.now)
	require.NoError(t, err)
	b.keys.Store(set)
}

func (b *bundle) issue(t testing.TB) string {
	t.Helper()
	issued, _, err := b.Issue(token.Claims{Subject: uuid.New(), SessionID: uuid.New()})
	require.NoError(t, err)
	return issued
}

// compact signs any header and claims with the key, as only its owner could.
func compact(key ed25519.PrivateKey, header, claims any) string {
	signed := segment(header) + "." + segment(claims)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))
}

func segment(value any) string {
	raw, ok := value.(string)
	if !ok {
		encoded, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		raw = string(encoded)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(raw))
}

type object = map[string]any

func (b *bundle) header(changes object) object {
	return with(object{"alg": "EdDSA", "typ": "at+jwt", "kid": b.key.ID}, changes)
}

func claims(changes object) object {
	return with(object{
		"iss": "https://picaspot.example", "aud": "picaspot",
		"sub": "0196f6c0-1111-7000-8000-000000000001",
		"sid": "0196f6c0-2222-7000-8000-000000000002",
		"jti": "0196f6c0-3333-7000-8000-000000000003",
		"iat": start.Unix(), "nbf": start.Unix(), "exp": start.Add(life).Unix(),
	}, changes)
}

// with overrides members; nil removes one.
func with(base, changes object) object {
	maps.Copy(base, changes)
	maps.DeleteFunc(base, func(_ string, v any) bool { return v == nil })
	return base
}

func TestIssueAndVerify(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.now = start.Add(123456 * time.Microsecond)
	want := token.Claims{Subject: uuid.New(), SessionID: uuid.New(), ClientID: "picaspot-android"}

	issued, expiresAt, err := b.Issue(want)
	require.NoError(t, err)
	require.Equal(t, start.Add(life), expiresAt)

	var header, body object
	parts := strings.Split(issued, ".")
	for i, into := range []*object{&header, &body} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, into))
	}
	require.Equal(t, object{"alg": "EdDSA", "typ": "at+jwt", "kid": b.key.ID}, header)
	require.ElementsMatch(t, []string{"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "client_id"}, keysOf(body))
	require.Equal(t, "picaspot", body["aud"])
	require.Equal(t, uuid.Version(7), uuid.MustParse(body["jti"].(string)).Version())

	for range 2 { // the second time from memory
		got, err := b.Verify(issued)
		require.NoError(t, err)
		require.Equal(t, token.Claims{
			Subject: want.Subject, SessionID: want.SessionID, ClientID: want.ClientID,
			ID: uuid.MustParse(body["jti"].(string)), KeyID: b.key.ID,
			IssuedAt: start, ExpiresAt: expiresAt,
		}, got)
	}
}

func keysOf(o object) []string {
	var keys []string
	for key := range o {
		keys = append(keys, key)
	}
	return keys
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]token.Claims{
		"no subject":  {SessionID: uuid.New()},
		"no session":  {Subject: uuid.New()},
		"huge client": {Subject: uuid.New(), SessionID: uuid.New(), ClientID: strings.Repeat("x", token.MaxLength)},
	} {
		_, _, err := b.Issue(c)
		require.Error(t, err, name)
	}
	b.now = start.Add(-time.Hour)
	_, _, err := b.Issue(token.Claims{Subject: uuid.New(), SessionID: uuid.New()})
	require.ErrorIs(t, err, token.ErrNoSigningKey)
}

func TestVerifyAccepts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, signed := range map[string]string{
		"as issued":                   compact(b.key.Private, b.header(nil), claims(nil)),
		"one audience of several":     compact(b.key.Private, b.header(nil), claims(object{"aud": []string{"maps", "picaspot"}})),
		"claims that it doesn't know": compact(b.key.Private, b.header(nil), claims(object{"scope": "all"})),
		"without nbf":                 compact(b.key.Private, b.header(nil), claims(object{"nbf": nil})),
		"a clock 30 s ahead":          compact(b.key.Private, b.header(nil), claims(object{"nbf": start.Unix() + 30, "iat": start.Unix() + 30})),
		"a second before its end":     compact(b.key.Private, b.header(nil), claims(object{"exp": start.Unix() + 1})),
	} {
		_, err := b.Verify(signed)
		require.NoError(t, err, name)
	}
}

func TestVerifyTellsExpired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fresh, remembered := b.issue(t), b.issue(t)
	_, err := b.Verify(remembered)
	require.NoError(t, err)

	b.now = start.Add(life - time.Nanosecond)
	_, err = b.Verify(remembered)
	require.NoError(t, err)

	b.now = start.Add(life)
	for _, issued := range []string{fresh, remembered} {
		_, err := b.Verify(issued)
		require.ErrorIs(t, err, token.ErrExpired)
		require.NotErrorIs(t, err, token.ErrInvalid)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := b.key
	next, err := token.GenerateKey(start)
	require.NoError(t, err)
	next.NotBefore = start.Add(time.Hour)
	retires := start.Add(2 * time.Hour)
	old.RetiresAt = &retires
	b.use(t, next, old)

	kid := func(issued string) string {
		got, err := b.Verify(issued)
		require.NoError(t, err)
		return got.KeyID
	}
	require.Equal(t, old.ID, kid(b.issue(t)), "published, not signing yet")

	ahead := compact(next.Private, object{"alg": "EdDSA", "typ": "at+jwt", "kid": next.ID}, claims(nil))
	require.Equal(t, next.ID, kid(ahead), "a replica whose clock is ahead signs with it already")

	b.now = next.NotBefore
	require.Equal(t, next.ID, kid(b.issue(t)), "the set needs no rebuilding for that")

	b.now = retires.Add(-time.Minute)
	late := compact(old.Private, object{"alg": "EdDSA", "typ": "at+jwt", "kid": old.ID},
		claims(object{"exp": b.now.Add(life).Unix()}))
	require.Equal(t, old.ID, kid(late))

	b.now = retires
	_, err = b.Verify(late)
	require.ErrorIs(t, err, token.ErrInvalid, "remembered, but its key has retired")
}

func TestRememberedTokenNeedsItsKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	issued := b.issue(t)
	_, err := b.Verify(issued)
	require.NoError(t, err)

	b.use(t, b.key)
	_, err = b.Verify(issued)
	require.NoError(t, err, "the same key in a new set")

	other, err := token.GenerateKey(start)
	require.NoError(t, err)
	b.use(t, other)
	_, err = b.Verify(issued)
	require.ErrorIs(t, err, token.ErrInvalid, "key withdrawn")

	other.ID = b.key.ID
	b.use(t, other)
	_, err = b.Verify(issued)
	require.ErrorIs(t, err, token.ErrInvalid, "another key under its id")
}

func TestManyTokensAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := b.config()
	config.CacheSize = 64
	small, err := token.New(config)
	require.NoError(t, err)

	tokens := make([]string, 300)
	for i := range tokens {
		tokens[i] = b.issue(t)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, issued := range tokens {
				if _, err := small.Verify(issued); err != nil {
					t.Errorf("verify: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for message, spoil := range map[string]func(*token.Config){
		"issuer":   func(c *token.Config) { c.Issuer = "" },
		"audience": func(c *token.Config) { c.Audience = "" },
		"life":     func(c *token.Config) { c.TTL = 0 },
		"keys":     func(c *token.Config) { c.Keys = nil },
	} {
		config := b.config()
		spoil(&config)
		_, err := token.New(config)
		require.ErrorContains(t, err, message)
	}
	config := b.config()
	config.Clock = nil
	live, err := token.New(config)
	require.NoError(t, err)
	require.NotNil(t, live)
}

func TestOpaque(t *testing.T) {
	t.Parallel()
	plain, hash := token.NewOpaque()
	require.Regexp(t, `^[A-Za-z0-9_-]{43}$`, plain)
	require.Equal(t, hash, token.HashOpaque(plain))
	require.Len(t, hash, sha256.Size)
	other, otherHash := token.NewOpaque()
	require.NotEqual(t, plain, other)
	require.NotEqual(t, hash, otherHash)
}

func BenchmarkVerify(bench *testing.B) {
	b := setup(bench)
	bench.Run("new", func(bench *testing.B) {
		tokens := make([]string, 2000)
		for i := range tokens {
			tokens[i] = b.issue(bench)
		}
		config := b.config()
		config.CacheSize = 1
		forgetful, err := token.New(config)
		require.NoError(bench, err)
		bench.ReportAllocs()
		for i := 0; bench.Loop(); i++ {
			if _, err := forgetful.Verify(tokens[i%len(tokens)]); err != nil {
				bench.Fatal(err)
			}
		}
	})
	bench.Run("seen", func(bench *testing.B) {
		issued := b.issue(bench)
		bench.ReportAllocs()
		for bench.Loop() {
			if _, err := b.Verify(issued); err != nil {
				bench.Fatal(err)
			}
		}
	})
}

func BenchmarkIssue(bench *testing.B) {
	b := setup(bench)
	c := token.Claims{Subject: uuid.New(), SessionID: uuid.New()}
	bench.ReportAllocs()
	for bench.Loop() {
		if _, _, err := b.Issue(c); err != nil {
			bench.Fatal(err)
		}
	}
}
