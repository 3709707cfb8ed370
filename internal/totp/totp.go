// Package totp is the second factor of a login: time-based one-time passwords
// (RFC 6238) as authenticator apps make them, with HMAC-SHA-1, six digits and
// steps of 30 seconds, and recovery codes for who lost the app.
package totp

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pquerna/otp/hotp"
)

// What authenticator apps assume; several ignore what a URI says otherwise.
const (
	period = 30 // seconds
	digits = 6
)

// secretBytes is the length of a secret: that of the hash, as RFC 4226, section
// 4, requirement R6, recommends.
const secretBytes = 20

// skew is how many steps a clock may be ahead or behind (RFC 6238, section 5.2).
const skew = 1

// maxCode is the longest input that is looked at, in bytes: six digits with
// whatever is typed between them.
const maxCode = 64

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewSecret returns 160 random bits, shared by an authenticator app and the
// server, in 32 characters of base32 without padding (RFC 4648, section 6).
func NewSecret() (secret string) {
	var raw [secretBytes]byte
	// It never fails: since Go 1.24 the program ends where the system has no entropy.
	_, _ = rand.Read(raw[:])
	return encoding.EncodeToString(raw[:])
}

// URI returns the otpauth URI that an authenticator app reads from a QR code
// (https://github.com/google/google-authenticator/wiki/Key-Uri-Format). The
// issuer and the account are what the app shows. The format allows no colon in
// either, a hyphen takes its place.
func URI(issuer, account, secret string) string {
	issuer, account = label(issuer), label(account)
	return "otpauth://totp/" + issuer + ":" + account +
		"?secret=" + label(secret) + "&issuer=" + issuer +
		"&algorithm=SHA1&digits=" + strconv.Itoa(digits) + "&period=" + strconv.Itoa(period)
}

// label escapes everything but letters, digits and "-_.~". Apps differ in
// whether they read "+" as a space, in the path too, so neither is left bare.
func label(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), ":", "-")
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// Verify reports whether code is the one-time password of the time now, or of
// 30 seconds before or after it, for clocks that drift. Only steps later than
// after count, so that no password works twice (RFC 6238, section 5.2): the
// caller stores the step that is returned, the number of 30 seconds since 1970,
// and hands it in the next time; 0 is for the first time. Whitespace and hyphens
// in the code are ignored. A secret that [NewSecret] cannot have made has no codes.
func Verify(secret, code string, now time.Time, after int64) (step int64, ok bool) {
	// An empty or short key makes codes that anybody can guess.
	if raw, err := encoding.DecodeString(secret); err != nil || len(raw) != secretBytes {
		return 0, false
	}
	code, ok = normalizeCode(code)
	if !ok || now.Unix() < 0 {
		return 0, false
	}
	current := now.Unix() / period
	step, ok = 0, false
	// All steps are compared whichever matches. If two have the same code, the
	// later is taken: after the earlier one the code would work again.
	for s := max(0, current-skew); s <= current+skew; s++ {
		want, err := hotp.GenerateCode(secret, uint64(s))
		if err != nil {
			return 0, false
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && s > after {
			step, ok = s, true
		}
	}
	return step, ok
}

// normalizeCode drops whitespace and hyphens, and reports whether six ASCII
// digits are left.
func normalizeCode(code string) (string, bool) {
	if len(code) > maxCode {
		return "", false
	}
	code = dropSeparators(code)
	if len(code) != digits {
		return "", false
	}
	for i := range len(code) {
		if code[i] < '0' || code[i] > '9' {
			return "", false
		}
	}
	return code, true
}

func dropSeparators(code string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, code)
}
