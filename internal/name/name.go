// Package name has the one rule for what people call things: areas, landmarks,
// themselves. A name is one line of text in Unicode's Normalization Form C. It has a
// character that can be seen, and none that hides or turns the text around it.
//
// The rule follows the Nickname profile of PRECIS (RFC 8266), which knows no emoji and no
// scripts that need joiners; those come from UTS 51 and RFC 5892, appendix A. Names are
// unique by the key that a search has of them, which is the database's name_key.
package name

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/picaspot/picaspot/internal/fault"
)

// MaxCharacters is how long the name of an area or a landmark is at most.
const MaxCharacters = 200

var (
	// ErrBlank is the answer to a name in which nothing can be seen.
	ErrBlank = fault.New(fault.Unprocessable, "name_blank", "The name is blank.")
	// ErrInvalid is the answer to a name with characters that a name can't have.
	ErrInvalid = fault.New(fault.Unprocessable, "name_invalid", "The name has characters that a name can't have, or too many.")
)

// Clean returns a name as it is kept. It trims the text, writes tabs and line breaks as
// spaces, brings it into Form C and removes what can't be seen and means nothing where it
// stands: soft hyphens, joiners outside of the scripts and emoji that need them, direction
// marks, fillers, variation selectors and tags without a character to vary.
//
// It returns [ErrBlank] when nothing is left, and [ErrInvalid] with each fault for control
// characters, for those that embed, isolate or override a direction, for noncharacters
// and for more characters than maxCharacters. pointer names the field.
func Clean(pointer, text string, maxCharacters int) (string, error) {
	var faults []fault.Field
	refuse := func(code, message string) {
		faults = append(faults, fault.Field{Pointer: pointer, Code: code, Message: message})
	}
	if !utf8.ValidString(text) {
		refuse("encoding", "The text is not UTF-8.")
		return "", ErrInvalid.With(faults...)
	}
	named := map[rune]bool{}
	position := 0
	for _, r := range text {
		position++
		if why := refused(r); why != "" && !named[r] {
			named[r] = true
			refuse("character", fmt.Sprintf("U+%04X, character %d, %s.", r, position, why))
		}
	}
	if len(faults) > 0 {
		return "", ErrInvalid.With(faults...)
	}
	text = strings.TrimFunc(norm.NFC.String(visible([]rune(text))), isBlank)
	if !strings.ContainsFunc(text, canBeSeen) {
		return "", ErrBlank.With(fault.Field{Pointer: pointer, Code: "blank", Message: "A name has at least one visible character."})
	}
	if n := utf8.RuneCountInString(text); n > maxCharacters {
		refuse("too_long", fmt.Sprintf("The name has more than %d characters: %d in Unicode's Form C.", maxCharacters, n))
		return "", ErrInvalid.With(faults...)
	}
	return text, nil
}

// refused says why a name can't have a character; it is empty for those that it can have.
func refused(r rune) string {
	switch {
	case unicode.Is(unicode.Bidi_Control, r) && !isMark(r):
		return "changes the direction of the text"
	case unicode.Is(unicode.Noncharacter_Code_Point, r):
		return "is no character"
	case unicode.Is(unicode.Cc, r) && !unicode.IsSpace(r):
		return "is a control character"
	default:
		return ""
	}
}

// isMark is true of the marks that have a direction and give none to other characters.
func isMark(r rune) bool { return r == '\u061C' || r == '\u200E' || r == '\u200F' }

// isBlank is true of white space, and of characters that look like it.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Z, r) || r == '\u2800' || r == '\U0001D159'
}

// canBeSeen is true of characters that show something by themselves. Those that are not
// assigned yet are taken for visible, as are private ones.
func canBeSeen(r rune) bool {
	return !isBlank(r) && !isIgnorable(r) && !unicode.In(r, unicode.M, unicode.Cc, unicode.Cf)
}

// isIgnorable is true of Unicode's default ignorable code points, which show nothing, and
// of the other format characters that show nothing. Some Arabic, Syriac, Kaithi and
// Egyptian signs count as format characters and are visible.
func isIgnorable(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
		unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) && (r < 0x13430 || r > 0x1345F)
}

// visible writes tabs and line breaks as spaces, and leaves out what shows nothing and is
// not needed where it stands.
func visible(text []rune) string {
	kept := make([]rune, 0, len(text))
	for i, r := range text {
		switch {
		case unicode.IsSpace(r) && unicode.Is(unicode.Cc, r), unicode.In(r, unicode.Zl, unicode.Zp):
			r = ' '
		case isIgnorable(r) && !isNeeded(kept, r, text[i+1:]):
			continue
		}
		kept = append(kept, r)
	}
	return string(kept)
}

// isNeeded tells whether a character that shows nothing changes how its neighbours look.
func isNeeded(before []rune, r rune, after []rune) bool {
	if len(before) == 0 {
		return false
	}
	last, next := before[len(before)-1], rune(0)
	if len(after) > 0 {
		next = after[0]
	}
	switch {
	case r == '\u200D' && isEmojiPart(last) && unicode.Is(unicode.S, next):
		return true
	case r == '\u200C' || r == '\u200D':
		return norm.NFC.PropertiesString(string(last)).CCC() == virama || isJoining(base(before)) && isJoining(next)
	case unicode.In(r, mongolianSelectors):
		return unicode.Is(unicode.Mongolian, last)
	case unicode.Is(unicode.Variation_Selector, r):
		return canBeSeen(last)
	case isTag(r):
		// A flag of a region is a black flag, the region's letters as tags, and an end.
		return last == '\U0001F3F4' && closed(after) || isTag(last) && last != endOfTags
	default:
		return false
	}
}

const (
	// virama is the canonical combining class of the signs that join consonants.
	virama    = 9
	endOfTags = '\U000E007F'
)

func isTag(r rune) bool { return r >= '\U000E0020' && r <= endOfTags }

// closed tells whether tags go on to their end.
func closed(text []rune) bool {
	for _, r := range text {
		if r == endOfTags {
			return true
		}
		if !isTag(r) {
			break
		}
	}
	return false
}

// isEmojiPart is true of what may stand before the joiner of an emoji: a symbol, the tone
// of its skin, or the selector that makes it colourful.
func isEmojiPart(r rune) bool {
	return r == '\uFE0F' || r == endOfTags || unicode.Is(unicode.S, r)
}

// base is the last character that is no inherited mark, as those of Arabic are.
func base(text []rune) rune {
	for i := len(text) - 1; i >= 0; i-- {
		if !unicode.Is(unicode.Inherited, text[i]) {
			return text[i]
		}
	}
	return 0
}

// isJoining is true of scripts whose characters look different when they are joined.
func isJoining(r rune) bool {
	return unicode.IsOneOf(joining, r)
}

var joining = []*unicode.RangeTable{
	unicode.Adlam, unicode.Arabic, unicode.Balinese, unicode.Bengali, unicode.Chakma, unicode.Devanagari, unicode.Grantha,
	unicode.Gujarati, unicode.Gurmukhi, unicode.Hanifi_Rohingya, unicode.Javanese, unicode.Kannada, unicode.Khmer,
	unicode.Malayalam, unicode.Mandaic, unicode.Meetei_Mayek, unicode.Mongolian, unicode.Myanmar, unicode.Nko,
	unicode.Oriya, unicode.Phags_Pa, unicode.Sinhala, unicode.Syriac, unicode.Tamil, unicode.Telugu, unicode.Tibetan,
}

// mongolianSelectors choose a letter's form; the vowel separator is among them.
var mongolianSelectors = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x180B, Hi: 0x180F, Stride: 1}}}
