package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/seal"
)

// MinMasterSecret is the least length of the secret that keys are sealed with, in bytes.
const MinMasterSecret = seal.MinSecret

// sealPurpose separates the sealing key from whatever else is derived from the
// same secret; a new format gets a new number.
const sealPurpose = "picaspot access token signing key v1"

// Key is one signing key and its times. It is published from the moment it is
// in a [KeySet], signs from NotBefore on, and stops verifying at RetiresAt.
// A rotation therefore adds the next key well before its NotBefore, and lets the
// previous one retire no sooner than the life of a token after it.
type Key struct {
	// ID is the `kid` in the header of a token and in the JWKS.
	ID        string
	Private   ed25519.PrivateKey
	CreatedAt time.Time
	// NotBefore is when the key begins to sign.
	NotBefore time.Time
	// RetiresAt is when tokens signed by the key are refused; nil is never.
	RetiresAt *time.Time
}

// GenerateKey makes a key that signs from now on. Its id is a UUIDv7.
func GenerateKey(now time.Time) (Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("generate signing key: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Key{}, fmt.Errorf("generate key id: %w", err)
	}
	return Key{ID: id.String(), Private: private, CreatedAt: now, NotBefore: now}, nil
}

// retired reports whether tokens of the key are refused at the instant now.
func (k *Key) retired(now time.Time) bool {
	return k.RetiresAt != nil && !now.Before(*k.RetiresAt)
}

// MarshalPrivate encodes a private key as PKCS #8 in DER (RFC 5958, RFC 8410).
func MarshalPrivate(private ed25519.PrivateKey) ([]byte, error) {
	if len(private) != ed25519.PrivateKeySize {
		return nil, errors.New("marshal signing key: not an Ed25519 private key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("marshal signing key: %w", err)
	}
	return der, nil
}

// ParsePrivate reads what [MarshalPrivate] wrote; a key of another kind is an error.
func ParsePrivate(der []byte) (ed25519.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("parse signing key: %w", err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("parse signing key: %T is not an Ed25519 private key", parsed)
	}
	return private, nil
}

// Seal encrypts a private key for the database, see [seal.Sealer]. The key's id
// is authenticated along, so that a sealed key cannot be passed off as another
// row's. A master secret shorter than [MinMasterSecret] is an error.
func Seal(master []byte, id string, private ed25519.PrivateKey) ([]byte, error) {
	sealer, err := seal.New(master, sealPurpose)
	if err != nil {
		return nil, fmt.Errorf("seal signing key: %w", err)
	}
	der, err := MarshalPrivate(private)
	if err != nil {
		return nil, err
	}
	return sealer.Seal(id, der), nil
}

// Open decrypts what [Seal] made for the same id and master secret.
func Open(master []byte, id string, sealed []byte) (ed25519.PrivateKey, error) {
	sealer, err := seal.New(master, sealPurpose)
	if err != nil {
		return nil, fmt.Errorf("open signing key %q: %w", id, err)
	}
	der, err := sealer.Open(id, sealed)
	if err != nil {
		return nil, fmt.Errorf("open signing key: wrong master secret or damaged row: %w", err)
	}
	return ParsePrivate(der)
}
