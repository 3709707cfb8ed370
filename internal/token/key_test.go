package token_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/token"
)

func newKey(t *testing.T) token.Key {
	t.Helper()
	key, err := token.GenerateKey(start)
	require.NoError(t, err)
	return key
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	require.Equal(t, uuid.Version(7), uuid.MustParse(key.ID).Version())
	require.Len(t, key.Private, ed25519.PrivateKeySize)
	require.Equal(t, start, key.CreatedAt)
	require.Equal(t, start, key.NotBefore)
	require.Nil(t, key.RetiresAt)
	require.NotEqual(t, key.ID, newKey(t).ID)
}

func TestPrivateKeyRoundTrip(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	der, err := token.MarshalPrivate(key.Private)
	require.NoError(t, err)
	parsed, err := token.ParsePrivate(der)
	require.NoError(t, err)
	require.Equal(t, key.Private, parsed)

	_, err = token.MarshalPrivate(nil)
	require.Error(t, err)
	_, err = token.ParsePrivate([]byte("nonsense"))
	require.Error(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err = x509.MarshalPKCS8PrivateKey(rsaKey)
	require.NoError(t, err)
	_, err = token.ParsePrivate(der)
	require.ErrorContains(t, err, "not an Ed25519")
}

func TestSeal(t *testing.T) {
	t.Parallel()
	master := bytes.Repeat([]byte("s"), token.MinMasterSecret)
	key := newKey(t)
	sealed, err := token.Seal(master, key.ID, key.Private)
	require.NoError(t, err)
	require.NotContains(t, string(sealed), string(key.Private.Seed()))
	again, err := token.Seal(master, key.ID, key.Private)
	require.NoError(t, err)
	require.NotEqual(t, sealed, again, "each with a nonce of its own")

	opened, err := token.Open(master, key.ID, sealed)
	require.NoError(t, err)
	require.Equal(t, key.Private, opened)

	damaged := bytes.Clone(sealed)
	damaged[len(damaged)/2] ^= 1
	for name, open := range map[string]func() error{
		"another secret": func() error {
			_, err := token.Open(bytes.Repeat([]byte("t"), token.MinMasterSecret), key.ID, sealed)
			return err
		},
		"another row":  func() error { _, err := token.Open(master, "other", sealed); return err },
		"damaged":      func() error { _, err := token.Open(master, key.ID, damaged); return err },
		"cut":          func() error { _, err := token.Open(master, key.ID, sealed[:10]); return err },
		"short secret": func() error { _, err := token.Open(master[1:], key.ID, sealed); return err },
		"seal short":   func() error { _, err := token.Seal(nil, key.ID, key.Private); return err },
		"seal no key":  func() error { _, err := token.Seal(master, key.ID, nil); return err },
		"empty":        func() error { _, err := token.Open(master, key.ID, nil); return err },
	} {
		require.Error(t, open(), name)
	}
}

// Rows written by earlier versions must stay readable.
func TestOpenOlderSeal(t *testing.T) {
	t.Parallel()
	sealed, err := base64.StdEncoding.DecodeString(
		"mNdLIQgjnJLhQbDNuCQ2ZVsoL7dkU5ncRU+McXVnPzrI3HcUiBhMMVwh5tPMMLSL7rXt2vD5aBXd8CbBzfFEMMwZsj3U6KeRfXriXA==")
	require.NoError(t, err)
	opened, err := token.Open(bytes.Repeat([]byte("s"), 32), "0199aaaa-0000-7000-8000-000000000001", sealed)
	require.NoError(t, err)
	require.Equal(t, ed25519.NewKeyFromSeed(bytes.Repeat([]byte("k"), ed25519.SeedSize)), opened)
}

func TestNewKeySetRefuses(t *testing.T) {
	t.Parallel()
	key, past := newKey(t), start.Add(-time.Second)
	change := func(f func(*token.Key)) token.Key { c := key; f(&c); return c }
	for name, keys := range map[string][]token.Key{
		"no keys":     nil,
		"no id":       {change(func(k *token.Key) { k.ID = "" })},
		"no key":      {change(func(k *token.Key) { k.Private = nil })},
		"same id":     {key, key},
		"only future": {change(func(k *token.Key) { k.NotBefore = start.Add(time.Second) })},
		"only past":   {change(func(k *token.Key) { k.RetiresAt = &past })},
	} {
		_, err := token.NewKeySet(keys, start)
		require.Error(t, err, name)
	}
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	current, next, retired := newKey(t), newKey(t), newKey(t)
	next.NotBefore = start.Add(time.Hour)
	retired.RetiresAt = &start
	set, err := token.NewKeySet([]token.Key{retired, current, next}, start)
	require.NoError(t, err)

	var document struct{ Keys []map[string]string }
	require.NoError(t, json.Unmarshal(set.JWKS(), &document))
	public := func(key token.Key) map[string]string {
		return map[string]string{
			"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.ID,
			"x": base64.RawURLEncoding.EncodeToString(key.Private.Public().(ed25519.PublicKey)),
		}
	}
	require.Equal(t, []map[string]string{public(next), public(current)}, document.Keys, "public halves only, none that retired")

	set.JWKS()[0] = 'x'
	require.True(t, json.Valid(set.JWKS()), "what a caller does to it stays with the caller")
}
