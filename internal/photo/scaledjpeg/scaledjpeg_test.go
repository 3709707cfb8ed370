package scaledjpeg_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/photo/scaledjpeg"
)

func files(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/*.jpg")
	require.NoError(t, err)
	require.Len(t, names, 10)
	all := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		all[filepath.Base(name)] = data
	}
	return all
}

// difference is the largest one of two pictures' colours, and their mean.
func difference(t testing.TB, a, b image.Image) (most int, mean float64) {
	t.Helper()
	require.Equal(t, a.Bounds().Size(), b.Bounds().Size())
	sum := 0
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			p := color.RGBAModel.Convert(a.At(x, y)).(color.RGBA)
			q := color.RGBAModel.Convert(b.At(x, y)).(color.RGBA)
			for _, d := range []int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B)} {
				d = max(d, -d)
				most, sum = max(most, d), sum+d
			}
		}
	}
	return most, float64(sum) / float64(3*a.Bounds().Dx()*a.Bounds().Dy())
}

// At full size the picture is the one of another decoder, but for how both round.
func TestDecodeAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for name, data := range files(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := jpeg.Decode(bytes.NewReader(data))
			require.NoError(t, err)
			got, err := scaledjpeg.Decode(iotest.OneByteReader(bytes.NewReader(data)), 8)
			require.NoError(t, err)
			require.IsType(t, want, got)
			most, mean := difference(t, want, got)
			require.LessOrEqual(t, most, 6)
			require.Less(t, mean, 0.5)
		})
	}
}

func toGray(img image.Image) *image.Gray {
	out := image.NewGray(image.Rectangle{Max: img.Bounds().Size()})
	draw.Draw(out, out.Rect, img, img.Bounds().Min, draw.Src)
	return out
}

// average shrinks a picture to n eighths by taking the mean of what is beneath each
// new sample.
func average(img image.Image, n int, size image.Point) *image.RGBA {
	out := image.NewRGBA(image.Rectangle{Max: size})
	b := img.Bounds()
	const fine = 8
	for y := range size.Y {
		for x := range size.X {
			var r, g, bl uint32
			for j := range fine {
				for i := range fine {
					c := color.RGBAModel.Convert(img.At(
						min(b.Dx()-1, (x*fine+i)*8/(n*fine)), min(b.Dy()-1, (y*fine+j)*8/(n*fine)))).(color.RGBA)
					r, g, bl = r+uint32(c.R), g+uint32(c.G), bl+uint32(c.B)
				}
			}
			out.SetRGBA(x, y, color.RGBA{uint8(r / fine / fine), uint8(g / fine / fine), uint8(bl / fine / fine), 255})
		}
	}
	return out
}

func TestDecodeAtEachSizeShowsTheSamePicture(t *testing.T) {
	t.Parallel()
	for name, data := range files(t) {
		for n := 1; n <= 8; n++ {
			t.Run(fmt.Sprintf("%s at %d", name, n), func(t *testing.T) {
				t.Parallel()
				got, err := scaledjpeg.Decode(bytes.NewReader(data), n)
				require.NoError(t, err)
				require.Equal(t, image.Pt((67*n+7)/8, (45*n+7)/8), got.Bounds().Size())
				full, err := jpeg.Decode(bytes.NewReader(data))
				require.NoError(t, err)
				want := average(full, n, got.Bounds().Size())
				_, mean := difference(t, want, got)
				limit := 7.0
				if strings.Contains(name, "42") {
					limit = 30 // The chroma is that of a picture of half the size.
				}
				require.Less(t, mean, limit)
				_, mean = difference(t, toGray(want), toGray(got))
				require.Less(t, mean, 7.0, "luma")
			})
		}
	}
}

func TestSizeIsTheSmallestThatIsEnough(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]int{{9280, 6944, 2}, {6000, 4000, 3}, {3024, 4032, 5}, {2048, 1536, 8}, {64, 64, 8}, {65535, 1, 1}} {
		require.Equal(t, c[2], scaledjpeg.Size(c[0], c[1], 2048), c)
	}
}

func TestDecodeTakesAFileWithoutItsEndMarker(t *testing.T) {
	t.Parallel()
	for name, data := range files(t) {
		want, err := scaledjpeg.Decode(bytes.NewReader(data), 8)
		require.NoError(t, err)
		got, err := scaledjpeg.Decode(bytes.NewReader(data[:len(data)-2]), 8)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
}

// What is missing at the end is grey, if it is little; of a progressive picture the
// last refinements may be missing.
func TestDecodeTakesAFileThatLacksItsLastRows(t *testing.T) {
	t.Parallel()
	drawn, err := scaledjpeg.Decode(bytes.NewReader(files(t)["baseline-444.jpg"]), 8)
	require.NoError(t, err)
	large := image.NewRGBA(image.Rect(0, 0, 670, 450))
	for y := range 450 {
		for x := range 670 {
			large.Set(x, y, drawn.At(x%67, y%45))
		}
	}
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, large, nil))
	data := out.Bytes()
	got, err := scaledjpeg.Decode(bytes.NewReader(data[:len(data)*995/1000]), 8)
	require.NoError(t, err)
	require.Equal(t, image.Pt(670, 450), got.Bounds().Size())
	for _, share := range []int{95, 50, 10, 1, 0} {
		_, err = scaledjpeg.Decode(bytes.NewReader(data[:len(data)*share/100]), 8)
		require.Error(t, err, "%d per cent", share)
	}
	for name, data := range files(t) {
		if strings.Contains(name, "progressive") {
			_, err = scaledjpeg.Decode(bytes.NewReader(data[:len(data)*995/1000]), 8)
			require.NoError(t, err, name)
			_, err = scaledjpeg.Decode(bytes.NewReader(data[:len(data)/3]), 8)
			require.Error(t, err, name)
		}
	}
}

func TestDecodePassesOnTheErrorOfItsReader(t *testing.T) {
	t.Parallel()
	wanted := errors.New("disk on fire")
	for name, data := range files(t) {
		for _, after := range []int{0, 1, 30, len(data) / 2, len(data) - 2} {
			_, err := scaledjpeg.Decode(io.MultiReader(bytes.NewReader(data[:after]), iotest.ErrReader(wanted)), 8)
			require.ErrorIs(t, err, wanted, "%s after %d", name, after)
		}
	}
}

func TestDecodeRefusesWhatIsBroken(t *testing.T) {
	t.Parallel()
	data := files(t)["progressive-420.jpg"]
	for at := 2; at < len(data); at++ {
		broken := bytes.Clone(data)
		broken[at] ^= 0xff
		_, _ = scaledjpeg.Decode(bytes.NewReader(broken), 3) // It may be readable; it must not panic.
	}
	for name, c := range map[string][]byte{
		"nothing":       nil,
		"no frame":      {0xff, 0xd8, 0xff, 0xd9},
		"short segment": {0xff, 0xd8, 0xff, 0xda, 0, 1},
		"scan first":    {0xff, 0xd8, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0},
	} {
		_, err := scaledjpeg.Decode(bytes.NewReader(c), 8)
		require.Error(t, err, name)
	}
}

// FuzzDecode holds the decoder against the standard library's: what that one reads
// is the same picture here.
func FuzzDecode(f *testing.F) {
	for _, data := range files(f) {
		f.Add(data, byte(8))
		f.Add(data, byte(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, n byte) {
		config, err := jpeg.DecodeConfig(bytes.NewReader(data))
		if err != nil || config.Width*config.Height > 20_000 || bytes.Count(data, []byte{0xff, 0xda}) > 20 {
			return
		}
		size := 1 + int(n)%8
		got, err := scaledjpeg.Decode(bytes.NewReader(data), size)
		want, wantErr := jpeg.Decode(bytes.NewReader(data))
		if wantErr != nil {
			return
		}
		if err != nil {
			t.Skip() // Such as a spectrum that T.81 does not allow and the other one does.
		}
		require.Equal(t, image.Pt((config.Width*size+7)/8, (config.Height*size+7)/8), got.Bounds().Size())
		require.NotNil(t, want)
	})
}
