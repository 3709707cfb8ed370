package token

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/google/uuid"
)

const (
	idBytes  = len(uuid.UUID{})
	macBytes = sha256.Size
	// refreshInfo separates the key from whatever else is derived from the same secret.
	refreshInfo = "picaspot refresh token v1"
)

// Refresher makes refresh tokens: the id of the session, 256 random bits, and an
// HMAC of both. The HMAC tells an old token, whose reuse ends its session, from
// one that somebody made up, which must not; and it costs no look-up to tell.
type Refresher struct{ key []byte }

// NewRefresher derives the key from the installation's secret, of at least
// [MinMasterSecret] bytes.
func NewRefresher(secret []byte) (*Refresher, error) {
	if len(secret) < MinMasterSecret {
		return nil, fmt.Errorf("master secret has %d bytes, at least %d are needed", len(secret), MinMasterSecret)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, refreshInfo, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("refresh token key: %w", err)
	}
	return &Refresher{key: key}, nil
}

// New makes a refresh token of a session, and the hash under which the database keeps it.
func (r *Refresher) New(session uuid.UUID) (plain string, hash []byte) {
	raw := make([]byte, idBytes+opaqueBytes, idBytes+opaqueBytes+macBytes)
	copy(raw, session[:])
	// It never fails: since Go 1.24 the program ends where the system has no entropy.
	_, _ = rand.Read(raw[idBytes:])
	plain = base64.RawURLEncoding.EncodeToString(append(raw, r.mac(raw)...))
	return plain, HashOpaque(plain)
}

// Session returns the session that a token belongs to, and the token's hash. It
// is false for what was not made here.
func (r *Refresher) Session(plain string) (session uuid.UUID, hash []byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(plain)
	if err != nil || len(raw) != idBytes+opaqueBytes+macBytes {
		return uuid.Nil, nil, false
	}
	// Line breaks are skipped in decoding; one token has one spelling.
	if base64.RawURLEncoding.EncodeToString(raw) != plain {
		return uuid.Nil, nil, false
	}
	body, mac := raw[:idBytes+opaqueBytes], raw[idBytes+opaqueBytes:]
	if !hmac.Equal(mac, r.mac(body)) {
		return uuid.Nil, nil, false
	}
	return uuid.UUID(body[:idBytes]), HashOpaque(plain), true
}

func (r *Refresher) mac(body []byte) []byte {
	h := hmac.New(sha256.New, r.key)
	h.Write(body)
	return h.Sum(nil)
}
