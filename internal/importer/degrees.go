package importer

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// axis is what tells latitudes from longitudes in text.
type axis struct{ positive, negative string }

var (
	latitudes  = axis{"N", "S"}
	longitudes = axis{"E", "W"}
)

// How degrees are written, once comma, sign and hemisphere are apart.
var (
	decimalDegrees = regexp.MustCompile(`^((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?) ?[°º˚゚]?$`)
	// Degrees and minutes, and perhaps seconds: 48°51′30″, 48° 51.5', 48:51:30.
	sexagesimal = regexp.MustCompile(`^(\d+) ?(?:[°º˚゚]|:) ?(\d+(?:\.\d+)?) ?(?:['’′‘]|:)? ?(?:(\d+(?:\.\d+)?) ?(?:"|”|″|''|’’|′′)?)?$`)
	// The same with spaces alone, 48 51 30, which is clear only beside a hemisphere.
	spaced = regexp.MustCompile(`^(\d+) (\d+(?:\.\d+)?)(?: (\d+(?:\.\d+)?))?$`)
)

// parse reads degrees from text: decimal ones, or degrees, minutes and seconds, with a
// sign or a hemisphere. What can be read in two ways is an error; a comma is a
// decimal separator only if the caller knows that it is no other.
func (a axis) parse(text string, decimalComma bool) (float64, error) {
	rest := strings.Join(strings.Fields(text), " ")
	if rest == "" {
		return 0, errors.New("is missing")
	}
	errNumber := fmt.Errorf("%.40q is not a number of degrees", text)
	if decimalComma && strings.Count(rest, ",") == 1 && !strings.Contains(rest, ".") {
		rest = strings.Replace(rest, ",", ".", 1)
	}
	rest, hemisphere := a.cutHemisphere(rest)
	sign := 1.0
	if hemisphere == a.negative {
		sign = -1
	}
	for _, s := range []string{"+", "-", "−"} {
		after, ok := strings.CutPrefix(rest, s)
		if !ok {
			continue
		}
		if hemisphere != "" {
			return 0, fmt.Errorf("%.40q has a sign and a hemisphere", text)
		}
		if rest = strings.TrimSpace(after); s != "+" {
			sign = -1
		}
		break
	}
	if m := decimalDegrees.FindStringSubmatch(rest); m != nil {
		value, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, errNumber
		}
		return sign * value, nil
	}
	m := sexagesimal.FindStringSubmatch(rest)
	if m == nil && hemisphere != "" {
		m = spaced.FindStringSubmatch(rest)
	}
	if m == nil || m[3] != "" && strings.Contains(m[2], ".") {
		return 0, errNumber
	}
	value, unit := 0.0, 1.0
	for i, part := range m[1:] {
		if part == "" {
			break
		}
		number, err := strconv.ParseFloat(part, 64)
		if err != nil || i > 0 && number >= 60 {
			return 0, errNumber
		}
		value += number / unit
		unit *= 60
	}
	return sign * value, nil
}

// cutHemisphere cuts the axis' letter off, before the number or after it.
func (a axis) cutHemisphere(text string) (rest, hemisphere string) {
	for _, letter := range []string{a.positive, a.negative} {
		switch n := len(letter); {
		case len(text) > n && strings.EqualFold(text[:n], letter):
			return strings.TrimSpace(text[n:]), letter
		case len(text) > n && strings.EqualFold(text[len(text)-n:], letter):
			return strings.TrimSpace(text[:len(text)-n]), letter
		}
	}
	return text, ""
}
