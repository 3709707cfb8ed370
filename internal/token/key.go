package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// MinMasterSecret is the least length of the secret that keys are sealed with, in bytes.
const MinMasterSecret = 32

// sealInfo separates the sealing key from whatever else is derived from the
// same secret; a new format gets a new number.
const sealInfo = "picaspot access token signing key v1"

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

// Seal encrypts a private key for the database: AES-256-GCM with a random nonce
// under a key derived from the master secret (HKDF, RFC 5869). The key's id is
// authenticated along, so that a sealed key cannot be passed off as another row's.
func Seal(master []byte, id string, private ed25519.PrivateKey) ([]byte, error) {
	aead, err := sealer(master)
	if err != nil {
		return nil, err
	}
	der, err := MarshalPrivate(private)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, der, []byte(id)), nil //nolint:gosec // The AEAD makes its own random nonce.
}

// Open decrypts what [Seal] made for the same id and master secret.
func Open(master []byte, id string, sealed []byte) (ed25519.PrivateKey, error) {
	aead, err := sealer(master)
	if err != nil {
		return nil, err
	}
	der, err := aead.Open(nil, nil, sealed, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("open signing key %q: wrong master secret or damaged row: %w", id, err)
	}
	return ParsePrivate(der)
}

func sealer(master []byte) (cipher.AEAD, error) {
	if len(master) < MinMasterSecret {
		return nil, fmt.Errorf("master secret has %d bytes, at least %d are needed", len(master), MinMasterSecret)
	}
	derived, err := hkdf.Key(sha256.New, master, nil, sealInfo, 32)
	if err != nil {
		return nil, fmt.Errorf("derive sealing key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("sealing cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("sealing cipher: %w", err)
	}
	return aead, nil
}
