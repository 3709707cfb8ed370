package photo_test

import (
	"bytes"
	"encoding/binary"
	"image/color"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

// stated are the times of a sample that was taken at takenAt.
var stated = []photo.Timestamp{
	{At: takenAt.UTC(), Uncertainty: time.Minute, IsFix: true},
	{At: takenAt.UTC(), Uncertainty: time.Second},
}

func TestReadFactsReadsEachFormat(t *testing.T) {
	t.Parallel()
	o := sample.Options{Position: &tower, TakenAt: takenAt}
	exif := tiff(t, o)
	for name, data := range map[string][]byte{
		"JPEG": sampleJPEG(t, o),
		"PNG":  withPNGChunk(encodePNG(t, plain(2, 2, color.White)), "eXIf", exif),
		"WebP": webpWithEXIF(exif),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, err := photo.ReadFacts(bytes.NewReader(data))
			require.NoError(t, err)
			require.NotNil(t, facts.Position)
			require.InDelta(t, 0, tower.DistanceMeters(*facts.Position), 0.001)
			require.Equal(t, stated, facts.Times)
			require.Equal(t, "PicASpot", facts.CameraMake)
		})
	}
}

func TestReadFactsOfAPhotoThatSaysNothing(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"PNG":          encodePNG(t, plain(2, 2, color.White)),
		"WebP":         webpLossy,
		"JPEG":         jpegHeader(frame(0xc0, 5, 4, 0x11), scan),
		"JPEG cut off": {0xff, 0xd8, 0xff},
		"PNG cut off":  encodePNG(t, plain(2, 2, color.White))[:13],
		"no metadata":  webpWithEXIF(nil),
		"nonsense":     webpWithEXIF([]byte("II*\x00\xff\xff\xff\xff")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, err := photo.ReadFacts(bytes.NewReader(data))
			require.NoError(t, err)
			require.Equal(t, photo.Facts{}, facts)
		})
	}
}

func TestReadFactsRefusesOtherFormats(t *testing.T) {
	t.Parallel()
	_, err := photo.ReadFacts(strings.NewReader("GIF89a and more"))
	requireFault(t, err, fault.UnsupportedMedia, "photo_format")
}

// field finds a tag's field in one of the directories of a TIFF structure, to be
// tampered with.
func field(t *testing.T, data []byte, tag uint16) []byte {
	t.Helper()
	little := binary.LittleEndian
	directories := []uint32{8}
	for len(directories) > 0 {
		at := directories[0]
		directories = directories[1:]
		for range little.Uint16(data[at:]) {
			f := data[at+2 : at+14]
			switch little.Uint16(f) {
			case tag:
				return f
			case 0x8769, 0x8825:
				directories = append(directories, little.Uint32(f[8:]))
			}
			at += 12
		}
	}
	require.Fail(t, "no such tag")
	return nil
}

// setNumbers overwrites the rational numbers of a tag.
func setNumbers(t *testing.T, data []byte, tag uint16, numbers ...uint32) {
	t.Helper()
	at := binary.LittleEndian.Uint32(field(t, data, tag)[8:])
	for i, n := range numbers {
		binary.LittleEndian.PutUint32(data[int(at)+4*i:], n)
	}
}

func setText(t *testing.T, data []byte, tag uint16, text string) {
	t.Helper()
	f := field(t, data, tag)
	count := binary.LittleEndian.Uint32(f[4:])
	value := append([]byte(text), make([]byte, count)...)[:count]
	if count <= 4 {
		copy(f[8:], value)
		return
	}
	copy(data[binary.LittleEndian.Uint32(f[8:]):], value)
}

func TestReadFactsDoubtsPositions(t *testing.T) {
	t.Parallel()
	const latitudeRef, latitude, longitudeRef, longitude = 1, 2, 3, 4
	for name, tamper := range map[string]func(t *testing.T, data []byte){
		"latitude beyond a pole": func(t *testing.T, d []byte) { setNumbers(t, d, latitude, 91, 1) },
		"longitude beyond":       func(t *testing.T, d []byte) { setNumbers(t, d, longitude, 181, 1) },
		"numbers without end":    func(t *testing.T, d []byte) { setNumbers(t, d, latitude, math.MaxUint32, 1) },
		"null island": func(t *testing.T, d []byte) {
			setNumbers(t, d, latitude, 0, 1, 0, 1, 0, 1)
			setNumbers(t, d, longitude, 0, 1, 0, 1, 0, 1)
		},
		"no denominators":   func(t *testing.T, d []byte) { setNumbers(t, d, latitude, 0, 0, 0, 0, 0, 0) },
		"degrees not known": func(t *testing.T, d []byte) { setNumbers(t, d, latitude, 0, 0) },
		"minutes not known": func(t *testing.T, d []byte) { setNumbers(t, d, longitude, 8, 1, 0, 0) },
		"seconds not known": func(t *testing.T, d []byte) { setNumbers(t, d, longitude, 8, 1, 42, 1, 0, 0) },
		"infinite minutes":  func(t *testing.T, d []byte) { setNumbers(t, d, latitude, 53, 1, 52, 0) },
		"61 minutes":        func(t *testing.T, d []byte) { setNumbers(t, d, latitude, 53, 1, 61, 1) },
		"negative degrees": func(t *testing.T, d []byte) {
			field(t, d, latitude)[2] = 10
			setNumbers(t, d, latitude, math.MaxUint32, 1)
		},
		"no hemisphere":             func(t *testing.T, d []byte) { setText(t, d, latitudeRef, "") },
		"hemisphere of another age": func(t *testing.T, d []byte) { setText(t, d, longitudeRef, "X") },
		"no latitude":               func(t *testing.T, d []byte) { binary.LittleEndian.PutUint16(field(t, d, latitude), 0x1f) },
		"two numbers":               func(t *testing.T, d []byte) { field(t, d, longitude)[4] = 2 },
		"a text":                    func(t *testing.T, d []byte) { field(t, d, latitude)[2] = 2 },
		"an unknown type":           func(t *testing.T, d []byte) { field(t, d, latitude)[2] = 77 },
		"somewhere else":            func(t *testing.T, d []byte) { binary.LittleEndian.PutUint32(field(t, d, longitude)[8:], 0xfffff0) },
		"a receiver without a fix": func(t *testing.T, d []byte) {
			// GPSVersionID becomes GPSStatus.
			copy(field(t, d, 0), []byte{9, 0, 2, 0, 2, 0, 0, 0, 'V', 0, 0, 0})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := tiff(t, sample.Options{Position: &tower})
			tamper(t, data)
			facts, err := photo.ReadFacts(bytes.NewReader(webpWithEXIF(data)))
			require.NoError(t, err)
			require.Nil(t, facts.Position)
			require.Equal(t, "PicASpot", facts.CameraMake, "the rest is read")
		})
	}
}

func TestReadFactsCleansNames(t *testing.T) {
	t.Parallel()
	data := tiff(t, sample.Options{})
	setText(t, data, 0x10f, " A\x1b[\xff\n\tB ")
	f := field(t, data, 0x110)
	// A model of 200 letters, beyond the limit of what is shown.
	binary.LittleEndian.PutUint32(f[4:], 200)
	binary.LittleEndian.PutUint32(f[8:], uint32(len(data)))
	data = append(data, bytes.Repeat([]byte("m"), 200)...)
	facts, err := photo.ReadFacts(bytes.NewReader(webpWithEXIF(data)))
	require.NoError(t, err)
	require.Equal(t, "A[B", facts.CameraMake)
	require.Equal(t, strings.Repeat("m", 100), facts.CameraModel)
}

// A directory that claims to have 65535 entries, each of them pointing to
// itself, costs no more than its bytes.
func TestReadFactsEndsOnCircles(t *testing.T) {
	t.Parallel()
	data := []byte{'I', 'I', 42, 0, 8, 0, 0, 0, 0xff, 0xff}
	for range 5000 {
		data = append(data, 0x69, 0x87, 4, 0, 1, 0, 0, 0, 8, 0, 0, 0)
		data = append(data, 0x4a, 0x01, 4, 0, 0xff, 0xff, 0, 0, 8, 0, 0, 0)
	}
	facts, err := photo.ReadFacts(bytes.NewReader(webpWithEXIF(data)))
	require.NoError(t, err)
	require.Equal(t, photo.Facts{}, facts)
}

func FuzzReadFacts(f *testing.F) {
	exif := tiff(f, sample.Options{Position: &tower, TakenAt: takenAt})
	f.Add(sampleJPEG(f, sample.Options{Width: 9, Height: 9, Position: &tower, TakenAt: takenAt}))
	f.Add(withPNGChunk(encodePNG(f, plain(2, 2, color.White)), "eXIf", exif))
	f.Add(webpWithEXIF(exif))
	f.Add(webpWithEXIF(append([]byte("Exif\x00\x00"), exif...)))
	f.Add(webpAlpha)
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := photo.ReadFacts(bytes.NewReader(data))
		if err != nil {
			requireFault(t, err, fault.UnsupportedMedia, "photo_format")
			return
		}
		if p := facts.Position; p != nil {
			require.LessOrEqual(t, math.Abs(p.Latitude), 90.0)
			require.LessOrEqual(t, math.Abs(p.Longitude), 180.0)
		}
		require.LessOrEqual(t, len(facts.Times), 3)
		for _, at := range facts.Times {
			require.False(t, at.At.IsZero())
			require.Positive(t, at.Uncertainty)
		}
		require.LessOrEqual(t, len([]rune(facts.CameraMake)), 100)
		require.NotContains(t, facts.CameraModel, "\x00")
	})
}
