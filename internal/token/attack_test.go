package token_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/token"
)

// TestVerifyRefuses goes through the attacks of RFC 8725, section 2, and the
// faults of RFC 7519 and RFC 9068.
func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own := b.key.Private
	public := own.Public().(ed25519.PublicKey)
	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	foreignJWK := object{
		"kty": "OKP", "crv": "Ed25519", "kid": b.key.ID,
		"x": base64.RawURLEncoding.EncodeToString(foreign.Public().(ed25519.PublicKey)),
	}
	good := compact(own, b.header(nil), claims(nil))
	parts := strings.Split(good, ".")
	hs256 := func(secret []byte) string {
		signed := segment(b.header(object{"alg": "HS256"})) + "." + segment(claims(nil))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	rs256 := func() string {
		signed := segment(b.header(object{"alg": "RS256"})) + "." + segment(claims(nil))
		digest := sha256.Sum256([]byte(signed))
		signature, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, 5, digest[:])
		require.NoError(t, err)
		return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	header := func(changes object) string { return compact(own, b.header(changes), claims(nil)) }
	claim := func(changes object) string { return compact(own, b.header(nil), claims(changes)) }
	jsonForm, err := json.Marshal(object{
		"payload":    parts[1],
		"signatures": []object{{"protected": parts[0], "signature": parts[2]}},
	})
	require.NoError(t, err)

	attacks := map[string]string{
		"none without a signature":   segment(b.header(object{"alg": "none"})) + "." + parts[1] + ".",
		"none with a signature":      header(object{"alg": "none"}),
		"None, in another case":      segment(b.header(object{"alg": "NoNe"})) + "." + parts[1] + ".",
		"no algorithm":               header(object{"alg": nil}),
		"HS256 with the public key":  hs256(public),
		"HS256 with nothing":         hs256(nil),
		"HS256 with the key in text": hs256([]byte(base64.RawURLEncoding.EncodeToString(public))),
		"RS256":                      rs256(),
		"ES256 by name":              header(object{"alg": "ES256"}),
		"another key":                compact(foreign, b.header(nil), claims(nil)),
		"another key, embedded":      compact(foreign, b.header(object{"jwk": foreignJWK}), claims(nil)),
		"another key, embedded, kid": compact(foreign, b.header(object{"jwk": foreignJWK, "kid": nil}), claims(nil)),
		"another key by jku":         compact(foreign, b.header(object{"jku": "http://127.0.0.1:1/jwks.json"}), claims(nil)),
		"another key by x5u":         compact(foreign, b.header(object{"x5u": "http://127.0.0.1:1/cert.pem"}), claims(nil)),
		"kid missing":                header(object{"kid": nil}),
		"kid empty":                  header(object{"kid": ""}),
		"kid unknown":                header(object{"kid": uuid.NewString()}),
		"kid as a path":              header(object{"kid": "../../../../dev/null"}),
		"kid as SQL":                 header(object{"kid": "' UNION SELECT 'x'--"}),
		"kid as a number":            header(object{"kid": 1}),
		"typ JWT":                    header(object{"typ": "JWT"}),
		"typ missing":                header(object{"typ": nil}),
		"crit unknown":               header(object{"crit": []string{"x"}, "x": 1}),
		"crit with b64":              header(object{"crit": []string{"b64"}, "b64": false}),
		"b64 alone":                  header(object{"b64": true}),

		"another issuer":       claim(object{"iss": "https://picaspot.example.evil"}),
		"no issuer":            claim(object{"iss": nil}),
		"issuer as a list":     claim(object{"iss": []string{"https://picaspot.example"}}),
		"another audience":     claim(object{"aud": "maps"}),
		"other audiences":      claim(object{"aud": []string{"maps", "picaspot2"}}),
		"no audience":          claim(object{"aud": nil}),
		"audience as a number": claim(object{"aud": 7}),
		"nbf ahead":            claim(object{"nbf": start.Unix() + 31}),
		"iat ahead":            claim(object{"iat": start.Unix() + 31}),
		"no iat":               claim(object{"iat": nil}),
		"no exp":               claim(object{"exp": nil}),
		"exp as text":          claim(object{"exp": "never"}),
		"exp negative":         claim(object{"exp": -1}),
		"exp beyond numbers":   claim(object{"exp": 1e300}),
		"no subject":           claim(object{"sub": nil}),
		"subject not a UUID":   claim(object{"sub": "admin"}),
		"subject in braces":    claim(object{"sub": "{0196f6c0-1111-7000-8000-000000000001}"}),
		"subject nil UUID":     claim(object{"sub": uuid.Nil.String()}),
		"no session":           claim(object{"sid": nil}),
		"session not a UUID":   claim(object{"sid": "1"}),
		"no jti":               claim(object{"jti": nil}),
		"claims not JSON":      compact(own, b.header(nil), "admin"),
		"claims empty":         compact(own, b.header(nil), ""),

		"payload exchanged":       parts[0] + "." + segment(claims(object{"sub": uuid.NewString()})) + "." + parts[2],
		"header exchanged":        segment(b.header(object{"x": 1})) + "." + parts[1] + "." + parts[2],
		"signature of another":    parts[0] + "." + parts[1] + "." + strings.Split(claim(object{"jti": uuid.NewString()}), ".")[2],
		"signature cut":           good[:len(good)-4],
		"signature missing":       parts[0] + "." + parts[1] + ".",
		"two parts":               parts[0] + "." + parts[1],
		"four parts":              good + ".AAAA",
		"empty":                   "",
		"dots":                    "..",
		"not base64":              "?." + parts[1] + "." + parts[2],
		"header not JSON":         segment("nonsense") + "." + parts[1] + "." + parts[2],
		"padded":                  good + "==",
		"line break":              good + "\n",
		"line break inside":       good[:30] + "\r\n" + good[30:],
		"space before":            " " + good,
		"Bearer before":           "Bearer " + good,
		"stray bits at the end":   good[:len(good)-1] + string(nextInAlphabet(good[len(good)-1])),
		"JSON serialisation":      string(jsonForm),
		"huge":                    claim(object{"x": strings.Repeat("x", token.MaxLength)}),
		"huge and not a token":    strings.Repeat(".", 1<<20),
		"deep header":             segment(strings.Repeat("[", 2000)) + "." + parts[1] + "." + parts[2],
		"invalid UTF-8":           "\xff\xfe." + parts[1] + "." + parts[2],
		"five parts, as in a JWE": good + ".AAAA.AAAA",
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 {
				_, err := b.Verify(attack)
				require.ErrorIs(t, err, token.ErrInvalid)
				require.Equal(t, fault.Unauthenticated, fault.KindOf(err))
			}
		})
	}
	_, err = b.Verify(good)
	require.NoError(t, err, "what the attacks were made of is good")
}

// nextInAlphabet changes bits of the last character of a signature that no octet has.
func nextInAlphabet(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[(strings.IndexByte(alphabet, c)^1)%len(alphabet)]
}

func FuzzVerify(f *testing.F) {
	b := setup(f)
	good := compact(b.key.Private, b.header(nil), claims(nil))
	f.Add(good)
	f.Add(good + "=")
	f.Add("..")
	f.Add(`{"payload":"","signatures":[]}`)
	f.Fuzz(func(t *testing.T, input string) {
		_, err := b.Verify(input)
		if input == good {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, token.ErrInvalid)
	})
}
