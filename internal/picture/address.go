package picture

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/picaspot/picaspot/internal/fault"
)

const (
	// Window is how often a picture gets another address: within it the address is the
	// same, so that browsers find what they have.
	Window = time.Hour
	// validity is how long an address is good for after the end of its window.
	validity = 6 * time.Hour
	// signatureBytes of HMAC-SHA256 are kept (RFC 2104, section 5, asks for half).
	signatureBytes = 16
	addressPurpose = "picaspot picture addresses v1"
)

var (
	errSignature = fault.New(fault.Forbidden, "signature_invalid", "The signature is not of this address. Fetch the resource again, or begin another upload, and use the url that it has.")
	errExpired   = fault.New(fault.Forbidden, "signature_expired", "The address has expired. Fetch the resource again, or begin another upload, and use the url that it has.")
)

// Addresses makes the addresses at which pictures can be fetched, and photos uploaded,
// without a token, and checks them. A client that knows one may use it until it expires, as long as
// the object shows that picture or the upload is open.
type Addresses struct {
	key []byte
	// origin is what addresses begin with.
	origin string
	now    func() time.Time
}

// NewAddresses derives the key from the installation's secret (RFC 5869). publicURL is
// where clients reach this server.
func NewAddresses(secret []byte, publicURL string, now func() time.Time) (*Addresses, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, addressPurpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of picture addresses: %w", err)
	}
	u, err := url.Parse(publicURL)
	if err != nil {
		return nil, fmt.Errorf("the public URL: %w", err)
	}
	return &Addresses{key: key, origin: u.Scheme + "://" + u.Host, now: now}, nil
}

// window is the end of the present one.
func (a *Addresses) window() time.Time { return a.now().Truncate(Window).Add(Window) }

// Version names the present window: what contains an address changes with it.
func (a *Addresses) Version() string {
	return strconv.FormatInt(a.window().Unix()/int64(Window.Seconds()), 36)
}

// Sign returns the address of the picture that reference names by its path and its
// version, as in /api/v1/areas/1/image?version=2. It is good for 6 to 7 hours.
func (a *Addresses) Sign(reference string) string {
	return a.sign(reference, "&", a.window().Add(validity))
}

// SignUntil returns the address of a path, which is good until a time, in whole seconds.
func (a *Addresses) SignUntil(path string, end time.Time) string { return a.sign(path, "?", end) }

func (a *Addresses) sign(reference, separator string, end time.Time) string {
	expires := strconv.FormatInt(end.Unix(), 10)
	return a.origin + reference + separator + "expires=" + expires + "&signature=" + base64.RawURLEncoding.EncodeToString(a.mac(reference, expires))
}

// Check returns until when the address of a request is good: a [fault.Forbidden] of code
// signature_invalid or signature_expired if it is not.
func (a *Addresses) Check(path string, query url.Values) (time.Time, error) {
	expires := query.Get("expires")
	reference := path
	if query.Has("version") {
		reference += "?version=" + query.Get("version")
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(query.Get("signature"))
	if err != nil || !hmac.Equal(given, a.mac(reference, expires)) {
		return time.Time{}, errSignature
	}
	seconds, err := strconv.ParseInt(expires, 10, 64)
	if err != nil {
		return time.Time{}, errSignature
	}
	until := time.Unix(seconds, 0)
	if !a.now().Before(until) {
		return time.Time{}, errExpired
	}
	return until, nil
}

// mac is that of a reference and its end. Neither holds a line end.
func (a *Addresses) mac(reference, expires string) []byte {
	h := hmac.New(sha256.New, a.key)
	h.Write([]byte(reference + "\n" + expires)) // A hash takes everything.
	return h.Sum(nil)[:signatureBytes]
}

type addressesKey struct{}

// WithAddresses returns a context in which pictures get addresses of these.
func WithAddresses(ctx context.Context, a *Addresses) context.Context {
	return context.WithValue(ctx, addressesKey{}, a)
}

// AddressesFrom returns the context's addresses, or nil when pictures are to be named by
// their references, as in what is kept for later.
func AddressesFrom(ctx context.Context) *Addresses {
	a, _ := ctx.Value(addressesKey{}).(*Addresses)
	return a
}
