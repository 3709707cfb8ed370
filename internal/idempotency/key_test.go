package idempotency_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/idempotency"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 255)
	for header, want := range map[string]string{
		"8e03978e-40d5-43dd-bc93-6894a57f9324":   "8e03978e-40d5-43dd-bc93-6894a57f9324",
		`"8e03978e-40d5-43dd-bc93-6894a57f9324"`: "8e03978e-40d5-43dd-bc93-6894a57f9324",
		`!#~`:                                    "!#~",
		`a"b\c`:                                  `a"b\c`,
		`"a\"b\\c"`:                              `a"b\c`,
		long:                                     long,
		`"` + long + `"`:                         long,
		"":                                       "",
		`"`:                                      "",
		`""`:                                     "",
		`"a`:                                     "",
		`"a"b"`:                                  "",
		`"a\b"`:                                  "",
		`"a";b=1`:                                "",
		"a b":                                    "",
		"a\x7f":                                  "",
		"ä":                                      "",
		long + "k":                               "",
	} {
		key, ok := idempotency.ParseKey(header)
		require.Equal(t, want != "", ok, header)
		if ok {
			require.Equal(t, want, key)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(`"a\"b"`)
	f.Add("8e03978e-40d5-43dd-bc93-6894a57f9324")
	f.Fuzz(func(t *testing.T, header string) {
		key, ok := idempotency.ParseKey(header)
		if !ok {
			return
		}
		require.NotEmpty(t, key)
		require.LessOrEqual(t, len(key), 255)
		again, ok := idempotency.ParseKey(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`)
		require.True(t, ok, strconv.Quote(key))
		require.Equal(t, key, again)
	})
}
