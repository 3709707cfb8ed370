// Package seal encrypts small secrets for the database: AES-256-GCM (NIST SP
// 800-38D) under a key derived by HKDF-SHA256 (RFC 5869) for one purpose.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// MinSecret is the least length of the secret that keys are derived from, in bytes.
const MinSecret = 32

// Overhead is by how much sealed bytes are longer than plain ones: a nonce of 12
// bytes before and a tag of 16 after them.
const Overhead = 28

const keyLength = 32 // AES-256

// Sealer seals and opens for one purpose. It is safe for concurrent use. Nonces
// are random, so one must not seal more than 2^32 times under the same secret
// and purpose (NIST SP 800-38D, section 8.3).
type Sealer struct{ aead cipher.AEAD }

// New derives the key of one purpose from a secret, and fails if the secret is
// shorter than [MinSecret] or there is no purpose. The secret must be random:
// the installation's master secret, or a token of 256 bits in its text form. It
// is not stretched, as a password would need to be. What was sealed for one
// purpose cannot be opened for another; a new format gets a new purpose.
func New(secret []byte, purpose string) (*Sealer, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("sealing secret has %d bytes, at least %d are needed", len(secret), MinSecret)
	}
	if purpose == "" {
		return nil, errors.New("sealing key without a purpose")
	}
	derived, err := hkdf.Key(sha256.New, secret, nil, purpose, keyLength)
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
	return &Sealer{aead: aead}, nil
}

// Seal encrypts plain, differently each time. The id of what it belongs to is
// authenticated along, so that sealed bytes cannot be passed off as another row's.
func (s *Sealer) Seal(id string, plain []byte) []byte {
	return s.aead.Seal(nil, nil, plain, []byte(id)) //nolint:gosec // The AEAD makes its own random nonce.
}

// Open decrypts what [Sealer.Seal] made for the same id under the same secret
// and purpose. Anything else, damaged or cut short, is an error.
func (s *Sealer) Open(id string, sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("open what is sealed for %q: %w", id, err)
	}
	return plain, nil
}
