package photo_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

// WebP files of one pixel, as browsers are asked for their support with.
var (
	webpLossy    = fromBase64("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA")
	webpLossless = fromBase64("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	webpAlpha    = fromBase64("UklGRkoAAABXRUJQVlA4WAoAAAAQAAAAAAAAAAAAQUxQSAwAAAARBxAR/Q9ERP8DAABWUDggGAAAABQBAJ0BKgEAAQAAAP4AAA3AAP7mtQAAAA==")
	webpAnimated = fromBase64("UklGRlIAAABXRUJQVlA4WAoAAAASAAAAAAAAAAAAQU5JTQYAAAD/////AABBTk1GJgAAAAAAAAAAAAAAAAAAAGQAAABWUDhMDQAAAC8AAAAQBxAREYiI/gcA")
)

func fromBase64(text string) []byte {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return data
}

func sampleJPEG(t testing.TB, o sample.Options) []byte {
	t.Helper()
	data, err := sample.JPEG(o)
	require.NoError(t, err)
	return data
}

// tiff returns the EXIF structure of a sample, to be put into other formats.
func tiff(t testing.TB, o sample.Options) []byte {
	t.Helper()
	o.Width, o.Height = 8, 8
	data := sampleJPEG(t, o)
	return data[12 : 4+binary.BigEndian.Uint16(data[4:])]
}

func encodePNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, img))
	return out.Bytes()
}

func pngChunk(name string, data []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(out, name...)
	out = append(out, data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// withPNGChunk puts a chunk after the image header.
func withPNGChunk(file []byte, name string, data []byte) []byte {
	const afterHeader = 8 + 12 + 13
	return bytes.Join([][]byte{file[:afterHeader], pngChunk(name, data), file[afterHeader:]}, nil)
}

// pngHeader is a PNG that announces a picture and has next to nothing of it.
func pngHeader(width, height uint32, depth, colour, interlace byte, before ...[]byte) []byte {
	ihdr := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	ihdr = append(ihdr, depth, colour, 0, 0, interlace)
	out := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", ihdr)...)
	out = append(out, bytes.Join(before, nil)...)
	return append(out, pngChunk("IDAT", []byte{0x78, 0x9c})...)
}

func jpegSegment(marker byte, data ...byte) []byte {
	out := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(data)+2))
	return append(out, data...)
}

// frame is a frame header of a JPEG; sampling has a byte for each component.
func frame(marker byte, width, height uint16, sampling ...byte) []byte {
	data := binary.BigEndian.AppendUint16([]byte{8}, height)
	data = binary.BigEndian.AppendUint16(data, width)
	data = append(data, byte(len(sampling)))
	for i, hv := range sampling {
		data = append(data, byte(i+1), hv, 0)
	}
	return jpegSegment(marker, data...)
}

var scan = jpegSegment(0xda, 1, 1, 0, 0, 63, 0)

// jpegHeader is a JPEG with markers and next to nothing of the picture.
func jpegHeader(segments ...[]byte) []byte {
	out := append([]byte{0xff, 0xd8}, bytes.Join(segments, nil)...)
	return append(out, 0x12, 0xff, 0x00, 0x34, 0xff, 0xd3, 0x56, 0xff, 0xd9)
}

func riffChunk(name string, data ...byte) []byte {
	out := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(data)))
	out = append(out, data...)
	if len(data)%2 == 1 {
		out = append(out, 0)
	}
	return out
}

func webpFile(chunks ...[]byte) []byte {
	body := append([]byte("WEBP"), bytes.Join(chunks, nil)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

func canvas(flags byte, width, height int) []byte {
	w, h := width-1, height-1
	return riffChunk("VP8X", flags, 0, 0, 0, byte(w), byte(w>>8), byte(w>>16), byte(h), byte(h>>8), byte(h>>16))
}

func vp8(width, height uint16) []byte {
	data := binary.LittleEndian.AppendUint16([]byte{0x30, 1, 0, 0x9d, 1, 0x2a}, width)
	return riffChunk("VP8 ", binary.LittleEndian.AppendUint16(data, height)...)
}

func vp8l(width, height uint32, further int) []byte {
	data := binary.LittleEndian.AppendUint32([]byte{0x2f}, (width-1)|(height-1)<<14)
	return riffChunk("VP8L", append(data, make([]byte, further)...)...)
}

func box(name string, contents ...[]byte) []byte {
	data := bytes.Join(contents, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(data))), name...), data...)
}

// heic announces a picture, and has none.
func heic(width, height uint32) []byte {
	extent := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(make([]byte, 4), width), height)
	return append(box("ftyp", []byte("heic\x00\x00\x00\x00mif1heic")),
		box("meta", make([]byte, 4), box("hdlr", make([]byte, 24)), box("iprp", box("ipco", box("ispe", extent))))...)
}

// webpWithEXIF is one pixel with metadata.
func webpWithEXIF(exif []byte) []byte {
	return webpFile(canvas(0x08, 1, 1), webpLossy[12:], riffChunk("EXIF", exif...))
}

var (
	tower   = geo.Point{Latitude: 53.8672415, Longitude: -8.7026128}
	takenAt = time.Date(2026, 7, 14, 23, 30, 5, 0, time.FixedZone("", 2*3600))
)

func plain(width, height int, c color.Color) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, c)
		}
	}
	return img
}
