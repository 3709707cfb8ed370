package scaledpng_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/photo/scaledpng"
)

// pictures are of each type of colour that the standard library writes.
func pictures(t testing.TB) map[string][]byte {
	t.Helper()
	const w, h = 45, 31
	rect := image.Rect(0, 0, w, h)
	rgba, nrgba, nrgba64, grey, grey16 := image.NewRGBA(rect), image.NewNRGBA(rect), image.NewNRGBA64(rect), image.NewGray(rect), image.NewGray16(rect)
	few := image.NewPaletted(rect, color.Palette{color.White, color.Black, color.NRGBA{200, 10, 10, 255}})
	many := image.NewPaletted(rect, nil)
	for i := range 100 {
		many.Palette = append(many.Palette, color.NRGBA{uint8(i), uint8(2 * i), uint8(255 - i), uint8(155 + i)})
	}
	for y := range h {
		for x := range w {
			c := color.NRGBA{uint8(5 * x), uint8(8 * y), uint8(x * y), uint8(255 - 3*x)}
			nrgba.SetNRGBA(x, y, c)
			nrgba64.Set(x, y, color.NRGBA64{uint16(x * 1400), uint16(y * 2000), 777, uint16(65535 - x*1000)})
			c.A = 255
			rgba.Set(x, y, c)
			grey.Set(x, y, c)
			grey16.Set(x, y, color.Gray16{uint16(x*1000 + y)})
			few.SetColorIndex(x, y, uint8((x+y)%3))
			many.SetColorIndex(x, y, uint8((x*y)%100))
		}
	}
	all := map[string][]byte{}
	for name, img := range map[string]image.Image{
		"rgb": rgba, "rgb with alpha": nrgba, "rgb with alpha of 16 bits": nrgba64, "grey": grey, "grey of 16 bits": grey16,
		"small palette": few, "palette with alpha": many,
	} {
		var out bytes.Buffer
		require.NoError(t, png.Encode(&out, img))
		all[name] = out.Bytes()
	}
	return all
}

// onWhite is what a picture looks like where there is no background.
func onWhite(img image.Image) *image.RGBA {
	out := image.NewRGBA(image.Rectangle{Max: img.Bounds().Size()})
	draw.Draw(out, out.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(out, out.Rect, img, img.Bounds().Min, draw.Over)
	return out
}

func requireSimilar(t *testing.T, want, got *image.RGBA, tolerance int) {
	t.Helper()
	require.Equal(t, want.Rect, got.Rect)
	for i := range want.Pix {
		require.InDelta(t, want.Pix[i], got.Pix[i], float64(tolerance), "byte %d", i)
	}
}

func TestDecodeAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for name, data := range pictures(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := png.Decode(bytes.NewReader(data))
			require.NoError(t, err)
			got, err := scaledpng.Decode(bytes.NewReader(data), 1)
			require.NoError(t, err)
			requireSimilar(t, onWhite(want), got, 2) // Sixteen bits are cut before they are put on white.
		})
	}
}

func mean(img *image.RGBA, factor int) *image.RGBA {
	b := img.Rect
	out := image.NewRGBA(image.Rect(0, 0, (b.Dx()+factor-1)/factor, (b.Dy()+factor-1)/factor))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			var sum [4]int
			count := 0
			for j := y * factor; j < min(b.Dy(), (y+1)*factor); j++ {
				for i := x * factor; i < min(b.Dx(), (x+1)*factor); i++ {
					for k := range 4 {
						sum[k] += int(img.Pix[img.PixOffset(i, j)+k])
					}
					count++
				}
			}
			for k := range 4 {
				out.Pix[out.PixOffset(x, y)+k] = uint8((sum[k] + count/2) / count)
			}
		}
	}
	return out
}

func TestDecodeShrinksByTheMean(t *testing.T) {
	t.Parallel()
	for name, data := range pictures(t) {
		for _, factor := range []int{2, 3, 7, scaledpng.MaxFactor} {
			t.Run(fmt.Sprintf("%s by %d", name, factor), func(t *testing.T) {
				t.Parallel()
				full, err := png.Decode(bytes.NewReader(data))
				require.NoError(t, err)
				got, err := scaledpng.Decode(bytes.NewReader(data), factor)
				require.NoError(t, err)
				requireSimilar(t, mean(onWhite(full), factor), got, 2)
			})
		}
	}
}

// The files in testdata are interlaced, and of the depths and filters that the
// standard library does not write.
func TestDecodeReadsWhatOthersWrite(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.png")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		full, err := png.Decode(bytes.NewReader(data))
		require.NoError(t, err, name)
		for _, factor := range []int{1, 2, 5} {
			got, err := scaledpng.Decode(bytes.NewReader(data), factor)
			require.NoError(t, err, name)
			requireSimilar(t, mean(onWhite(full), factor), got, 2)
		}
	}
}

func chunk(name string, data []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(append(out, name...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

func TestDecodePassesOverAWrongChecksumOfWhatItDoesNotNeed(t *testing.T) {
	t.Parallel()
	data := pictures(t)["rgb"]
	text := chunk("tEXt", []byte("Comment\x00hello"))
	text[len(text)-1] ^= 1
	_, err := scaledpng.Decode(bytes.NewReader(bytes.Join([][]byte{data[:33], text, data[33:]}, nil)), 1)
	require.NoError(t, err)
	for at, name := range map[int]string{30: "header", len(data) - 14: "pixels"} {
		broken := bytes.Clone(data)
		broken[at] ^= 1
		_, err = scaledpng.Decode(bytes.NewReader(broken), 1)
		require.Error(t, err, name)
	}
}

func TestDecodeRefusesWhatIsTruncated(t *testing.T) {
	t.Parallel()
	for name, data := range pictures(t) {
		for cut := range len(data) - 12 {
			_, err := scaledpng.Decode(bytes.NewReader(data[:cut]), 1)
			require.Error(t, err, "%s at %d", name, cut)
		}
	}
}

func TestDecodeOfNoiseDoesNotPanic(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, data := range pictures(t) {
		for range 200 {
			broken := bytes.Clone(data)
			for range 3 {
				broken[8+random.IntN(len(data)-8)] ^= byte(1 + random.IntN(255))
			}
			config, err := png.DecodeConfig(bytes.NewReader(broken))
			if err == nil && config.Width*config.Height < 100_000 {
				_, _ = scaledpng.Decode(bytes.NewReader(broken), 1+random.IntN(16))
			}
		}
	}
}
