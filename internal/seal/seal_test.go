package seal_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/seal"
)

var secret = bytes.Repeat([]byte("s"), seal.MinSecret)

func newSealer(t *testing.T, secret []byte, purpose string) *seal.Sealer {
	t.Helper()
	s, err := seal.New(secret, purpose)
	require.NoError(t, err)
	return s
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	s := newSealer(t, secret, "test v1")
	for _, plain := range []string{"", "x", "a seed of one-time passwords", strings.Repeat("long ", 1000)} {
		for _, id := range []string{"", "7", "0199aaaa-0000-7000-8000-000000000001"} {
			sealed := s.Seal(id, []byte(plain))
			require.Len(t, sealed, len(plain)+seal.Overhead)
			if len(plain) > 4 {
				require.NotContains(t, string(sealed), plain)
			}
			require.NotEqual(t, sealed, s.Seal(id, []byte(plain)), "each with a nonce of its own")
			// Another sealer of the same secret and purpose, as after a restart.
			opened, err := newSealer(t, secret, "test v1").Open(id, sealed)
			require.NoError(t, err)
			require.Equal(t, plain, string(opened))
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	s := newSealer(t, secret, "test v1")
	sealed := s.Seal("id", []byte("plain"))
	for name, open := range map[string]func() ([]byte, error){
		"another secret": func() ([]byte, error) {
			return newSealer(t, bytes.Repeat([]byte("t"), seal.MinSecret), "test v1").Open("id", sealed)
		},
		"longer secret": func() ([]byte, error) {
			return newSealer(t, append(bytes.Clone(secret), 's'), "test v1").Open("id", sealed)
		},
		"another purpose": func() ([]byte, error) { return newSealer(t, secret, "test v2").Open("id", sealed) },
		"another id":      func() ([]byte, error) { return s.Open("id2", sealed) },
		"no id":           func() ([]byte, error) { return s.Open("", sealed) },
		"longer":          func() ([]byte, error) { return s.Open("id", append(bytes.Clone(sealed), 0)) },
		"twice":           func() ([]byte, error) { return s.Open("id", append(bytes.Clone(sealed), sealed...)) },
	} {
		plain, err := open()
		require.Error(t, err, name)
		require.Nil(t, plain, name)
	}
	for i := range sealed {
		_, err := s.Open("id", sealed[:i])
		require.Error(t, err, "cut to %d bytes", i)
		for bit := range 8 {
			damaged := bytes.Clone(sealed)
			damaged[i] ^= 1 << bit
			_, err := s.Open("id", damaged)
			require.Error(t, err, "bit %d of byte %d", bit, i)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	_, err := seal.New(nil, "test v1")
	require.ErrorContains(t, err, "0 bytes")
	_, err = seal.New(secret[1:], "test v1")
	require.ErrorContains(t, err, "31 bytes")
	require.NotContains(t, err.Error(), "sss", "the secret stays out of errors")
	_, err = seal.New(secret, "")
	require.ErrorContains(t, err, "purpose")
}

func TestSealerIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s := newSealer(t, secret, "test v1")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				opened, err := s.Open("id", s.Seal("id", []byte("plain")))
				if err != nil || string(opened) != "plain" {
					t.Errorf("opened %q, %v", opened, err)
				}
			}
		})
	}
	group.Wait()
}

func FuzzOpen(f *testing.F) {
	s, err := seal.New(secret, "test v1")
	require.NoError(f, err)
	f.Add("id", []byte(nil))
	f.Add("id", bytes.Repeat([]byte{0}, seal.Overhead))
	f.Fuzz(func(t *testing.T, id string, sealed []byte) {
		if plain, err := s.Open(id, sealed); err == nil {
			t.Fatalf("opened forged %x as %x", sealed, plain)
		}
	})
}
