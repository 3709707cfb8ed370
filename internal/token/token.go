// Package token makes and checks the tokens that PicASpot hands out: access
// tokens, which are JWTs (RFC 7519, RFC 8725, RFC 9068) signed with Ed25519,
// and opaque ones for mails and sessions, of which only a hash is kept.
//
// It is the only package that knows the JOSE library. No type of that library
// is part of its interface, so that replacing it changes this package alone.
package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/picaspot/picaspot/internal/fault"
)

const (
	// MaxLength is how long an access token may be, in bytes. Ours have some 500.
	MaxLength = 4096
	// Leeway is how far the clock that issued a token may be ahead of ours. There
	// is none at the end of a token's life.
	Leeway = 30 * time.Second

	// mediaType is the `typ` of an access token (RFC 9068, section 2.1). It keeps
	// other JWTs of the same issuer from being used as one (RFC 8725, section 3.11).
	mediaType = "at+jwt"

	defaultCacheSize = 1 << 16
)

var (
	// ErrInvalid is the answer to every token that was not issued here, for here
	// and for now. The wrapped cause tells the log what was wrong with it.
	ErrInvalid = fault.New(fault.Unauthenticated, "invalid_token", "The access token is not valid.")
	// ErrExpired is the answer to a token that was good once.
	ErrExpired = fault.New(fault.Unauthenticated, "expired_token", "The access token has expired.")
)

// Claims is what an access token says.
type Claims struct {
	// Subject is the user.
	Subject uuid.UUID
	// SessionID is the session, which can be ended before the token is (`sid`).
	SessionID uuid.UUID
	// ClientID is the OAuth 2 client, if one is known.
	ClientID string

	// ID (`jti`), KeyID (`kid`) and the times are set by the [Authority].
	ID        uuid.UUID
	KeyID     string
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Config says who issues tokens, for whom and for how long.
type Config struct {
	// Issuer and Audience are `iss` and `aud`; both are required and compared
	// octet by octet.
	Issuer   string
	Audience string
	// TTL is the life of a token.
	TTL time.Duration
	// Clock tells the time; nil is [time.Now].
	Clock func() time.Time
	// Keys returns the current keys. It is called for each token, concurrently.
	Keys func() *KeySet
	// CacheSize is how many verified tokens are remembered; 0 is 65,536, which
	// takes some 15 MB when all are in use.
	CacheSize int
}

// Authority issues access tokens and verifies them. It is safe for concurrent use.
type Authority struct {
	config Config
	seen   *seen
}

// New returns an authority, or an error that names what is missing in the configuration.
func New(config Config) (*Authority, error) {
	switch {
	case config.Issuer == "":
		return nil, errors.New("token: no issuer")
	case config.Audience == "":
		return nil, errors.New("token: no audience")
	case config.TTL < time.Second:
		return nil, fmt.Errorf("token: a life of %s is below a second", config.TTL)
	case config.Keys == nil:
		return nil, errors.New("token: no keys")
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.CacheSize <= 0 {
		config.CacheSize = defaultCacheSize
	}
	return &Authority{config: config, seen: newSeen(config.CacheSize)}, nil
}

// payload is the claims as they travel. Times are whole seconds, as the
// strictest of clients expect a NumericDate to be.
type payload struct {
	Issuer    string   `json:"iss"`
	Audience  audience `json:"aud"`
	Subject   string   `json:"sub"`
	SessionID string   `json:"sid"`
	ClientID  string   `json:"client_id,omitempty"`
	ID        string   `json:"jti"`
	IssuedAt  int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
	ExpiresAt int64    `json:"exp"`
}

// audience is one string or several (RFC 7519, section 4.1.3).
type audience []string

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

func (a *audience) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*a = make(audience, 1)
		return json.Unmarshal(data, &(*a)[0])
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// Issue signs a token for a user's session and returns it with the instant, in
// whole seconds, at which it expires. Only Subject, SessionID and ClientID of
// the claims are read.
func (a *Authority) Issue(claims Claims) (token string, expiresAt time.Time, err error) {
	if claims.Subject == uuid.Nil || claims.SessionID == uuid.Nil {
		return "", time.Time{}, errors.New("issue access token: no subject or no session")
	}
	now := a.config.Clock()
	key, err := a.config.Keys().signer(now)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("issue access token: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("issue access token: %w", err)
	}
	now = now.UTC().Truncate(time.Second)
	expiresAt = now.Add(a.config.TTL).Truncate(time.Second)
	body, err := json.Marshal(payload{
		Issuer:    a.config.Issuer,
		Audience:  audience{a.config.Audience},
		Subject:   claims.Subject.String(),
		SessionID: claims.SessionID.String(),
		ClientID:  claims.ClientID,
		ID:        id.String(),
		IssuedAt:  now.Unix(),
		NotBefore: now.Unix(),
		ExpiresAt: expiresAt.Unix(),
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("issue access token: %w", err)
	}
	header := jws.NewHeaders()
	if err := errors.Join(header.Set(jws.TypeKey, mediaType), header.Set(jws.KeyIDKey, key.ID)); err != nil {
		return "", time.Time{}, fmt.Errorf("issue access token: %w", err)
	}
	signed, err := jws.Sign(body, jws.WithKey(jwa.EdDSA, key.Private, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("issue access token: %w", err)
	}
	if len(signed) > MaxLength {
		return "", time.Time{}, fmt.Errorf("issue access token: %d bytes are more than the %d that are accepted", len(signed), MaxLength)
	}
	return string(signed), expiresAt, nil
}

// Verify returns the claims of a token that was issued by this authority, for
// this audience, and holds now. The error is [ErrExpired] or [ErrInvalid].
//
// A token that was verified once is recognised by its hash until it expires or
// its key is gone from the key set. Whether its session still exists, and the
// user may still come in, is not known here: ask for it on each request.
func (a *Authority) Verify(token string) (Claims, error) {
	if len(token) > MaxLength {
		return Claims{}, ErrInvalid.Wrap(fmt.Errorf("%d bytes are more than %d", len(token), MaxLength))
	}
	now, keys := a.config.Clock(), a.config.Keys()
	digest := sha256.Sum256([]byte(token))
	if known, ok := a.seen.get(digest); ok && known.holds(keys, now) {
		return known.claims, nil
	}
	claims, key, err := a.verify(token, keys, now)
	if err != nil {
		return Claims{}, err
	}
	a.seen.put(digest, verified{claims: claims, key: key}, now)
	return claims, nil
}

// verify does the work that is not done twice for the same token.
func (a *Authority) verify(token string, keys *KeySet, now time.Time) (Claims, *Key, error) {
	if err := canonical(token); err != nil {
		return Claims{}, nil, ErrInvalid.Wrap(err)
	}
	var key *Key
	// The provider runs before the signature is checked. It alone decides on
	// algorithm and key: alg, jwk, jku, x5c and x5u are the sender's wishes.
	choose := func(_ context.Context, sink jws.KeySink, signature *jws.Signature, _ *jws.Message) error {
		header := signature.ProtectedHeaders()
		if alg := header.Algorithm(); alg != jwa.EdDSA {
			return fmt.Errorf("algorithm %q", alg)
		}
		if typ := header.Type(); typ != mediaType {
			return fmt.Errorf("type %q", typ)
		}
		// We know no extension, so there is none that we may accept
		// (RFC 7515, section 4.1.11); b64 is one (RFC 7797).
		for _, name := range []string{jws.CriticalKey, "b64"} {
			if _, ok := header.Get(name); ok {
				return fmt.Errorf("header %q is not supported", name)
			}
		}
		if key = keys.verifier(header.KeyID(), now); key == nil {
			return fmt.Errorf("no key %q", header.KeyID())
		}
		sink.Key(jwa.EdDSA, key.Private.Public())
		return nil
	}
	body, err := jws.Verify([]byte(token), jws.WithCompact(), jws.WithKeyProvider(jws.KeyProviderFunc(choose)))
	if err != nil {
		return Claims{}, nil, ErrInvalid.Wrap(err)
	}
	claims, err := a.check(body, now)
	if err != nil {
		return Claims{}, nil, err
	}
	claims.KeyID = key.ID
	return claims, key, nil
}

// check reads the claims of a token whose signature is good.
func (a *Authority) check(body []byte, now time.Time) (Claims, error) {
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return Claims{}, ErrInvalid.Wrap(fmt.Errorf("claims: %w", err))
	}
	subject, errSubject := parseUUID(p.Subject)
	session, errSession := parseUUID(p.SessionID)
	id, errID := parseUUID(p.ID)
	issuedAt, notBefore, expiresAt := time.Unix(p.IssuedAt, 0).UTC(), time.Unix(p.NotBefore, 0).UTC(), time.Unix(p.ExpiresAt, 0).UTC()
	latest := now.Add(Leeway)
	switch {
	case p.Issuer != a.config.Issuer:
		return Claims{}, ErrInvalid.Wrap(fmt.Errorf("issuer %q", p.Issuer))
	case !slices.Contains(p.Audience, a.config.Audience):
		return Claims{}, ErrInvalid.Wrap(fmt.Errorf("audience %q", p.Audience))
	case errSubject != nil:
		return Claims{}, ErrInvalid.Wrap(fmt.Errorf("sub: %w", errSubject))
	case errSession != nil:
		return Claims{}, ErrInvalid.Wrap(fmt.Errorf("sid: %w", errSession))
	case errID != nil:
		return Claims{}, ErrInvalid.Wrap(fmt.Errorf("jti: %w", errID))
	case p.IssuedAt <= 0 || p.ExpiresAt <= 0:
		return Claims{}, ErrInvalid.Wrap(errors.New("iat or exp is missing"))
	case issuedAt.After(latest):
		return Claims{}, ErrInvalid.Wrap(fmt.Errorf("issued in the future, at %s", issuedAt))
	case notBefore.After(latest):
		return Claims{}, ErrInvalid.Wrap(fmt.Errorf("not valid before %s", notBefore))
	case !now.Before(expiresAt):
		return Claims{}, ErrExpired
	}
	return Claims{
		Subject: subject, SessionID: session, ClientID: p.ClientID,
		ID: id, IssuedAt: issuedAt, ExpiresAt: expiresAt,
	}, nil
}

// canonical refuses what decodes to the same octets as a token but is spelled
// differently (padding, line breaks, stray bits), which the library would take.
// One token then has one hash, and nobody can fill the memory with its variants.
func canonical(token string) error {
	if strings.ContainsAny(token, "\r\n") {
		return errors.New("line break in a token")
	}
	if strings.Count(token, ".") != 2 {
		return errors.New("not in the three parts of a compact JWS")
	}
	for part := range strings.SplitSeq(token, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return err
		}
	}
	return nil
}

// parseUUID takes the canonical form only; [uuid.Parse] would take four others.
func parseUUID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, err
	}
	if id == uuid.Nil || id.String() != text {
		return uuid.Nil, fmt.Errorf("%q is not a UUID in canonical form", text)
	}
	return id, nil
}
