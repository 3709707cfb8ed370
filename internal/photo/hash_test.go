package photo_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

func TestPerceptualHashSurvivesWhatPeopleDoToPhotos(t *testing.T) {
	t.Parallel()
	for seed := range int64(5) {
		original, err := decode(t, sampleJPEG(t, sample.Options{Seed: seed, Width: 320, Height: 240}))
		require.NoError(t, err)
		hash := photo.PerceptualHash(original)
		small, err := photo.Render(original, 200)
		require.NoError(t, err)
		var coarse bytes.Buffer
		require.NoError(t, jpeg.Encode(&coarse, original, &jpeg.Options{Quality: 20}))
		turned := sampleJPEG(t, sample.Options{Seed: seed, Width: 320, Height: 240, Orientation: 6})
		lit := image.NewRGBA(original.Bounds())
		draw.Draw(lit, lit.Rect, original, image.Point{}, draw.Src)
		draw.Draw(lit, lit.Rect, image.NewUniform(color.NRGBA{255, 255, 255, 40}), image.Point{}, draw.Over)
		for name, data := range map[string][]byte{"scaled": small.JPEG, "compressed": coarse.Bytes(), "stored turned": turned, "brightened": encodePNG(t, lit)} {
			again, err := decode(t, data)
			require.NoError(t, err)
			require.LessOrEqual(t, photo.HammingDistance(hash, photo.PerceptualHash(again)), 10, "seed %d %s", seed, name)
		}
		elsewhere := sampleJPEG(t, sample.Options{Seed: seed + 100, Width: 320, Height: 240})
		other, err := decode(t, elsewhere)
		require.NoError(t, err)
		require.Greater(t, photo.HammingDistance(hash, photo.PerceptualHash(other)), 10, "seed %d", seed)
	}
}

// A picture of one colour has no waves: its hash is noise, but always the same.
func TestPerceptualHashOfExtremes(t *testing.T) {
	t.Parallel()
	white := photo.PerceptualHash(plain(50, 50, color.White))
	require.Equal(t, white, photo.PerceptualHash(plain(900, 20, color.White)))
	require.Equal(t, white, photo.PerceptualHash(plain(1, 1, color.White)))
}

// The hash is kept in the database: another way of computing it would compare
// new photos with old ones in vain.
func TestPerceptualHashStaysAsItIs(t *testing.T) {
	t.Parallel()
	img := image.NewGray(image.Rect(0, 0, 64, 64))
	for y := range 64 {
		for x := range 64 {
			img.SetGray(x, y, color.Gray{uint8((x*x + 3*x*y + 200*(y/20)) % 251)})
		}
	}
	require.Equal(t, "01000a3df728ffdf", fmt.Sprintf("%016x", photo.PerceptualHash(img)))
}

func TestHammingDistance(t *testing.T) {
	t.Parallel()
	require.Equal(t, 0, photo.HammingDistance(5, 5))
	require.Equal(t, 64, photo.HammingDistance(0, ^uint64(0)))
	require.Equal(t, 2, photo.HammingDistance(0b1100, 0b1010))
}
