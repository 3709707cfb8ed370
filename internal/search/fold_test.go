package search_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/rangetable"

	"github.com/picaspot/picaspot/internal/name"
	"github.com/picaspot/picaspot/internal/search"
	"github.com/picaspot/picaspot/internal/testenv"
)

// migrated is a database without a server around it.
func migrated(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(ctx, testenv.Database(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// each returns what an expression of character $1 yields, for each of some characters.
func each[T any](t testing.TB, pool *pgxpool.Pool, expression string, of []rune) []T {
	t.Helper()
	rows, err := pool.Query(ctx, "SELECT "+strings.ReplaceAll(expression, "$1", "chr(c)")+" FROM unnest($1::int[]) WITH ORDINALITY u (c, n) ORDER BY n", of)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err)
	require.Len(t, found, len(of))
	return found
}

// known are the characters of the Unicode version whose classes the database has, those of
// large scripts by every hundredth.
func known() (all []rune) {
	assigned := rangetable.Assigned("15.0.0")
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) || !unicode.Is(assigned, r) || unicode.Is(unicode.Co, r) {
			continue
		}
		if r%100 == 0 || !unicode.In(r, unicode.Han, unicode.Hangul, unicode.Tangut, unicode.Egyptian_Hieroglyphs, unicode.Cuneiform, unicode.Yi) {
			all = append(all, r)
		}
	}
	return all
}

// TestSeparators holds the classes that the migration writes down against Unicode's.
func TestSeparators(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	all := known()
	folded := each[string](t, pool, "search_fold($1)", all)
	words := each[[]string](t, pool, "tsvector_to_array(search_vector('ж' || $1 || 'щ'))", all)
	var wrong []string
	for i, r := range all {
		f, size := utf8.DecodeRuneInString(folded[i])
		if size != len(folded[i]) || isUnspaced(f) {
			continue // It becomes several, or a word of its own.
		}
		separator := size > 0 && unicode.In(f, unicode.P, unicode.Z, unicode.Cc, unicode.S)
		if separator != (len(words[i]) > 1) {
			wrong = append(wrong, fmt.Sprintf("U+%04X %q", r, words[i]))
		}
	}
	require.Empty(t, wrong)
}

// TestASCIIIsSeparatedAlike compares the two ways in which texts are taken apart.
func TestASCIIIsSeparatedAlike(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	var ascii []rune
	for r := rune(1); r < 0x7f; r++ {
		ascii = append(ascii, r)
	}
	plain := each[[]string](t, pool, "tsvector_to_array(search_vector('ab' || $1 || 'cd'))", ascii)
	others := each[[]string](t, pool, "array_remove(tsvector_to_array(search_vector('ab' || $1 || 'cd ж')), 'ж')", ascii)
	require.Equal(t, others, plain)
}

// TestFoldOfEveryCharacter holds of all code points what names and searches rely on.
func TestFoldOfEveryCharacter(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	all := known()
	folded := each[string](t, pool, "search_fold('a' || $1 || 'b')", all)
	again := each[string](t, pool, "search_fold(search_fold('a' || $1 || 'b'))", all)
	composed := each[string](t, pool, "search_fold('a' || normalize($1, NFC) || 'b')", all)
	decomposed := each[string](t, pool, "search_fold('a' || normalize($1, NFD) || 'b')", all)
	for i, r := range all {
		if again[i] != folded[i] || composed[i] != folded[i] || decomposed[i] != folded[i] {
			require.Fail(t, "not one form", "U+%04X: %+q, again %+q, NFC %+q, NFD %+q", r, folded[i], again[i], composed[i], decomposed[i])
		}
		if unicode.Is(unicode.Nd, r) {
			require.Len(t, folded[i], 3, "U+%04X is a digit: %+q", r, folded[i])
			require.Contains(t, "0123456789", folded[i][1:2])
		}
		// What a name is cleaned of does not make another one of it.
		if clean, err := name.Clean("", "a"+string(r)+"b", name.MaxCharacters); err == nil && clean == "ab" {
			require.Equal(t, "ab", folded[i], "U+%04X", r)
		}
	}
}

func TestNameKeys(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	for _, same := range [][]string{
		{"Café", "Cafe\u0301", "CAFE", " cafe "},
		{"Tower", "Tower\u200b", "T\u2066ower\u2069", "Ｔｏｗｅｒ", "\u3164Tower"},
		{"Łódź", "Lodz"},
		{"Old  Mill", "Old Mill", "Old\u00a0Mill", "Old\u3000\tMill", "Old\u2028Mill", "Old\u2800Mill"},
		{"١٥", "15", "१५", "１５", "𝟏𝟓"},
		{"市ケ谷", "市ヶ谷"},
		{"น้ำ", "\u0e19\u0e4d\u0e49\u0e32", "\u0e19\u0e49\u0e4d\u0e32"},
		{"กี้", "\u0e01\u0e49\u0e35"},
		{"ນ້ຳ", "\u0e99\u0ecd\u0ec9\u0eb2"},
		{"می\u200cخواهم", "میخواهم"},
		{"St. Mary's", "St. Mary’s"},
	} {
		var keys []string
		rows, err := pool.Query(ctx, "SELECT DISTINCT name_key(t) FROM unnest($1::text[]) t", same)
		require.NoError(t, err)
		keys, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Len(t, keys, 1, "%q", keys)
	}
	for _, different := range [][2]string{{"が", "か"}, {"Tower", "Towers"}, {"क", "क़"}, {"Hotel 1", "Hotel 2"}, {"👍", "👎"}} {
		var same bool
		require.NoError(t, pool.QueryRow(ctx, "SELECT name_key($1) = name_key($2)", different[0], different[1]).Scan(&same))
		require.False(t, same, "%q", different)
	}
}

// TestUnspacedScripts holds the characters that the package takes for those of scripts
// without spaces against those that the database indexes by pairs.
func TestUnspacedScripts(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	all := known()
	pairs := each[[]string](t, pool, "tsvector_to_array(search_vector($1 || $1 || $1))", all)
	for i, r := range all {
		if len(pairs[i]) == 0 || utf8.RuneCountInString(pairs[i][0]) == 3 {
			require.False(t, isUnspaced(r) && unicode.Is(unicode.L, r), "U+%04X %q", r, pairs[i])
		} else if pair := string(r) + string(r); pairs[i][len(pairs[i])-1] == pair {
			require.True(t, isUnspaced(r), "U+%04X %q", r, pairs[i])
		}
	}
}

func isUnspaced(r rune) bool { return search.IsUnspaced(string(r)) }
