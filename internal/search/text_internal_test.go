package search

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		typed, known string
		open         bool
		want         int
	}{
		{"tower", "tower", false, 0},
		{"towr", "tower", false, 1},
		{"towwer", "tower", false, 1},
		{"tawer", "tower", false, 1},
		{"twoer", "tower", false, 1},
		{"lighthuose", "lighthouse", false, 1},
		{"башня", "башни", false, 1},
		{"chruhc", "church", false, 2},
		{"ca", "abc", false, 3},
		{"", "abc", false, 3},
		{"abc", "", false, 3},
		{"light", "lighthouse", true, 0},
		{"lihgt", "lighthouse", true, 1},
		{"lihgt", "lighthouse", false, 6},
	} {
		require.Equal(t, tc.want, distance(tc.typed, tc.known, tc.open), "%q %q %t", tc.typed, tc.known, tc.open)
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		words         []word
		strict, loose string
	}{
		"nothing": {nil, "", ""},
		"the last word may go on": {
			[]word{{text: "north"}, {text: "light", open: true}},
			`'north' & 'light':*`, `('north':*) & ('light':*)`,
		},
		"corrections stand beside what was typed": {
			[]word{{text: "towr", open: true, corrected: []string{"tower", "town"}}},
			`'towr':*`, `('towr':* | 'tower':* | 'town':*)`,
		},
		"short words matter less": {
			[]word{{text: "of"}, {text: "the"}, {text: "tower"}},
			`'of' & 'the' & 'tower'`, `('tower':*)`,
		},
		"short words alone": {
			[]word{{text: "of"}, {text: "the"}},
			`'of' & 'the'`, `('of') & ('the':*)`,
		},
		"pairs of characters are never left out": {
			[]word{{text: "東京"}, {text: "tower"}},
			`'東京' & 'tower'`, `('東京') & ('tower':*)`,
		},
		"signs of a tsquery are letters": {
			[]word{{text: `a'b\c`, open: true}, {text: "!|&"}},
			`'a''b\\c':* & '!|&'`, `('a''b\\c':*)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := Text{words: tc.words}
			require.Equal(t, tc.strict, text.Query())
			require.Equal(t, tc.loose, text.loose())
		})
	}
}
