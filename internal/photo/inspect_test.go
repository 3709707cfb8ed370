package photo_test

import (
	"bytes"
	"errors"
	"image/color"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

func inspect(data []byte) (photo.Info, error) {
	return photo.Inspect(bytes.NewReader(data), int64(len(data)), photo.DefaultLimits())
}

func requireFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, kind, f.Kind, err)
	require.Equal(t, code, f.Code, err)
}

func TestInspectReadsDimensions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data          []byte
		contentType   string
		width, height int
	}{
		"JPEG":             {sampleJPEG(t, sample.Options{Width: 61, Height: 33}), photo.JPEG, 61, 33},
		"JPEG on its side": {sampleJPEG(t, sample.Options{Width: 61, Height: 33, Orientation: 6}), photo.JPEG, 33, 61},
		"PNG":              {encodePNG(t, plain(7, 5, color.White)), photo.PNG, 7, 5},
		"lossy WebP":       {webpLossy, photo.WebP, 1, 1},
		"lossless WebP":    {webpLossless, photo.WebP, 1, 1},
		"WebP with alpha":  {webpAlpha, photo.WebP, 1, 1},
		"large WebP":       {webpFile(canvas(0, 3000, 2000), vp8(3000, 2000)), photo.WebP, 3000, 2000},
		"JPEG, fill bytes": {jpegHeader([]byte{0xff, 0xff, 0xff}, frame(0xc0, 5, 4, 0x11), scan), photo.JPEG, 5, 4},
		"JPEG without end": {jpegHeader(frame(0xc1, 5, 4, 0x11), scan, scan)[:40], photo.JPEG, 5, 4},
		"JPEG, long scan":  {jpegHeader(frame(0xc0, 5, 4, 0x11), scan, make([]byte, 100_000)), photo.JPEG, 5, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, err := inspect(c.data)
			require.NoError(t, err)
			require.Equal(t, c.contentType, info.ContentType)
			require.Equal(t, [2]int{c.width, c.height}, [2]int{info.Width, info.Height})
			require.Positive(t, info.MemoryBytes)
		})
	}
}

func TestInspectRefusesOtherFormats(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"nothing":         nil,
		"a byte":          {0xff},
		"text":            []byte("<svg xmlns='http://www.w3.org/2000/svg'/>"),
		"GIF":             []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"),
		"BMP":             []byte("BM\x3a\x00\x00\x00\x00\x00\x00\x00\x36\x00"),
		"MP4":             []byte("\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41"),
		"cut ftyp":        []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"),
		"other RIFF":      []byte("RIFF\x04\x00\x00\x00WAVE"),
		"PNG via text":    bytes.ReplaceAll(encodePNG(t, plain(2, 2, color.White)), []byte("\r\n"), []byte("\n")),
		"lossless JPEG":   jpegHeader(frame(0xc3, 5, 4, 0x11), scan),
		"arithmetic JPEG": jpegHeader(frame(0xc9, 5, 4, 0x11), scan),
		"12 bit JPEG":     jpegHeader(jpegSegment(0xc1, 12, 0, 4, 0, 5, 1, 1, 0x11, 0), scan),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inspect(data)
			requireFault(t, err, fault.UnsupportedMedia, "photo_format")
			require.ErrorContains(t, err, "JPEG, PNG, WebP, HEIC or AVIF")
		})
	}
}

func TestInspectRefusesAnimations(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"WebP":              webpAnimated,
		"WebP without flag": webpFile(canvas(0, 1, 1), riffChunk("ANMF", 1, 2, 3)),
		"PNG":               withPNGChunk(encodePNG(t, plain(2, 2, color.White)), "acTL", make([]byte, 8)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inspect(data)
			requireFault(t, err, fault.UnsupportedMedia, "photo_animated")
		})
	}
}

func TestInspectRefusesBrokenFiles(t *testing.T) {
	t.Parallel()
	one := frame(0xc0, 5, 4, 0x11)
	picture := encodePNG(t, plain(2, 2, color.White))
	huge := slices.Clone(webpLossy)
	copy(huge[16:], "\xff\xff\xff\x7f")
	for name, data := range map[string][]byte{
		"JPEG without frame":        jpegHeader(scan),
		"JPEG without scan":         jpegHeader(one),
		"JPEG of markers only":      {0xff, 0xd8, 0xff, 0xe0},
		"JPEG cut in a length":      {0xff, 0xd8, 0xff, 0xe0, 0},
		"JPEG cut in a fill":        {0xff, 0xd8, 0xff, 0xff},
		"JPEG cut in a segment":     {0xff, 0xd8, 0xff, 0xe0, 0, 9, 1},
		"JPEG cut in a frame":       append([]byte{0xff, 0xd8}, one[:8]...),
		"JPEG with a short segment": {0xff, 0xd8, 0xff, 0xe0, 0, 1, 0, 0},
		"JPEG with two frames":      jpegHeader(one, one, scan),
		"JPEG with a short frame":   jpegHeader(jpegSegment(0xc0, 8, 0, 1), scan),
		"JPEG with a long frame":    jpegHeader(jpegSegment(0xc0, 8, 0, 4, 0, 5, 3, 1, 0x11, 0), scan),
		"JPEG of no components":     jpegHeader(frame(0xc0, 5, 4), scan),
		"JPEG with odd sampling":    jpegHeader(frame(0xc0, 5, 4, 0x05), scan),
		"JPEG without width":        jpegHeader(frame(0xc0, 0, 4, 0x11), scan),
		"JPEG without height":       jpegHeader(frame(0xc0, 5, 0, 0x11), scan),
		"JPEG with many scans":      jpegHeader(frame(0xc2, 5, 4, 0x11), bytes.Repeat(scan, 101)),
		"PNG of a signature":        picture[:8],
		"PNG cut in the header":     picture[:20],
		"PNG with a long chunk":     withPNGChunk(picture, "teXt", nil)[:37],
		"PNG without header":        append(append([]byte{}, picture[:8]...), pngChunk("IDAT", nil)...),
		"PNG with two headers":      withPNGChunk(picture, "IHDR", make([]byte, 13)),
		"PNG with a short header":   append(append([]byte{}, picture[:8]...), pngChunk("IHDR", make([]byte, 12))...),
		"PNG without width":         pngHeader(0, 5, 8, 2, 0),
		"PNG wider than a map":      pngHeader(1<<31, 1, 8, 2, 0),
		"PNG of many chunks":        pngHeader(5, 5, 8, 2, 0, bytes.Repeat(pngChunk("tIME", nil), 1000)),
		"WebP of a header":          webpLossy[:12],
		"WebP with a long chunk":    huge,
		"WebP cut in its canvas":    webpFile(riffChunk("VP8X", 0, 0))[:22],
		"WebP of two sizes":         webpFile(canvas(0, 9, 9), vp8(8, 9)),
		"WebP without width":        webpFile(vp8(0, 9)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inspect(data)
			requireFault(t, err, fault.Invalid, "photo_broken")
		})
	}
}

// The files announce more than they have: nothing may be allocated for it.
func TestInspectRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []byte
		code string
	}{
		"bytes":                   {make([]byte, 20_000_001), "photo_too_large"},
		"JPEG":                    {jpegHeader(frame(0xc0, 65535, 65535, 0x11, 0x11, 0x11), scan), "photo_too_many_pixels"},
		"PNG":                     {pngHeader(1<<20, 1<<20, 8, 2, 0), "photo_too_many_pixels"},
		"WebP":                    {webpFile(canvas(0, 16383, 16383), vp8(16383, 16383)), "photo_too_many_pixels"},
		"WebP canvas":             {webpFile(canvas(0x10, 1<<24, 1<<24), vp8l(16384, 16384, 0)), "photo_broken"},
		"just too many":           {jpegHeader(frame(0xc0, 8193, 8192, 0x22, 0x11, 0x11), scan), "photo_too_many_pixels"},
		"19 megapixels, 99 scans": {jpegHeader(frame(0xc2, 4400, 4400, 0x22, 0x11, 0x11), bytes.Repeat(scan, 99)), "photo_too_many_pixels"},
		"64 megapixels, 17 scans": {jpegHeader(frame(0xc2, 8192, 8192, 0x11, 0x11, 0x11), bytes.Repeat(scan, 17)), "photo_too_many_pixels"},
		"HEIC":                    {heic(8000, 7000), "photo_too_many_pixels"},
		"HEIC wider than a map":   {heic(1<<31, 1), "photo_too_many_pixels"},
		"lossless WebP":           {webpFile(vp8l(6000, 4000, 0)), "photo_too_many_pixels"},
		"WebP with alpha":         {webpFile(canvas(0x10, 6000, 4000), riffChunk("ALPH", 1), vp8(6000, 4000)), "photo_too_many_pixels"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inspect(c.data)
			kind := fault.TooLarge
			if c.code == "photo_broken" {
				kind = fault.Invalid
			}
			requireFault(t, err, kind, c.code)
		})
	}
}

func TestInspectTakesTodaysPhones(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"8160 by 6144":              jpegHeader(frame(0xc0, 8160, 6144, 0x22, 0x11, 0x11), scan),
		"8192 by 6144 at 4:2:2":     jpegHeader(frame(0xc0, 8192, 6144, 0x21, 0x11, 0x11), scan),
		"64 megapixels":             jpegHeader(frame(0xc0, 9280, 6944, 0x22, 0x11, 0x11), scan),
		"64 megapixels at 4:4:4":    jpegHeader(frame(0xc0, 8192, 8192, 0x11, 0x11, 0x11), scan),
		"24 megapixels progressive": jpegHeader(frame(0xc2, 6000, 4000, 0x22, 0x11, 0x11), bytes.Repeat(scan, 12)),
		"64 megapixels progressive": jpegHeader(frame(0xc2, 8192, 8192, 0x11, 0x11, 0x11), bytes.Repeat(scan, 16)),
		"four inks, 64 megapixels":  jpegHeader(frame(0xc2, 8192, 8192, 0x11, 0x11, 0x11, 0x11), scan),
		"Adobe RGB 24 megapixels":   jpegHeader(jpegSegment(0xee, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00")...), frame(0xc0, 6000, 4000, 0x11, 0x11, 0x11), scan),
		"avatar of many scans":      jpegHeader(frame(0xc2, 512, 512, 0x22, 0x11, 0x11), bytes.Repeat(scan, 100)),
		"12 megapixels, 16 bits":    pngHeader(4000, 3000, 16, 2, 0),
		"the same, interlaced":      pngHeader(4032, 3024, 16, 6, 1),
		"64 megapixels PNG":         pngHeader(8192, 8192, 16, 6, 0),
		"64 megapixels, interlaced": pngHeader(8192, 8192, 8, 2, 1),
		"48 megapixels WebP":        webpFile(canvas(0, 8000, 6000), vp8(8000, 6000)),
		"HEIC":                      heic(4032, 3024),
		"12 megapixels WebP":        webpFile(canvas(0x10, 4000, 3000), riffChunk("ALPH", 1), vp8(4000, 3000)),
		"12 megapixels lossless":    webpFile(vp8l(4000, 3000, 0)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inspect(data)
			require.NoError(t, err)
		})
	}
}

// failing breaks off after some bytes, as a disk does.
type failing struct {
	io.ReadSeeker
	after int
}

var errDisk = errors.New("disk on fire")

func (f *failing) Read(p []byte) (int, error) {
	if f.after <= 0 {
		return 0, errDisk
	}
	n, err := f.ReadSeeker.Read(p[:min(len(p), f.after)])
	f.after -= n
	return n, err
}

// unseekable is a pipe.
type unseekable struct{ io.Reader }

func (unseekable) Seek(int64, int) (int64, error) { return 0, errDisk }

func TestAFailingDiskIsNoFaultOfThePhoto(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"JPEG": sampleJPEG(t, sample.Options{Width: 40, Height: 30, Position: &tower}),
		"PNG":  encodePNG(t, plain(9, 9, color.White)),
		"WebP": webpAlpha,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, after := range []int{0, 5, 12, 14} {
				_, err := photo.Inspect(&failing{bytes.NewReader(data), after}, int64(len(data)), photo.DefaultLimits())
				require.ErrorIs(t, err, errDisk)
				require.Equal(t, fault.Internal, fault.KindOf(err))
				_, err = photo.ReadFacts(&failing{bytes.NewReader(data), after})
				require.ErrorIs(t, err, errDisk, after)
			}
			_, err := photo.Inspect(unseekable{bytes.NewReader(data)}, int64(len(data)), photo.DefaultLimits())
			require.ErrorIs(t, err, errDisk)
			_, err = photo.ReadFacts(unseekable{bytes.NewReader(data)})
			require.ErrorIs(t, err, errDisk)
		})
	}
}
