package name_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/name"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Tower":                           "Tower",
		" \t Old\nMill\u3000":             "Old Mill",
		"a\u2028b\u0085c":                 "a b c",
		"Cafe\u0301":                      "Café",
		"東京　タワー":                          "東京　タワー",
		"Tower\u200b":                     "Tower",
		"To\u00adw\ufeffer\u2060":         "Tower",
		"e\u200b\u0301":                   "é",
		"\u200fתל\u200f־אביב\u200e":       "תל־אביב",
		"مي\u200cخواهم":                   "مي\u200cخواهم", // Persian parts a prefix so.
		"مَ\u200cخ":                       "مَ\u200cخ",
		"\u200cخواهم\u200c":               "خواهم",
		"क्\u200dष":                       "क्\u200dष",
		"ന്\u200d":                        "ന്\u200d", // A chillu as Malayalam was written.
		"র\u200d্য":                       "র\u200d্য",
		"Tow\u200der":                     "Tower",
		"👩‍👩‍👧 🏳️‍🌈":                      "👩‍👩‍👧 🏳️‍🌈",
		"🙂‍↔️":                            "🙂‍↔️",
		"👨🏽‍🚀":                            "👨🏽‍🚀",
		"\u200d🚀\u200d":                   "🚀",
		"🏴\U000E0067\U000E0062\U000E007F": "🏴\U000E0067\U000E0062\U000E007F",
		"🏴\U000E0067\U000E0062":           "🏴",
		"Tower\U000E0067\U000E007F":       "Tower",
		"葛\U000E0100城":                    "葛\U000E0100城",
		"1\ufe0f\u20e3":                   "1\ufe0f\u20e3",
		"a \ufe0fb\ufe0f\ufe0f":           "a b\ufe0f",
		"ᠠ\u180b \u180b":                  "ᠠ\u180b",
		"Hangul\u3164Filler":              "HangulFiller",
		"\u2800Tower\u2800":               "Tower",
		"\u0600١":                         "\u0600١",
		"🫩":                               "🫩", // Younger than the tables of Go 1.26.
		"...":                             "...",
	} {
		got, err := name.Clean("/name", text, name.MaxCharacters)
		require.NoError(t, err, "%+q", text)
		require.Equal(t, want, got, "%+q", text)
		again, err := name.Clean("/name", got, name.MaxCharacters)
		require.NoError(t, err, "%+q", text)
		require.Equal(t, got, again, "%+q", text)
	}
}

func TestCleanRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " \t\n", "\u200b", "\u3164", "\uffa0", "\u2800 \u2800", "\u115f\u1160", "\u0301", "\u00ad\ufe0f", "\u200d", "\U0001D159", "\u034f", "\U000E0041"} {
		_, err := name.Clean("/name", text, name.MaxCharacters)
		require.ErrorIs(t, err, name.ErrBlank, "%+q", text)
		require.Equal(t, []string{"/name blank"}, fields(t, err), "%+q", text)
	}
	for text, want := range map[string][]string{
		"a\x00b\x1b\x1b":           {"/x character", "/x character"},
		"\u202etest\u202c":         {"/x character", "/x character"},
		"a\u2066b\u2069":           {"/x character", "/x character"},
		"a\uffffb\U0010ffff\ufdd0": {"/x character", "/x character", "/x character"},
		"\x7f":                     {"/x character"},
		"\u009f":                   {"/x character"},
		"a\xff":                    {"/x encoding"},
		"eeeee":                    {"/x too_long"},
		"क़क़":                     {"/x too_long"}, // Two characters become four.
	} {
		_, err := name.Clean("/x", text, 3)
		require.ErrorIs(t, err, name.ErrInvalid, "%+q", text)
		require.Equal(t, want, fields(t, err), "%+q", text)
	}
	_, err := name.Clean("/name", "ab\u202ec", name.MaxCharacters)
	var refused *fault.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "U+202E, character 3, changes the direction of the text.", refused.Fields[0].Message)
}

// TestEveryCharacter holds the rule against all code points: alone, and within a word.
func TestEveryCharacter(t *testing.T) {
	t.Parallel()
	for r := rune(1); r <= unicode.MaxRune; r++ {
		switch {
		case r == 0x40000:
			r = 0xE0000 // Unicode has no plans for the planes between.
		case !utf8.ValidRune(r):
			continue
		}
		for _, text := range []string{string(r), "a" + string(r) + "b", "ب" + string(r) + "ب", "🚀" + string(r) + "🚀"} {
			got, err := name.Clean("/name", text, name.MaxCharacters)
			if err != nil {
				require.True(t, errors.Is(err, name.ErrBlank) || errors.Is(err, name.ErrInvalid), "%+q: %v", text, err)
				continue
			}
			if !norm.NFC.IsNormalString(got) || strings.ContainsFunc(got, isForbidden) {
				require.Fail(t, "is not clean", "%+q of %+q", got, text)
			}
			if again, err := name.Clean("/name", got, name.MaxCharacters); err != nil || again != got {
				require.Fail(t, "changes again", "%+q of %+q", again, got)
			}
		}
	}
}

func isForbidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Noncharacter_Code_Point) || r == '\u200b' || r == '\ufeff' || r == '\u3164'
}

func FuzzClean(f *testing.F) {
	f.Add("Cafe\u0301 \u200d🚀\u200d🚀\ufe0f")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := name.Clean("/name", text, name.MaxCharacters)
		if err != nil {
			return
		}
		again, err := name.Clean("/name", got, name.MaxCharacters)
		require.NoError(t, err)
		require.Equal(t, got, again, "%+q", text)
	})
}

func fields(t *testing.T, err error) (found []string) {
	t.Helper()
	var refused *fault.Error
	require.ErrorAs(t, err, &refused)
	for _, f := range refused.Fields {
		found = append(found, f.Pointer+" "+f.Code)
	}
	return found
}
