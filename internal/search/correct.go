package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// twoFaultsFrom is how many letters a word has that is allowed two faults; shorter
	// ones become too many others.
	twoFaultsFrom = 6
	// maxCorrections is how many words may stand for a mistyped one, the nearest ones.
	maxCorrections = 5
)

// correctSQL looks words up that are similar, which search_vocabulary_similar serves,
// and ones in which two neighbours changed places, which may share few trigrams with
// what was typed; search_vocabulary_word serves these. The database is not to see how
// many words there are: it would make a new plan each time, which takes longer.
const correctSQL = `-- name: search_correct
SELECT typed.n, found.word
FROM unnest(ARRAY(SELECT unnest($1::text[]))) WITH ORDINALITY typed (word, n), LATERAL (
  (SELECT DISTINCT v.word, similarity(v.word, typed.word) FROM search_vocabulary v WHERE v.word % typed.word ORDER BY 2 DESC, 1 LIMIT 50)
  UNION
  SELECT v.word, 1 FROM search_vocabulary v
  WHERE v.word = ANY (SELECT overlay(typed.word PLACING reverse(substr(typed.word, i, 2)) FROM i FOR 2) FROM generate_series(1, char_length(typed.word) - 1) i)
) found (word)`

// correct finds, for each word that is long enough, words of names that it may be a
// mistyped form of.
func (t *Text) correct(ctx context.Context, db querier) error {
	var typed []string
	var at []int
	for i, w := range t.words {
		if utf8.RuneCountInString(w.text) >= correctFrom {
			typed, at = append(typed, w.text), append(at, i)
		}
	}
	if len(typed) == 0 {
		return nil
	}
	rows, err := db.Query(ctx, correctSQL, typed)
	if err != nil {
		return fmt.Errorf("correct a search: %w", err)
	}
	defer rows.Close()
	type candidate struct {
		word   string
		faults int
	}
	candidates := make([][]candidate, len(typed))
	for rows.Next() {
		var n int
		var known string
		if err := rows.Scan(&n, &known); err != nil {
			return fmt.Errorf("correct a search: %w", err)
		}
		w := t.words[at[n-1]]
		if faults := distance(w.text, known, w.open); faults > 0 && faults <= allowed(w.text) {
			candidates[n-1] = append(candidates[n-1], candidate{known, faults})
		}
	}
	for n, of := range candidates {
		slices.SortFunc(of, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.faults, b.faults), strings.Compare(a.word, b.word))
		})
		for _, c := range of[:min(len(of), maxCorrections)] {
			t.words[at[n]].corrected = append(t.words[at[n]].corrected, c.word)
		}
	}
	return rows.Err()
}

// allowed is how many faults a word may have.
func allowed(typed string) int {
	if utf8.RuneCountInString(typed) >= twoFaultsFrom {
		return 2
	}
	return 1
}

// distance counts the faults that make one word of another: a letter too many, too few
// or wrong, or two neighbours in the wrong order (optimal string alignment). Of a word
// that is still being typed, known may go on behind it.
func distance(typed, known string, open bool) int {
	a, b := []rune(typed), []rune(known)
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, above, row = above, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1])
			if a[i-1] != b[j-1] {
				row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+1)
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	if open {
		return slices.Min(row)
	}
	return row[len(b)]
}
