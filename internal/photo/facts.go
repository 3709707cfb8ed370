package photo

import (
	"io"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/bep/imagemeta"

	"github.com/picaspot/picaspot/internal/geo"
)

// How well a photo's time is known.
const (
	// The receiver's clock is exact, but its last fix may be older than the photo.
	gpsUncertainty = time.Minute
	// A camera's clock with its offset, to the second.
	clockUncertainty = time.Second
	// A camera's clock somewhere on earth: offsets reach from -12 to +14 hours.
	zoneUncertainty = 14 * time.Hour
)

// Facts are what a photo says about itself (EXIF 2.32). They are claims: anybody
// can write them.
type Facts struct {
	// Position is where the photo was taken, nil if it does not say so.
	Position *geo.Point
	// CapturedAt is when it was taken, in UTC, zero if it does not say so. The
	// true time is within CapturedAtUncertainty before or after.
	CapturedAt            time.Time
	CapturedAtUncertainty time.Duration
	// CameraMake and CameraModel may be empty.
	CameraMake, CameraModel string
}

// The bounds on what is read of a file's metadata. A photo has some hundred tags,
// and the ones that are wanted are short.
const (
	maxTags     = 2000
	maxTagBytes = 1000
)

// wanted names the tags that are read, by their directory: a thumbnail has its
// own, and a tag in the wrong place is no fact.
var wanted = map[string]string{
	"Make":               "IFD0",
	"Model":              "IFD0",
	"Orientation":        "IFD0",
	"DateTimeOriginal":   "IFD0/ExifIFDP",
	"OffsetTimeOriginal": "IFD0/ExifIFDP",
	"GPSStatus":          "IFD0/GPSInfoIFD",
	"GPSLatitude":        "IFD0/GPSInfoIFD",
	"GPSLatitudeRef":     "IFD0/GPSInfoIFD",
	"GPSLongitude":       "IFD0/GPSInfoIFD",
	"GPSLongitudeRef":    "IFD0/GPSInfoIFD",
	"GPSDateStamp":       "IFD0/GPSInfoIFD",
	"GPSTimeStamp":       "IFD0/GPSInfoIFD",
}

// ReadFacts reads the facts from the metadata of a JPEG, PNG or WebP. Metadata
// that is missing, broken or implausible is left out and no error: a photo may
// say nothing. The error is the fault photo_format or a failure to read.
func ReadFacts(r io.ReadSeeker) (Facts, error) {
	src := &source{ReadSeeker: r}
	contentType, err := sniff(src)
	if err != nil {
		return Facts{}, err
	}
	t, err := readTags(src, contentType)
	if err != nil {
		return Facts{}, err
	}
	facts := Facts{
		Position:    t.position(),
		CameraMake:  t.text("Make"),
		CameraModel: t.text("Model"),
	}
	facts.CapturedAt, facts.CapturedAtUncertainty = t.capturedAt()
	return facts, nil
}

func readOrientation(r *source, contentType string) (Orientation, error) {
	t, err := readTags(r, contentType)
	if err != nil {
		return 0, err
	}
	if o, ok := t["Orientation"].(uint16); ok && o >= 1 && o <= 8 {
		return Orientation(o), nil
	}
	return Upright, nil
}

// tags are the values of the wanted tags by their names.
type tags map[string]any

func readTags(r *source, contentType string) (found tags, err error) {
	found = tags{}
	defer func() {
		// The library turns its panics into errors; this is for the ones that it misses.
		if recover() != nil {
			err = r.failed
		}
	}()
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	formats := map[string]imagemeta.ImageFormat{JPEG: imagemeta.JPEG, PNG: imagemeta.PNG, WebP: imagemeta.WebP}
	// What is broken ends the reading, and what was found until then counts.
	_, _ = imagemeta.Decode(imagemeta.Options{
		R: r, ImageFormat: formats[contentType], Sources: imagemeta.EXIF,
		LimitNumTags: maxTags, LimitTagSize: maxTagBytes,
		ShouldHandleTag: func(tag imagemeta.TagInfo) bool {
			return wanted[tag.Tag] == tag.Namespace && tag.Namespace != ""
		},
		HandleTag: func(tag imagemeta.TagInfo) error {
			if _, repeated := found[tag.Tag]; !repeated {
				found[tag.Tag] = tag.Value
			}
			return nil
		},
	})
	return found, r.failed
}

// position returns the position or nil. Receivers without a fix write zeros or
// say so in GPSStatus, and the library reads what it can't make sense of as
// zero: no photo is taken to the tenth of a micrometre on the equator or the
// meridian of Greenwich.
func (t tags) position() *geo.Point {
	latitude := t.signed("GPSLatitude", "GPSLatitudeRef", "N", "S")
	longitude := t.signed("GPSLongitude", "GPSLongitudeRef", "E", "W")
	if latitude == 0 || longitude == 0 || strings.EqualFold(t.text("GPSStatus"), "V") {
		return nil
	}
	p, err := geo.New(latitude, longitude)
	if err != nil {
		return nil
	}
	return &p
}

// signed returns a coordinate in degrees, or 0 if it or its hemisphere is missing.
func (t tags) signed(tag, refTag, positive, negative string) float64 {
	degrees, _ := t[tag].(float64)
	switch strings.ToUpper(t.text(refTag)) {
	case positive:
		return math.Abs(degrees)
	case negative:
		return -math.Abs(degrees)
	}
	return 0
}

// capturedAt prefers the time of the satellites: it is in UTC and nobody set it.
// Fractions of a second are left out, as the library reads "05" hundredths as 5.
func (t tags) capturedAt() (time.Time, time.Duration) {
	// Midnight to the second is what is left of a time without numbers.
	if clock := t.text("GPSTimeStamp"); clock != "00:00:00" {
		if at, ok := parseTime("2006:01:02 15:04:05", t.text("GPSDateStamp")+" "+clock); ok {
			return at, gpsUncertainty
		}
	}
	original := t.text("DateTimeOriginal")
	if at, ok := parseTime("2006:01:02 15:04:05-07:00", original+t.text("OffsetTimeOriginal")); ok {
		return at, clockUncertainty
	}
	if at, ok := parseTime("2006:01:02 15:04:05", original); ok {
		return at, zoneUncertainty
	}
	return time.Time{}, 0
}

// parseTime refuses what lies before the first digital cameras: clocks that were
// never set.
func parseTime(layout, text string) (time.Time, bool) {
	at, err := time.Parse(layout, text)
	if err != nil || at.Year() < 1990 {
		return time.Time{}, false
	}
	return at.UTC().Truncate(time.Second), true
}

// text returns a tag as a short line, or "".
func (t tags) text(tag string) string {
	value, _ := t[tag].(string)
	line := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(value, "")))
	if runes := []rune(line); len(runes) > 100 {
		line = string(runes[:100])
	}
	return line
}
