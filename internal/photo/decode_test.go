package photo_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

func decode(t *testing.T, data []byte) (image.Image, error) {
	t.Helper()
	var img image.Image
	err := photo.NewDecoder(photo.DefaultLimits(), nil).Decode(t.Context(), "", bytes.NewReader(data), int64(len(data)),
		func(d photo.Decoded) error {
			img = d.Image
			return nil
		})
	return img, err
}

func TestDecodeReadsEachFormat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []byte
		size image.Point
	}{
		"JPEG":            {sampleJPEG(t, sample.Options{Width: 61, Height: 33}), image.Pt(61, 33)},
		"PNG":             {encodePNG(t, plain(7, 5, color.White)), image.Pt(7, 5)},
		"16 bit PNG":      {encodePNG(t, image.NewNRGBA64(image.Rect(0, 0, 4, 3))), image.Pt(4, 3)},
		"lossy WebP":      {webpLossy, image.Pt(1, 1)},
		"lossless WebP":   {webpLossless, image.Pt(1, 1)},
		"WebP with alpha": {webpAlpha, image.Pt(1, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			img, err := decode(t, c.data)
			require.NoError(t, err)
			require.Equal(t, c.size, img.Bounds().Size())
		})
	}
}

func TestDecodeHonoursTheOrientationOfEachFormat(t *testing.T) {
	t.Parallel()
	left := plain(4, 2, color.Black)
	left.Set(0, 0, color.White)
	exif := tiff(t, sample.Options{Orientation: 6})
	img, err := decode(t, withPNGChunk(encodePNG(t, left), "eXIf", exif))
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, 2, 4), img.Bounds())
	require.Equal(t, color.Gray{255}, color.GrayModel.Convert(img.At(1, 0)), "what is stored top left is shown top right")
	require.Equal(t, color.Gray{0}, color.GrayModel.Convert(img.At(0, 0)))

	err = photo.NewDecoder(photo.DefaultLimits(), nil).Decode(t.Context(), "", bytes.NewReader(webpWithEXIF(exif)), 1000,
		func(d photo.Decoded) error {
			require.Equal(t, photo.Orientation(6), d.Orientation)
			return nil
		})
	require.NoError(t, err)
}

func TestDecodeRefusesWhatIsTruncated(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"JPEG": sampleJPEG(t, sample.Options{Width: 90, Height: 60, Position: &tower, TakenAt: takenAt}),
		"PNG":  encodePNG(t, plain(30, 20, color.RGBA{1, 2, 3, 255})),
		"WebP": webpLossless,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The last bytes of a WebP are padding.
			for cut := 12; cut < len(data)-4; cut += 1 + len(data)/50 {
				_, err := decode(t, data[:cut])
				requireFault(t, err, fault.Invalid, "photo_broken")
			}
		})
	}
}

func TestDecodeRefusesWhatIsCorrupt(t *testing.T) {
	t.Parallel()
	picture := encodePNG(t, plain(30, 20, color.RGBA{1, 2, 3, 255}))
	picture[len(picture)-20] ^= 0xff
	for name, data := range map[string][]byte{
		"PNG":              picture,
		"PNG of no depth":  pngHeader(5, 5, 3, 2, 0),
		"JPEG":             jpegHeader(frame(0xc0, 5, 4, 0x11), scan),
		"progressive JPEG": jpegHeader(frame(0xc2, 5, 4, 0x22, 0x11, 0x11), scan),
		"WebP":             webpFile(vp8l(50, 40, 20)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := decode(t, data)
			requireFault(t, err, fault.Invalid, "photo_broken")
		})
	}
}

func TestDecodeRefusesBeforeItDecodes(t *testing.T) {
	t.Parallel()
	_, err := decode(t, pngHeader(1<<20, 1<<20, 8, 2, 0))
	requireFault(t, err, fault.TooLarge, "photo_too_many_pixels")
}

func TestDecodePassesOnTheErrorOfItsUser(t *testing.T) {
	t.Parallel()
	wanted := errors.New("no room")
	err := photo.NewDecoder(photo.DefaultLimits(), nil).Decode(t.Context(), "", bytes.NewReader(webpLossy), int64(len(webpLossy)),
		func(photo.Decoded) error { return wanted })
	require.Equal(t, wanted, err)
}

func TestDecodeReadsNothingForADoneContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := photo.NewDecoder(photo.DefaultLimits(), nil).Decode(ctx, "", bytes.NewReader(webpLossy), int64(len(webpLossy)), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

func TestDecodeTellsAFailingDiskFromABrokenPhoto(t *testing.T) {
	t.Parallel()
	data := sampleJPEG(t, sample.Options{Width: 400, Height: 300})
	decoder := photo.NewDecoder(photo.DefaultLimits(), nil)
	// The headers take one pass through the file and the metadata some of a second one.
	for _, after := range []int{3, len(data) / 2, len(data) + 20, 2*len(data) - 10} {
		err := decoder.Decode(t.Context(), "", &failing{bytes.NewReader(data), after}, int64(len(data)), func(photo.Decoded) error { return nil })
		require.ErrorIs(t, err, errDisk, after)
		require.Equal(t, fault.Internal, fault.KindOf(err))
	}
}

// fuzzLimits keep a fuzzing process small.
var fuzzLimits = photo.Limits{Bytes: 1 << 20, Pixels: 20_000, MemoryBytes: 4 << 20, BudgetBytes: 4 << 20}

func FuzzDecode(f *testing.F) {
	f.Add(sampleJPEG(f, sample.Options{Width: 30, Height: 20, Orientation: 5, Position: &tower, TakenAt: takenAt}))
	f.Add(encodePNG(f, plain(9, 9, color.NRGBA{1, 2, 3, 4})))
	f.Add(pngHeader(9, 9, 16, 6, 1))
	f.Add(jpegHeader(frame(0xc2, 16, 16, 0x22, 0x11, 0x11), scan))
	for _, data := range [][]byte{webpLossy, webpLossless, webpAlpha, webpAnimated} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		decoder := photo.NewDecoder(fuzzLimits, nil)
		err := decoder.Decode(context.Background(), "", bytes.NewReader(data), int64(len(data)), func(d photo.Decoded) error {
			require.LessOrEqual(t, max(d.Image.Rect.Dx(), d.Image.Rect.Dy()), photo.MaxEdge)
			require.LessOrEqual(t, int64(d.Width)*int64(d.Height), fuzzLimits.Pixels)
			made, err := photo.Render(d.Image, 50)
			require.NoError(t, err)
			_, err = inspect(made.JPEG)
			return err
		})
		if err != nil {
			require.NotEqual(t, fault.Internal, fault.KindOf(err), "%v", err)
		}
	})
}
