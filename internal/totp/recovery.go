package totp

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
)

const (
	recoveryCodes  = 10
	recoveryLength = 26 // characters of 5 bits: 130 bits
	recoveryGroup  = 4  // characters between hyphens
)

// recoveryAlphabet is Crockford's base32 (https://www.crockford.com/base32.html)
// in lower case: no i, l and o, which look like digits, and no u.
const recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// NewRecoveryCodes returns ten codes, each of which stands in for a one-time
// password once, in groups of four as "0123-abcd-…", and the hashes under which
// the database keeps them, in the same order.
func NewRecoveryCodes() (plain []string, hashes [][]byte) {
	for range recoveryCodes {
		code := newRecoveryCode()
		plain, hashes = append(plain, code), append(hashes, HashRecoveryCode(code))
	}
	return plain, hashes
}

func newRecoveryCode() string {
	var raw [recoveryLength]byte
	// It never fails: since Go 1.24 the program ends where the system has no entropy.
	_, _ = rand.Read(raw[:])
	var b strings.Builder
	for i, r := range raw {
		if i > 0 && i%recoveryGroup == 0 {
			b.WriteByte('-')
		}
		// 256 is a multiple of 32: every character is as likely.
		b.WriteByte(recoveryAlphabet[int(r)%len(recoveryAlphabet)])
	}
	return b.String()
}

// NormalizeRecoveryCode brings a code as somebody typed it into the one form
// under which it is hashed: lower case, without whitespace and hyphens, with 0
// for o and 1 for i and l. What cannot be part of a code is left as it is.
func NormalizeRecoveryCode(code string) string {
	return strings.Map(func(r rune) rune {
		// ASCII only: the Kelvin sign in lower case is a k.
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		switch r {
		case 'o':
			return '0'
		case 'i', 'l':
			return '1'
		}
		return r
	}, dropSeparators(code))
}

// HashRecoveryCode returns the SHA-256 of a code's normal form, to look it up
// by. With 130 random bits it needs neither salt nor stretching.
func HashRecoveryCode(code string) []byte {
	hash := sha256.Sum256([]byte(NormalizeRecoveryCode(code)))
	return hash[:]
}

// IsRecoveryCode reports whether code has the form of a recovery code, and not
// that of a one-time password. Whether it is anybody's, only the database knows.
func IsRecoveryCode(code string) bool {
	if len(code) > maxCode {
		return false
	}
	code = NormalizeRecoveryCode(code)
	return len(code) == recoveryLength && strings.Trim(code, recoveryAlphabet) == ""
}
