package password

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/match"
	"github.com/ccojocar/zxcvbn-go/matching"
	"golang.org/x/text/unicode/norm"

	"github.com/picaspot/picaspot/internal/fault"
)

// The length of a password in characters (Unicode code points after NFKC).
const (
	MinLength = 8
	MaxLength = 128
)

const (
	// minScore is zxcvbn's: below 2, less than some 10^6 guesses are enough.
	minScore = 2
	// gradedLength is how much of a password is graded. The time grows with its
	// square, and what makes a longer one weak shows in its beginning.
	gradedLength = 72
	// Undoing letters written as digits (l33t) tries every reading, which is
	// exponential in the number of different such characters: 20 of them take
	// seconds. It is left out beyond these bounds, where it hardly matters.
	leetLength = 32
	leetKinds  = 8
	leetLetter = `4@8({[<3691!|705$+%2`
	// ownPartLength is the shortest part of a name that counts as its own word.
	ownPartLength = 3
	// restLength is how many characters a password has to have besides the user's own name.
	restLength = 4
)

// Check returns what is wrong with a password that somebody wants to have, or
// nil. Pointer is the JSON pointer of the password in the request, for the
// fields that are returned; own is what everybody knows about the user: name,
// e-mail address. There are no rules on which characters it is made of (NIST
// SP 800-63B, section 3.1.1.2, OWASP ASVS 6.2).
func Check(pointer, plain string, own ...string) []fault.Field {
	refuse := func(code, message string) []fault.Field {
		return []fault.Field{{Pointer: pointer, Code: code, Message: message}}
	}
	if !utf8.ValidString(plain) {
		return refuse("invalid_encoding", "The password has to be text in UTF-8.")
	}
	// Refused before work is spent on it.
	if len(plain) > maxRaw {
		return refuse("max_length", fmt.Sprintf("The password must have at most %d characters.", MaxLength))
	}
	normal := norm.NFKC.String(plain)
	switch length := utf8.RuneCountInString(normal); {
	case length < MinLength:
		return refuse("min_length", fmt.Sprintf("The password must have at least %d characters.", MinLength))
	case length > MaxLength:
		return refuse("max_length", fmt.Sprintf("The password must have at most %d characters.", MaxLength))
	}
	words := ownWords(own)
	if isOwn(normal, words) {
		return refuse("contains_identity", "The password is too close to your own name or e-mail address.")
	}
	if guessable(normal, words) {
		return refuse("too_common", "This password is too common or too easy to guess. Try a longer one, such as a few unrelated words.")
	}
	return nil
}

// ownWords lists, in lower case, what is said about the user: each as a whole,
// the local part of an address, the parts between separators, and the same run together.
func ownWords(own []string) []string {
	var words []string
	add := func(word string) {
		if utf8.RuneCountInString(word) >= ownPartLength && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	separator := func(r rune) bool { return strings.ContainsRune(" ._-+@'’", r) }
	for _, text := range own {
		// No name is that long; what pretends to be one shall not cost anything.
		text = strings.ToLower(norm.NFKC.String(text[:min(len(text), 320)]))
		local, _, isAddress := strings.Cut(text, "@")
		add(text)
		if isAddress {
			add(local)
		}
		parts := strings.FieldsFunc(local, separator)
		add(strings.Join(parts, ""))
		for _, part := range parts {
			add(part)
		}
	}
	// The longest first, so that taking them out of a password leaves the least.
	slices.SortStableFunc(words, func(a, b string) int { return len(b) - len(a) })
	return words
}

// isOwn reports whether next to nothing remains of a password when what is
// said about its user is taken out of it, read forwards or backwards.
func isOwn(password string, words []string) bool {
	lower := strings.ToLower(password)
	for _, text := range []string{lower, reversed(lower)} {
		rest, found := text, false
		for _, word := range words {
			if strings.Contains(rest, word) {
				rest, found = strings.ReplaceAll(rest, word, ""), true
			}
		}
		if found && utf8.RuneCountInString(rest) < restLength {
			return true
		}
	}
	return false
}

func reversed(text string) string {
	runes := []rune(text)
	slices.Reverse(runes)
	return string(runes)
}

// guessable grades a password by zxcvbn against its lists of common passwords,
// names and words, patterns on keyboards, sequences, dates, and the user's own words.
func guessable(password string, words []string) bool {
	runes := []rune(password)
	runes = runes[:min(len(runes), gradedLength)]
	// Something written over and over is as good as one of it, which zxcvbn does not see.
	if unit := period(runes); unit <= len(runes)/2 {
		runes = runes[:unit]
		if unit < MinLength {
			return true
		}
	}
	graded := string(runes)
	var filters []func(match.Matcher) bool
	if len(runes) > leetLength || kinds(graded, leetLetter) > leetKinds {
		filters = append(filters, matching.FilterL33tMatcher)
	}
	return zxcvbn.PasswordStrength(graded, words, filters...).Score < minScore
}

// period returns the length of the shortest beginning of which text is a
// repetition, the last one possibly cut: the failure function of Knuth, Morris
// and Pratt.
func period(text []rune) int {
	border := make([]int, len(text)+1)
	border[0] = -1
	for i, k := 0, -1; i < len(text); i++ {
		for k >= 0 && text[k] != text[i] {
			k = border[k]
		}
		k++
		border[i+1] = k
	}
	return len(text) - border[len(text)]
}

// kinds counts how many different characters of set occur in text.
func kinds(text, set string) int {
	n := 0
	for _, c := range set {
		if strings.ContainsRune(text, c) {
			n++
		}
	}
	return n
}
