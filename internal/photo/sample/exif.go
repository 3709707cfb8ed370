package sample

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/picaspot/picaspot/internal/geo"
)

// The field types of TIFF 6.0 that are written here.
const (
	typeASCII    = 2
	typeShort    = 3
	typeLong     = 4
	typeRational = 5
	typeByte     = 1
)

// entry is one field of a directory; data is its value as stored.
type entry struct {
	tag, kind uint16
	count     uint32
	data      []byte
}

func ascii(tag uint16, text string) entry {
	return entry{tag, typeASCII, uint32(len(text) + 1), append([]byte(text), 0)} // Some bytes.
}

func short(tag, value uint16) entry {
	return entry{tag, typeShort, 1, binary.LittleEndian.AppendUint16(nil, value)}
}

func long(tag uint16, value uint32) entry {
	return entry{tag, typeLong, 1, binary.LittleEndian.AppendUint32(nil, value)}
}

// rationals takes pairs of a numerator and a denominator.
func rationals(tag uint16, pairs ...uint32) entry {
	var data []byte
	for _, n := range pairs {
		data = binary.LittleEndian.AppendUint32(data, n)
	}
	return entry{tag, typeRational, uint32(len(pairs) / 2), data} // Three at most.
}

// directorySize is what a directory takes with the values that do not fit into
// its fields.
func directorySize(entries []entry) int {
	size := 2 + 12*len(entries) + 4
	for _, e := range entries {
		if len(e.data) > 4 {
			size += len(e.data) + len(e.data)%2
		}
	}
	return size
}

// appendDirectory writes a directory that starts at an offset from the start of
// the TIFF structure. The entries are in ascending order of their tags.
func appendDirectory(out []byte, offset int, entries []entry) []byte {
	out = binary.LittleEndian.AppendUint16(out, uint16(len(entries))) // A dozen at most.
	values := offset + 2 + 12*len(entries) + 4
	var after []byte
	for _, e := range entries {
		out = binary.LittleEndian.AppendUint16(out, e.tag)
		out = binary.LittleEndian.AppendUint16(out, e.kind)
		out = binary.LittleEndian.AppendUint32(out, e.count)
		if len(e.data) <= 4 {
			out = append(out, e.data...)
			out = append(out, make([]byte, 4-len(e.data))...)
			continue
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(values+len(after))) // Below 64 KB.
		after = append(after, e.data...)
		if len(e.data)%2 == 1 {
			after = append(after, 0)
		}
	}
	out = append(out, 0, 0, 0, 0) // No further directory.
	return append(out, after...)
}

// tiff writes the structure of EXIF 2.32, section 4.5: a main directory that
// points to one for the exposure and one for the position.
func (o Options) tiff() []byte {
	exposure := []entry{{0x9000, 7, 4, []byte("0232")}}
	if !o.TakenAt.IsZero() {
		exposure = append(exposure,
			ascii(0x9003, o.TakenAt.Format("2006:01:02 15:04:05")),
			ascii(0x9011, o.TakenAt.Format("-07:00")))
	}
	main := []entry{
		ascii(0x010f, cameraMake), ascii(0x0110, cameraModel), short(0x0112, uint16(o.Orientation)), // 1 to 8.
		long(0x8769, 0),
	}
	var position []entry
	if o.Position != nil {
		position = gps(*o.Position, o.TakenAt)
		main = append(main, long(0x8825, 0))
	}
	exposureAt := 8 + directorySize(main)
	positionAt := exposureAt + directorySize(exposure)
	main[3] = long(0x8769, uint32(exposureAt)) // Below 64 KB.
	if position != nil {
		main[4] = long(0x8825, uint32(positionAt)) // Below 64 KB.
	}
	out := []byte{'I', 'I', 42, 0, 8, 0, 0, 0}
	out = appendDirectory(out, 8, main)
	out = appendDirectory(out, exposureAt, exposure)
	if position != nil {
		out = appendDirectory(out, positionAt, position)
	}
	return out
}

func gps(p geo.Point, takenAt time.Time) []entry {
	hemisphere := func(degrees float64, positive, negative string) string {
		if degrees < 0 {
			return negative
		}
		return positive
	}
	entries := []entry{
		{0x0000, typeByte, 4, []byte{2, 3, 0, 0}},
		ascii(0x0001, hemisphere(p.Latitude, "N", "S")), rationals(0x0002, sexagesimal(p.Latitude)...),
		ascii(0x0003, hemisphere(p.Longitude, "E", "W")), rationals(0x0004, sexagesimal(p.Longitude)...),
	}
	if takenAt.IsZero() {
		return entries
	}
	utc := takenAt.UTC()
	hour, minute, second := utc.Clock()
	return append(entries,
		rationals(0x0007, uint32(hour), 1, uint32(minute), 1, uint32(second), 1), // Of a clock.
		ascii(0x001d, utc.Format("2006:01:02")))
}

// sexagesimal splits degrees into degrees, minutes and hundred-thousandths of a
// second, a third of a millimetre on the ground.
func sexagesimal(degrees float64) []uint32 {
	const fraction = 100_000
	total := uint64(math.Round(math.Abs(degrees) * 3600 * fraction))
	seconds := total % (60 * fraction)
	minutes := total / (60 * fraction)
	return []uint32{uint32(minutes / 60), 1, uint32(minutes % 60), 1, uint32(seconds), fraction} // At most 180 degrees.
}
