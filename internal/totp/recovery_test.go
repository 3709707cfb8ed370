package totp_test

import (
	"crypto/sha256"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/totp"
)

func TestNewRecoveryCodes(t *testing.T) {
	t.Parallel()
	seen, letters := map[string]bool{}, map[rune]bool{}
	for range 50 {
		plain, hashes := totp.NewRecoveryCodes()
		require.Len(t, plain, 10)
		require.Len(t, hashes, 10)
		for i, code := range plain {
			require.Regexp(t, `^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){5}-[0-9a-hjkmnp-tv-z]{2}$`, code)
			require.True(t, totp.IsRecoveryCode(code))
			require.Equal(t, hashes[i], totp.HashRecoveryCode(code))
			require.False(t, seen[code])
			seen[code] = true
			for _, r := range code {
				letters[r] = true
			}
		}
	}
	require.Len(t, letters, 32+1, "every letter occurs, and the hyphen")
}

// However a code is spelled, it is the same code.
func TestRecoveryCodeSpelling(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		plain, hashes := totp.NewRecoveryCodes()
		for i, code := range plain {
			var b strings.Builder
			for _, r := range strings.ReplaceAll(code, "-", "") {
				switch {
				case r == '0' && random.IntN(2) == 0:
					r = 'o'
				case r == '1' && random.IntN(2) == 0:
					r = []rune("il")[random.IntN(2)]
				}
				text := string(r)
				if random.IntN(2) == 0 {
					text = strings.ToUpper(text)
				}
				b.WriteString(text)
				b.WriteString([]string{"", "", "", " ", "-"}[random.IntN(5)])
			}
			typed := b.String()
			require.Equal(t, strings.ReplaceAll(code, "-", ""), totp.NormalizeRecoveryCode(typed), typed)
			require.Equal(t, hashes[i], totp.HashRecoveryCode(typed), typed)
			require.True(t, totp.IsRecoveryCode(typed), typed)
		}
	}
}

func TestHashRecoveryCode(t *testing.T) {
	t.Parallel()
	want := sha256.Sum256([]byte("0123abcd0156wxyz"))
	require.Equal(t, want[:], totp.HashRecoveryCode(" 0123-ABCD-oI56-wxyz\n"))
	require.NotEqual(t, want[:], totp.HashRecoveryCode("0123-abcd-0156-wxy"))
	require.NotEqual(t, want[:], totp.HashRecoveryCode("0123-abcd-0156-wxyzz"))
}

func TestIsRecoveryCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"0123-abcd-efgh-jkmn-pqrs-tvwx-yz":      true,
		"0123abcdefghjkmnpqrstvwxyz":            true,
		"OILO ilo0 1111 0000 oooo llll iI":      true,
		"1234-5678-9012-3456-7890-1234-56":      true,
		"":                                      false,
		"----":                                  false,
		"123456":                                false,
		"123 456":                               false,
		"0123-abcd-efgh-jkmn-pqrs-tvwx-y":       false,
		"0123-abcd-efgh-jkmn-pqrs-tvwx-yz0":     false,
		"0123-abcd-efgh-jkmn-pqrs-tvwx-yu":      false,
		"0123-abcd-efgh-jkmn-pqrs-tvwx-y!":      false,
		"0123-abcd-efgh-j\u212Amn-pqrs-tvwx-yz": false, // The Kelvin sign
		"０１２３-abcd-efgh-jkmn-pqrs-tvwx-yz":      false,
		"\xff123-abcd-efgh-jkmn-pqrs-tvwx-yz":   false,
		"0123-abcd-efgh-jkmn-pqrs-tvwx-yz" + strings.Repeat(" ", 100): false,
	} {
		require.Equal(t, want, totp.IsRecoveryCode(code), "%q", code)
	}
}

func FuzzNormalizeRecoveryCode(f *testing.F) {
	f.Add("0123-ABCD-oilu-jkmn")
	f.Add("\u212A\u0130\xff \u00a0-")
	f.Fuzz(func(t *testing.T, code string) {
		normal := totp.NormalizeRecoveryCode(code)
		require.Equal(t, normal, totp.NormalizeRecoveryCode(normal), "normalised again")
		require.Equal(t, totp.HashRecoveryCode(code), totp.HashRecoveryCode(normal))
		require.NotContains(t, normal, "-")
		require.NotRegexp(t, `[A-Zilo\s]`, normal)
		if totp.IsRecoveryCode(code) {
			require.True(t, totp.IsRecoveryCode(normal))
			require.Regexp(t, `^[0-9a-hjkmnp-tv-z]{26}$`, normal)
		}
	})
}
