package photo_test

import (
	"bytes"
	"encoding/binary"
	"image/color"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

// requireSample holds that all of a sample's metadata was read: its facts, and how
// its picture has to be turned.
func requireSample(t *testing.T, file []byte) {
	t.Helper()
	facts, err := photo.ReadFacts(bytes.NewReader(file))
	require.NoError(t, err)
	require.NotNil(t, facts.Position)
	require.InDelta(t, 0, tower.DistanceMeters(*facts.Position), 0.001)
	require.Equal(t, stated, facts.Times)
	require.Equal(t, "PicASpot", facts.CameraMake)
	limits := photo.DefaultLimits()
	require.NoError(t, photo.NewDecoder(limits, nil).Decode(t.Context(), "", bytes.NewReader(file), int64(len(file)), func(d photo.Decoded) error {
		require.Equal(t, photo.Orientation(6), d.Orientation)
		return nil
	}))
}

// TestReadFactsFindsEXIF puts the same metadata wherever files have it.
func TestReadFactsFindsEXIF(t *testing.T) {
	t.Parallel()
	exif := tiff(t, sample.Options{Position: &tower, TakenAt: takenAt, Orientation: 6})
	marked := append([]byte("Exif\x00\x00"), exif...)
	oddMark := append([]byte("Exif\x00\xff"), exif...)
	picture := encodePNG(t, plain(2, 2, color.White))
	const end = 12 // The chunk IEND.
	jpeg := sampleJPEG(t, sample.Options{Width: 8, Height: 8, Position: &tower, TakenAt: takenAt, Orientation: 6})
	xmp := jpegSegment(0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta/>")...)
	for name, file := range map[string][]byte{
		"JPEG, behind XMP":                bytes.Join([][]byte{jpeg[:2], xmp, jpeg[2:]}, nil),
		"JPEG, behind bytes of filling":   bytes.Join([][]byte{jpeg[:2], {0xff, 0xff}, jpeg[2:]}, nil),
		"PNG":                             withPNGChunk(picture, "eXIf", exif),
		"PNG, with the marker of a JPEG":  withPNGChunk(picture, "eXIf", marked),
		"PNG, behind the pixels":          bytes.Join([][]byte{picture[:len(picture)-end], pngChunk("eXIf", exif), picture[len(picture)-end:]}, nil),
		"PNG, behind an odd chunk":        withPNGChunk(withPNGChunk(picture, "eXIf", exif), "teXt", []byte("odd")),
		"WebP":                            webpFile(canvas(0x08, 1, 1), webpLossy[12:], riffChunk("EXIF", exif...)),
		"WebP, behind an odd chunk":       webpFile(canvas(0x08, 1, 1), riffChunk("ICCP", 1, 2, 3), webpLossy[12:], riffChunk("EXIF", exif...)),
		"WebP, behind two odd chunks":     webpFile(canvas(0x08, 1, 1), riffChunk("ICCP", 1, 2, 3), webpLossy[12:], riffChunk("XMP ", 1), riffChunk("EXIF", exif...)),
		"WebP, before the pixels":         webpFile(canvas(0x08, 1, 1), riffChunk("EXIF", exif...), webpLossy[12:]),
		"WebP, with the marker of a JPEG": webpFile(canvas(0x08, 1, 1), webpLossy[12:], riffChunk("EXIF", marked...)),
		"WebP, with another marker":       webpFile(canvas(0x08, 1, 1), webpLossy[12:], riffChunk("EXIF", oddMark...)),
		"WebP, without its flag":          webpFile(canvas(0, 1, 1), webpLossy[12:], riffChunk("EXIF", exif...)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireSample(t, file)
		})
	}
}

// TestReadFactsSkipsTagsThatItCannotRead spoils the first tag of each directory but
// the main one, and the model in that: the rest is read.
func TestReadFactsSkipsTagsThatItCannotRead(t *testing.T) {
	t.Parallel()
	little := binary.LittleEndian
	for name, spoil := range map[string]func(field []byte){
		"text in UTF-8 of EXIF 3.0": func(f []byte) { little.PutUint16(f[2:], 129) },
		"pointer of type 13":        func(f []byte) { little.PutUint16(f[2:], 13) },
		"type 0":                    func(f []byte) { little.PutUint16(f[2:], 0) },
		"type 77":                   func(f []byte) { little.PutUint16(f[2:], 77) },
		"type 65535":                func(f []byte) { little.PutUint16(f[2:], 65535) },
		"no values":                 func(f []byte) { little.PutUint32(f[4:], 0) },
		"values without end":        func(f []byte) { little.PutUint32(f[4:], 1<<32-1) },
		"a length that wraps": func(f []byte) {
			little.PutUint16(f[2:], 5)
			little.PutUint32(f[4:], 1<<29+1)
		},
		"values beyond the end": func(f []byte) {
			little.PutUint32(f[4:], 100)
			little.PutUint32(f[8:], 1<<32-10)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exif := tiff(t, sample.Options{Position: &tower, TakenAt: takenAt, Orientation: 6})
			for _, tag := range []uint16{0x0110, 0x9000, 0x0000} {
				spoil(field(t, exif, tag))
			}
			requireSample(t, webpFile(canvas(0x08, 1, 1), webpLossy[12:], riffChunk("EXIF", exif...)))
		})
	}

	t.Run("and takes pointers of type 13 and numbers of other sizes", func(t *testing.T) {
		t.Parallel()
		exif := tiff(t, sample.Options{Position: &tower, TakenAt: takenAt, Orientation: 6})
		for _, pointer := range []uint16{0x8769, 0x8825} {
			field(t, exif, pointer)[2] = 13
		}
		field(t, exif, 0x0112)[2] = 4
		field(t, exif, 0x010f)[2] = 129
		requireSample(t, webpFile(canvas(0x08, 1, 1), webpLossy[12:], riffChunk("EXIF", exif...)))
	})
}

// A coordinate of zero is the equator or the meridian of Greenwich.
func TestReadFactsTakesZeroCoordinates(t *testing.T) {
	t.Parallel()
	for _, at := range []geo.Point{{Latitude: 51.4779, Longitude: 0}, {Latitude: 0, Longitude: -78.4558}, {Latitude: 0.5, Longitude: 0}} {
		facts, err := photo.ReadFacts(bytes.NewReader(webpWithEXIF(tiff(t, sample.Options{Position: &at}))))
		require.NoError(t, err)
		require.NotNil(t, facts.Position, "%v", at)
		require.InDelta(t, 0, at.DistanceMeters(*facts.Position), 0.001)
	}
}
