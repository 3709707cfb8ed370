package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// opaqueBytes is the entropy of an opaque token: 256 bits, so that its hash
// needs neither salt nor stretching.
const opaqueBytes = 32

// NewOpaque returns a random token, 43 characters of base64url, for a refresh
// token or a mail, and the hash under which the database keeps it.
func NewOpaque() (plain string, hash []byte) {
	var raw [opaqueBytes]byte
	// It never fails: since Go 1.24 the program ends where the system has no entropy.
	_, _ = rand.Read(raw[:])
	plain = base64.RawURLEncoding.EncodeToString(raw[:])
	return plain, HashOpaque(plain)
}

// HashOpaque returns the SHA-256 of an opaque token as it was handed in, to look it up by.
func HashOpaque(plain string) []byte {
	hash := sha256.Sum256([]byte(plain))
	return hash[:]
}
