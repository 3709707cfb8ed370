package token

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// ErrNoSigningKey means that no key of a set may sign at the time in question.
var ErrNoSigningKey = errors.New("no key signs at this time")

// KeySet is what signs and verifies at one time. It never changes: a rotation
// makes a new one, and whoever holds the current one swaps a pointer.
type KeySet struct {
	// signing has the keys by NotBefore, the latest first.
	signing []*Key
	byID    map[string]*Key
	jwks    []byte
}

// NewKeySet takes the keys that have not retired at now. At least one of them
// has to sign already; ids must be unique.
func NewKeySet(keys []Key, now time.Time) (*KeySet, error) {
	set := &KeySet{byID: make(map[string]*Key, len(keys))}
	for _, key := range keys {
		switch {
		case key.ID == "":
			return nil, errors.New("key set: a key has no id")
		case len(key.Private) != ed25519.PrivateKeySize:
			return nil, fmt.Errorf("key set: %q is not an Ed25519 key", key.ID)
		case set.byID[key.ID] != nil:
			return nil, fmt.Errorf("key set: %q occurs twice", key.ID)
		case key.retired(now):
			continue
		}
		set.byID[key.ID] = &key
		set.signing = append(set.signing, &key)
	}
	slices.SortFunc(set.signing, func(a, b *Key) int {
		return cmp.Or(b.NotBefore.Compare(a.NotBefore), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	if _, err := set.signer(now); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	var err error
	set.jwks, err = marshalJWKS(set.signing)
	return set, err
}

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517, RFC 8037), the
// keys that do not sign yet among them. The caller may keep the slice.
func (s *KeySet) JWKS() []byte { return bytes.Clone(s.jwks) }

// signer returns the key that began to sign last.
func (s *KeySet) signer(now time.Time) (*Key, error) {
	for _, key := range s.signing {
		if !now.Before(key.NotBefore) && !key.retired(now) {
			return key, nil
		}
	}
	return nil, ErrNoSigningKey
}

// verifier returns the key with this id, or nil if there is none that verifies
// at now. A key that does not sign yet verifies: another replica's clock may be
// ahead of ours.
func (s *KeySet) verifier(id string, now time.Time) *Key {
	key := s.byID[id]
	if key == nil || key.retired(now) {
		return nil
	}
	return key
}

func marshalJWKS(keys []*Key) ([]byte, error) {
	set := jwk.NewSet()
	for _, key := range keys {
		public, err := jwk.FromRaw(key.Private.Public())
		if err != nil {
			return nil, fmt.Errorf("publish key %q: %w", key.ID, err)
		}
		err = errors.Join(
			public.Set(jwk.KeyIDKey, key.ID),
			public.Set(jwk.AlgorithmKey, jwa.EdDSA),
			public.Set(jwk.KeyUsageKey, jwk.ForSignature),
			set.AddKey(public),
		)
		if err != nil {
			return nil, fmt.Errorf("publish key %q: %w", key.ID, err)
		}
	}
	return json.Marshal(set)
}
