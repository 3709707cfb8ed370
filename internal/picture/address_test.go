package picture_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/picture"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 9, 30, 0, 0, time.UTC)
	secret := []byte(strings.Repeat("s", 32))
	addresses, err := picture.NewAddresses(secret, "https://picaspot.example/", func() time.Time { return now })
	require.NoError(t, err)
	const reference = "/api/v1/areas/1/image?version=abc"
	check := func(a *picture.Addresses, address string) (time.Time, string) {
		u, err := url.Parse(address)
		require.NoError(t, err)
		until, err := a.Check(u.Path, u.Query())
		if err == nil {
			return until, ""
		}
		var known *fault.Error
		require.ErrorAs(t, err, &known)
		require.Equal(t, fault.Forbidden, known.Kind)
		return until, known.Code
	}
	address, version := addresses.Sign(reference), addresses.Version()
	require.True(t, strings.HasPrefix(address, "https://picaspot.example"+reference+"&expires="))
	until, code := check(addresses, address)
	require.Empty(t, code)
	require.Equal(t, time.Date(2026, 11, 1, 16, 0, 0, 0, time.UTC), until.UTC())

	// Within an hour it is the same, so that it is found in caches.
	now = now.Add(29 * time.Minute)
	require.Equal(t, address, addresses.Sign(reference))
	require.Equal(t, version, addresses.Version())
	now = now.Add(2 * time.Minute)
	require.NotEqual(t, address, addresses.Sign(reference))
	require.NotEqual(t, version, addresses.Version())

	later := addresses.Sign(reference)
	signature := func(address string) string { return address[strings.Index(address, "signature="):] }
	for name, other := range map[string]string{
		"another object":          strings.Replace(address, "areas/1", "areas/2", 1),
		"another version":         strings.Replace(address, "version=abc", "version=abd", 1),
		"no version":              strings.Replace(address, "version=abc", "", 1),
		"a later end":             strings.Replace(later, signature(later), signature(address), 1),
		"an end that is none":     strings.Replace(address, "expires=", "expires=x", 1),
		"an end of two lines":     strings.Replace(address, "expires=", "expires=%0A", 1),
		"another signature":       strings.Replace(address, "signature="+address[len(address)-22:], "signature="+strings.Repeat("A", 22), 1),
		"a signature cut short":   address[:len(address)-1],
		"a signature of 0 bytes":  strings.Replace(address, signature(address), "signature=", 1),
		"a signature that is no":  strings.Replace(address, signature(address), "signature=%00", 1),
		"a path beside the query": strings.Replace(address, "/image?version=abc", "/image%3Fversion=abc?version=", 1),
	} {
		require.NotEqual(t, address, other, name)
		_, code := check(addresses, other)
		require.Equal(t, "signature_invalid", code, name)
	}
	stranger, err := picture.NewAddresses([]byte(strings.Repeat("x", 32)), "https://picaspot.example", func() time.Time { return now })
	require.NoError(t, err)
	_, code = check(stranger, address)
	require.Equal(t, "signature_invalid", code)

	now = until.Add(-time.Second)
	_, code = check(addresses, address)
	require.Empty(t, code)
	now = until
	_, code = check(addresses, address)
	require.Equal(t, "signature_expired", code)
}
