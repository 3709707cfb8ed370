package photo_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

// The letters stand for pixels, row by row, as in the table of EXIF 2.32 for tag
// 0x0112; each picture is stored as
//
//	abc
//	def
func TestOrientations(t *testing.T) {
	t.Parallel()
	stored := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(stored.Pix, "abcdef")
	for orientation, want := range map[int][]string{
		1: {"abc", "def"},
		2: {"cba", "fed"},
		3: {"fed", "cba"},
		4: {"def", "abc"},
		5: {"ad", "be", "cf"},
		6: {"da", "eb", "fc"},
		7: {"fc", "eb", "da"},
		8: {"cf", "be", "ad"},
	} {
		exif := tiff(t, sample.Options{Orientation: orientation})
		img, err := decode(t, withPNGChunk(encodePNG(t, stored), "eXIf", exif))
		require.NoError(t, err)
		require.Equal(t, image.Rect(0, 0, len(want[0]), len(want)), img.Bounds(), orientation)
		var out bytes.Buffer
		require.NoError(t, png.Encode(&out, img))
		rendered, err := decode(t, out.Bytes())
		require.NoError(t, err)
		made, err := photo.Render(img, 100)
		require.NoError(t, err)
		require.Equal(t, img.Bounds().Size(), made.Size)
		seen, err := decode(t, made.JPEG)
		require.NoError(t, err)
		for y, row := range want {
			for x := range row {
				require.Equal(t, color.Gray{row[x]}, color.GrayModel.Convert(rendered.At(x, y)), "orientation %d at %d, %d", orientation, x, y)
				require.InDelta(t, row[x], color.GrayModel.Convert(seen.At(x, y)).(color.Gray).Y, 2, "orientation %d at %d, %d", orientation, x, y)
			}
		}
	}
}
