package sample_test

import (
	"bytes"
	"context"
	"image"
	"testing"
	"time"

	"github.com/bep/imagemeta"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

var takenAt = time.Date(2026, 7, 14, 23, 30, 5, 0, time.FixedZone("", 2*3600))

func TestFactsAreReadBack(t *testing.T) {
	t.Parallel()
	for name, position := range map[string]geo.Point{
		"north-east":   {Latitude: 53.8672415, Longitude: 8.7026128},
		"south-west":   {Latitude: -33.85678, Longitude: -70.6693},
		"next minute":  {Latitude: 10.9999999999, Longitude: 0.01666666666},
		"antimeridian": {Latitude: -90, Longitude: 180},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := sample.JPEG(sample.Options{Position: &position, TakenAt: takenAt, Width: 60, Height: 40})
			require.NoError(t, err)
			facts, err := photo.ReadFacts(bytes.NewReader(data))
			require.NoError(t, err)
			require.NotNil(t, facts.Position)
			require.InDelta(t, 0, position.DistanceMeters(*facts.Position), 0.001)
			require.Equal(t, []photo.Timestamp{
				{At: takenAt.UTC(), Uncertainty: time.Minute, IsFix: true}, {At: takenAt.UTC(), Uncertainty: time.Second},
			}, facts.Times)
			require.Equal(t, "PicASpot", facts.CameraMake)
			require.Equal(t, "Sample", facts.CameraModel)
		})
	}
}

func TestEveryTagIsWhereItBelongs(t *testing.T) {
	t.Parallel()
	data, err := sample.JPEG(sample.Options{Position: &geo.Point{Latitude: 53.5, Longitude: -8.25}, TakenAt: takenAt, Width: 60, Height: 40, Orientation: 6})
	require.NoError(t, err)
	got := map[string]any{}
	_, err = imagemeta.Decode(imagemeta.Options{
		R: bytes.NewReader(data), ImageFormat: imagemeta.JPEG, Sources: imagemeta.EXIF,
		ShouldHandleTag: func(imagemeta.TagInfo) bool { return true },
		HandleTag: func(tag imagemeta.TagInfo) error {
			got[tag.Namespace+"/"+tag.Tag] = tag.Value
			return nil
		},
		Warnf: func(format string, args ...any) { t.Errorf(format, args...) },
	})
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"IFD0/Make": "PicASpot", "IFD0/Model": "Sample", "IFD0/Orientation": uint16(6),
		"IFD0/ExifIFDP/ExifVersion": "0232", "IFD0/ExifIFDP/DateTimeOriginal": "2026:07:14 23:30:05", "IFD0/ExifIFDP/OffsetTimeOriginal": "+02:00",
		"IFD0/GPSInfoIFD/GPSVersionID": "2 3 0 0", "IFD0/GPSInfoIFD/GPSLatitudeRef": "N", "IFD0/GPSInfoIFD/GPSLatitude": 53.5,
		"IFD0/GPSInfoIFD/GPSLongitudeRef": "W", "IFD0/GPSInfoIFD/GPSLongitude": 8.25,
		"IFD0/GPSInfoIFD/GPSTimeStamp": "21:30:05", "IFD0/GPSInfoIFD/GPSDateStamp": "2026:07:14",
	}, got)
}

func TestWhatIsLeftOutIsAbsent(t *testing.T) {
	t.Parallel()
	data, err := sample.JPEG(sample.Options{TakenAt: takenAt, Width: 60, Height: 40})
	require.NoError(t, err)
	facts, err := photo.ReadFacts(bytes.NewReader(data))
	require.NoError(t, err)
	require.Nil(t, facts.Position)
	require.Equal(t, []photo.Timestamp{{At: takenAt.UTC(), Uncertainty: time.Second}}, facts.Times)

	data, err = sample.JPEG(sample.Options{Position: &geo.Point{Latitude: 1, Longitude: 2}})
	require.NoError(t, err)
	facts, err = photo.ReadFacts(bytes.NewReader(data))
	require.NoError(t, err)
	require.NotNil(t, facts.Position)
	require.Empty(t, facts.Times)
}

func TestAllOrientationsShowTheSame(t *testing.T) {
	t.Parallel()
	decoder := photo.NewDecoder(photo.DefaultLimits(), nil)
	var first image.Image
	for orientation := 1; orientation <= 8; orientation++ {
		data, err := sample.JPEG(sample.Options{Seed: 3, Width: 320, Height: 200, Orientation: orientation})
		require.NoError(t, err)
		err = decoder.Decode(context.Background(), "", bytes.NewReader(data), int64(len(data)), func(d photo.Decoded) error {
			require.Equal(t, photo.Orientation(orientation), d.Orientation)
			require.Equal(t, image.Pt(320, 200), d.Image.Bounds().Size())
			if orientation >= 5 {
				require.Equal(t, 200, d.Width, "as stored")
			}
			if first == nil {
				first = d.Image
			}
			require.Less(t, difference(first, d.Image), 4.0, "orientation %d", orientation)
			return nil
		})
		require.NoError(t, err)
	}
}

// difference is the mean difference of the pixels' green, of 255.
func difference(a, b image.Image) float64 {
	size := a.Bounds().Size()
	sum := 0.0
	for y := range size.Y {
		for x := range size.X {
			_, ga, _, _ := a.At(x, y).RGBA()
			_, gb, _, _ := b.At(x, y).RGBA()
			sum += float64(max(ga, gb)-min(ga, gb)) / 257
		}
	}
	return sum / float64(size.X*size.Y)
}

func TestSeedsDiffer(t *testing.T) {
	t.Parallel()
	decoder := photo.NewDecoder(photo.DefaultLimits(), nil)
	hashes := map[uint64]int64{}
	for seed := range int64(20) {
		data, err := sample.JPEG(sample.Options{Seed: seed, Width: 160, Height: 120})
		require.NoError(t, err)
		again, err := sample.JPEG(sample.Options{Seed: seed, Width: 160, Height: 120})
		require.NoError(t, err)
		require.Equal(t, data, again)
		err = decoder.Decode(context.Background(), "", bytes.NewReader(data), int64(len(data)), func(d photo.Decoded) error {
			hash := photo.PerceptualHash(d.Image)
			for other, otherSeed := range hashes {
				require.Greater(t, photo.HammingDistance(hash, other), 10, "seeds %d and %d", seed, otherSeed)
			}
			hashes[hash] = seed
			return nil
		})
		require.NoError(t, err)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []sample.Options{{Width: -1, Height: 5}, {Width: 5}, {Orientation: 9}, {Orientation: -1}} {
		_, err := sample.JPEG(o)
		require.Error(t, err)
	}
}
