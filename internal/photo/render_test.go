package photo_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"testing"

	"github.com/bep/imagemeta"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

func TestRenderFitsThePicture(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, want image.Point }{
		{image.Pt(1000, 500), image.Pt(100, 50)},
		{image.Pt(500, 1000), image.Pt(50, 100)},
		{image.Pt(150, 99), image.Pt(100, 66)},
		{image.Pt(100, 100), image.Pt(100, 100)},
		{image.Pt(7, 5), image.Pt(7, 5)},
		{image.Pt(3000, 2), image.Pt(100, 1)},
		{image.Pt(1, 1), image.Pt(1, 1)},
	} {
		rendered, err := photo.Render(plain(c.from.X, c.from.Y, color.RGBA{200, 30, 60, 255}), 100)
		require.NoError(t, err)
		require.Equal(t, c.want, rendered.Size)
		made, err := jpeg.Decode(bytes.NewReader(rendered.JPEG))
		require.NoError(t, err)
		require.Equal(t, c.want, made.Bounds().Size())
		requireColour(t, color.RGBA{200, 30, 60, 255}, made.At(c.want.X/2, c.want.Y/2))
	}
}

func requireColour(t *testing.T, want, got color.Color) {
	t.Helper()
	wr, wg, wb, _ := want.RGBA()
	r, g, b, _ := got.RGBA()
	for _, pair := range [][2]uint32{{wr, r}, {wg, g}, {wb, b}} {
		require.InDelta(t, pair[0]>>8, pair[1]>>8, 6)
	}
}

func TestRenderPutsTransparencyOnWhite(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 500} {
		rendered, err := photo.Render(plain(size, size, color.NRGBA{255, 0, 0, 128}), 100)
		require.NoError(t, err)
		made, err := jpeg.Decode(bytes.NewReader(rendered.JPEG))
		require.NoError(t, err)
		requireColour(t, color.RGBA{255, 127, 127, 255}, made.At(5, 5))
	}
}

// No pixel is left out: one white pixel of 64 leaves its trace.
func TestRenderAverages(t *testing.T) {
	t.Parallel()
	img := image.NewGray(image.Rect(0, 0, 800, 800))
	for y := 3; y < 800; y += 8 {
		for x := 3; x < 800; x += 8 {
			img.SetGray(x, y, color.Gray{255})
		}
	}
	rendered, err := photo.Render(img, 100)
	require.NoError(t, err)
	made, err := jpeg.Decode(bytes.NewReader(rendered.JPEG))
	require.NoError(t, err)
	requireColour(t, color.Gray{4}, made.At(50, 50))
}

func TestRenderLeavesNoMetadata(t *testing.T) {
	t.Parallel()
	original := sampleJPEG(t, sample.Options{Width: 300, Height: 200, Position: &tower, TakenAt: takenAt, Orientation: 8})
	require.Contains(t, string(original), "Exif")
	img, err := decode(t, original)
	require.NoError(t, err)
	rendered, err := photo.Render(img, 250)
	require.NoError(t, err)
	require.Equal(t, image.Pt(250, 167), rendered.Size)
	tags := 0
	_, err = imagemeta.Decode(imagemeta.Options{
		R: bytes.NewReader(rendered.JPEG), ImageFormat: imagemeta.JPEG, Sources: imagemeta.EXIF | imagemeta.IPTC | imagemeta.XMP,
		HandleTag: func(imagemeta.TagInfo) error { tags++; return nil },
	})
	require.NoError(t, err)
	require.Zero(t, tags)
	require.NotContains(t, string(rendered.JPEG), "Exif")
	require.NotContains(t, string(rendered.JPEG), "PicASpot")
	facts, err := photo.ReadFacts(bytes.NewReader(rendered.JPEG))
	require.NoError(t, err)
	require.Equal(t, photo.Facts{}, facts)
}

func TestRenderRefusesWhatNoJPEGCanHold(t *testing.T) {
	t.Parallel()
	_, err := photo.Render(image.NewGray(image.Rect(0, 0, 70_000, 1)), 100_000)
	require.Error(t, err)
}
