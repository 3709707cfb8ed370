package password

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	own := []string{"ada_lovelace", "ada.king@analytical-engine.example"}
	for plain, code := range map[string]string{
		"":                                       "min_length",
		"kV9$xq2":                                "min_length",
		"🚲🌉🗻🏝🚀🎷🦊":                                "min_length",
		strings.Repeat("kV9$xq2L", 16) + "x":     "max_length",
		strings.Repeat("kV9$xq2L", 1<<20):        "max_length",
		strings.Repeat("\ufdfa", 10):             "max_length",
		"caf\xe9 latte macchiato":                "invalid_encoding",
		"password":                               "too_common",
		"Password123":                            "too_common",
		"P@ssw0rd1":                              "too_common",
		"12345678":                               "too_common",
		"12345678901234567890":                   "too_common",
		"qwertyuiop":                             "too_common",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":       "too_common",
		"éééééééééééééé":                         "too_common",
		"abcabcabcabcabcabc":                     "too_common",
		"passwordpasswordpassword":               "too_common",
		"iloveyou2":                              "too_common",
		"dragon2024":                             "too_common",
		"Summer2024!":                            "too_common",
		"ｐａｓｓｗｏｒｄ":                               "too_common",
		"ada_lovelace":                           "contains_identity",
		"Ada.Lovelace":                           "contains_identity",
		"adalovelace1":                           "contains_identity",
		"ecalevol_ada":                           "contains_identity",
		"ada.king@analytical-engine.example":     "contains_identity",
		"lovelaceking":                           "contains_identity",
		"king-ada-12":                            "too_common",
		"lovelace1815":                           "too_common",
		"correct horse battery staple":           "",
		"picaspot-on-a-laptop":                   "",
		"kV9$xq2L":                               "",
		"jdk82hs9":                               "",
		"adamant kingfisher tuba":                "",
		"長いパスワードですよね":                            "",
		"🚲🌉🗻🏝🚀🎷🦊🧭":                               "",
		"        spaces are fine        ":        "",
		strings.Repeat("kV9$xq2L", 16):           "",
		strings.Repeat("Z\u0323\u0307q7", 20):    "too_common",
		"4@8({[<3691!|705$+%2 leet of all kinds": "",
	} {
		t.Run(plain[:min(len(plain), 40)], func(t *testing.T) {
			t.Parallel()
			fields := Check("/password", plain, own...)
			if code == "" {
				require.Empty(t, fields)
				return
			}
			require.Len(t, fields, 1)
			require.Equal(t, code, fields[0].Code)
			require.Equal(t, "/password", fields[0].Pointer)
			require.NotEmpty(t, fields[0].Message)
		})
	}
}

func TestCheckWithoutAnythingOfTheUser(t *testing.T) {
	t.Parallel()
	require.Empty(t, Check("/password", "adalovelace-1815"))
	require.Empty(t, Check("/password", "kV9$xq2L", "", "@", "a", "@@", strings.Repeat("x", 1<<20)))
}

func TestPeriod(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"a": 1, "aaaa": 1, "abab": 2, "ababa": 2, "abcabcab": 3, "abcd": 4, "abca": 3, "aab": 3,
	} {
		require.Equal(t, want, period([]rune(text)), text)
	}
}

// FuzzCheck looks for what makes the grading library panic or take long, and
// for passwords that pass here and are refused by the hasher.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		"correct horse battery staple", "01/01/1990", "19900401", "4@8({[<3691!|705$+%2", "İİİİİİİİ",
		"qwertyuiop[]", "ÅÄÖåäöÅÄÖ", "1-1-1-1-1-1", "12.12.121212", "\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301",
	} {
		f.Add(seed, "ada")
	}
	f.Fuzz(func(t *testing.T, plain, own string) {
		if len(Check("", plain, own)) > 0 {
			return
		}
		length := utf8.RuneCountInString(norm.NFKC.String(plain))
		require.GreaterOrEqual(t, length, MinLength)
		require.LessOrEqual(t, length, MaxLength)
		_, ok := normalise(plain)
		require.True(t, ok)
	})
}

func BenchmarkCheck(b *testing.B) {
	for name, plain := range map[string]string{
		"usual":             "picaspot-on-a-laptop",
		"longest":           strings.Repeat("correct horse battery staple ", 5)[:MaxLength],
		"longest, no words": strings.Repeat("kV9$xq2L7wPz(0e", 9)[:MaxLength],
		"leet at its limit": "4@({[<|!4@({[<|!4@({[<|!4@({[<|x",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Check("", plain, "ada", "ada@example.org")
			}
		})
	}
}
