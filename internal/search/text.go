// Package search finds rows by the words of their names and descriptions, in every
// script, as they are typed and mistyped, and ranks them. The database takes texts
// apart (search_vector, search_fold), the same for what is kept and for what is asked,
// so that an index answers; this package makes the question and bounds what it costs.
package search

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

const (
	// prefixFrom is how many letters a word has that others may begin with: shorter
	// ones begin too many.
	prefixFrom = 3
	// correctFrom is how many letters a word has that is corrected. Shorter ones are
	// left out when a search is loosened: most are articles and the like.
	correctFrom = 4
)

// Text is what somebody looks for.
type Text struct {
	// key is the text as name_key has names. It is empty when nothing of it is visible.
	key string
	// words are in the order of the alphabet.
	words []word
}

type word struct {
	text string
	// open words may go on: they are what is being typed.
	open bool
	// corrected are the words of names that may have been meant.
	corrected []string
}

// querier is a connection, a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const parseSQL = `-- name: search_parse
SELECT name_key($1), tsvector_to_array(search_vector(replace(search_fold($1), '''', ''))),
  tsvector_to_array(search_vector(replace(search_fold($2), '''', '')))`

// Parse takes a text apart.
func Parse(ctx context.Context, db querier, text string) (Text, error) {
	chunks := strings.Fields(text)
	if len(chunks) == 0 {
		return Text{}, nil
	}
	var t Text
	var all, last []string
	if err := db.QueryRow(ctx, parseSQL, strings.TrimSpace(text), chunks[len(chunks)-1]).Scan(&t.key, &all, &last); err != nil {
		return Text{}, fmt.Errorf("take a search apart: %w", err)
	}
	for _, w := range all {
		letters := utf8.RuneCountInString(w)
		if letters == 1 && isUnspaced(w) {
			// The last character of a run stands alone as well; its pair says more.
			if !slices.ContainsFunc(all, func(pair string) bool { return pair != w && strings.HasSuffix(pair, w) }) {
				t.words = append(t.words, word{text: w, open: true})
			}
			continue
		}
		t.words = append(t.words, word{text: w, open: letters >= prefixFrom && slices.Contains(last, w)})
	}
	return t, nil
}

// unspaced are the characters that the database indexes by pairs, as search_vector has
// them.
var unspaced = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x0E00, Hi: 0x109F, Stride: 1}, // Thai, Lao, Tibetan, Burmese
		{Lo: 0x1780, Hi: 0x17FF, Stride: 1}, // Khmer
		{Lo: 0x3005, Hi: 0x3007, Stride: 2},
		{Lo: 0x3040, Hi: 0x30FF, Stride: 1}, // kana
		{Lo: 0x31F0, Hi: 0x31FF, Stride: 1},
		{Lo: 0x3400, Hi: 0x4DBF, Stride: 1}, // Han
		{Lo: 0x4E00, Hi: 0x9FFF, Stride: 1},
		{Lo: 0xAC00, Hi: 0xD7A3, Stride: 1}, // Hangul
	},
	R32: []unicode.Range32{{Lo: 0x20000, Hi: 0x3FFFF, Stride: 1}},
}

func isUnspaced(w string) bool {
	r, _ := utf8.DecodeRuneInString(w)
	return unicode.Is(unspaced, r)
}

// Query is a tsquery of all words, of which the last one may go on. It is empty when
// there are none: then nothing matches.
func (t Text) Query() string {
	terms := make([]string, len(t.words))
	for i, w := range t.words {
		terms[i] = w.term(w.open)
	}
	return strings.Join(terms, " & ")
}

// loose is the tsquery of what may have been meant: every word as a beginning or
// corrected, without the short ones where there are others.
func (t Text) loose() string {
	long := slices.ContainsFunc(t.words, func(w word) bool { return utf8.RuneCountInString(w.text) >= correctFrom })
	var terms []string
	for _, w := range t.words {
		letters := utf8.RuneCountInString(w.text)
		if long && letters < correctFrom && !isUnspaced(w.text) {
			continue
		}
		alternatives := []string{w.term(w.open || letters >= prefixFrom)}
		for _, c := range w.corrected {
			alternatives = append(alternatives, word{text: c}.term(w.open))
		}
		terms = append(terms, "("+strings.Join(alternatives, " | ")+")")
	}
	return strings.Join(terms, " & ")
}

var quoted = strings.NewReplacer(`'`, `''`, `\`, `\\`)

func (w word) term(prefix bool) string {
	term := "'" + quoted.Replace(w.text) + "'"
	if prefix {
		term += ":*"
	}
	return term
}
