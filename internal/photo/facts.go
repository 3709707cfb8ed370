package photo

import (
	"io"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/picaspot/picaspot/internal/geo"
)

// How well a photo's time is known.
const (
	// The receiver's clock is exact, but its last fix may be older than the photo.
	fixUncertainty = time.Minute
	// A camera's clock with its offset, to the second.
	clockUncertainty = time.Second
	// A camera's clock somewhere on earth: offsets reach from -12 to +14 hours.
	zoneUncertainty = 14 * time.Hour
)

// Legal time against the sun's, of which a degree of longitude is four minutes: it
// is up to 3.6 hours ahead (Greenland and Alaska in summer) and up to 1.3 behind
// (Labrador, eastern China).
const (
	legalAhead  = 4 * time.Hour
	legalBehind = 2 * time.Hour
	// dateLineDegrees is the longitude from which on either date is used: Kiribati
	// keeps the date of Asia at 150° W, the Aleutians that of America at 172° E.
	dateLineDegrees = 150
)

// Facts are what a photo says about itself (EXIF 2.32). They are claims: anybody
// can write them.
type Facts struct {
	// Position is where the photo was taken, nil if it does not say so.
	Position *geo.Point
	// Times are when it was taken, none if it does not say so. More than one may be
	// stated, and one that leaves a choice stands here as several: each by itself
	// says when the photo may have been taken.
	Times []Timestamp
	// CameraMake and CameraModel may be empty.
	CameraMake, CameraModel string
}

// Timestamp is a time that a photo states.
type Timestamp struct {
	// At is in UTC; the true time is within Uncertainty before or after.
	At          time.Time
	Uncertainty time.Duration
	// IsFix is set for the time of the satellites: that of the receiver's last fix,
	// from which the position is too. It may be much older than the photo, and some
	// receivers state a date that is 1024 weeks back, where the count of weeks in
	// the signal starts anew.
	IsFix bool
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
	block, err := readEXIF(src, contentType)
	if err != nil {
		return Facts{}, err
	}
	t := readTags(block)
	facts := Facts{
		Position:    t.position(),
		CameraMake:  t.text(tagMake),
		CameraModel: t.text(tagModel),
	}
	facts.Times = t.times(facts.Position)
	return facts, nil
}

func readOrientation(r *source, contentType string) (Orientation, error) {
	block, err := readEXIF(r, contentType)
	if err != nil {
		return 0, err
	}
	if o, ok := readTags(block)[tagOrientation].number(); ok && o >= 1 && o <= 8 {
		return Orientation(o), nil
	}
	return Upright, nil
}

// position returns the position or nil. Receivers without a fix say so in
// GPSStatus, or write zeros for both coordinates: that point, in the Gulf of
// Guinea, counts as none.
func (t tags) position() *geo.Point {
	latitude, northOrSouth := t.coordinate(tagGPSLatitude, tagGPSLatitudeRef, "N", "S")
	longitude, eastOrWest := t.coordinate(tagGPSLongitude, tagGPSLongitudeRef, "E", "W")
	if !northOrSouth || !eastOrWest || latitude == 0 && longitude == 0 || strings.EqualFold(t.text(tagGPSStatus), "V") {
		return nil
	}
	p, err := geo.New(latitude, longitude)
	if err != nil {
		return nil
	}
	return &p
}

// coordinate returns a coordinate in degrees. Each of its three numbers and the
// hemisphere has to be known: one that is not would move the photo by kilometres.
func (t tags) coordinate(in, ref tag, positive, negative string) (degrees float64, ok bool) {
	numbers, ok := t[in].three()
	if !ok || numbers[1] > 60 || numbers[2] > 60 {
		return 0, false
	}
	degrees = numbers[0] + numbers[1]/60 + numbers[2]/3600
	switch strings.ToUpper(t.text(ref)) {
	case positive:
		return degrees, true
	case negative:
		return -degrees, true
	}
	return 0, false
}

// times returns the time of the satellites and that of the camera's clock.
func (t tags) times(position *geo.Point) []Timestamp {
	var times []Timestamp
	if at, ok := t.fixTime(); ok {
		times = append(times, Timestamp{At: at, Uncertainty: fixUncertainty, IsFix: true})
	}
	original := t.text(tagDateTimeOriginal)
	if at, ok := parseTime("2006:01:02 15:04:05Z07:00", original+t.text(tagOffsetTimeOriginal)); ok {
		return append(times, Timestamp{At: at, Uncertainty: clockUncertainty})
	}
	local, ok := parseTime("2006:01:02 15:04:05", original)
	switch {
	case !ok:
		return times
	case position == nil:
		return append(times, Timestamp{At: local, Uncertainty: zoneUncertainty})
	}
	return append(times, localTimes(local, position.Longitude)...)
}

// fixTime returns the time of the satellites, which is in UTC.
func (t tags) fixTime() (time.Time, bool) {
	day, ok := parseTime("2006:01:02", t.text(tagGPSDateStamp))
	clock, known := t[tagGPSTimeStamp].three()
	if !ok || !known || clock[0] >= 24 || clock[1] > 60 || clock[2] > 60 {
		return time.Time{}, false
	}
	seconds := clock[0]*3600 + clock[1]*60 + clock[2]
	return day.Add(time.Duration(seconds) * time.Second), true
}

// localTimes returns what a clock that shows legal time may mean in UTC at a
// longitude in degrees.
func localTimes(local time.Time, longitude float64) []Timestamp {
	const perDegree = 24 * time.Hour / 360
	const day = 24 * time.Hour
	sun := time.Duration(longitude * float64(perDegree))
	at := local.Add(-sun - (legalAhead-legalBehind)/2).Truncate(time.Second)
	times := []Timestamp{{At: at, Uncertainty: (legalAhead + legalBehind) / 2}}
	if math.Abs(longitude) >= dateLineDegrees {
		otherDate := at.Add(day)
		if longitude < 0 {
			otherDate = at.Add(-day)
		}
		times = append(times, Timestamp{At: otherDate, Uncertainty: (legalAhead + legalBehind) / 2})
	}
	return times
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
func (t tags) text(in tag) string {
	line := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(t[in].text(), "")))
	if runes := []rune(line); len(runes) > 100 {
		line = string(runes[:100])
	}
	return line
}
