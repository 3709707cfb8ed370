package heif_test

import (
	"bytes"
	"context"
	"image"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/heif"
	"github.com/picaspot/picaspot/internal/photo"
)

func TestPhotosKeepPositionTimeAndOrientation(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the bound on memory holds on Linux")
	}
	converter := heif.Find()
	require.NotNil(t, converter, "scripts/setup.sh test installs libheif's converter")
	for name, c := range map[string]struct {
		contentType string
		size        image.Point
		red, blue   image.Point
	}{
		"plain.heic": {photo.HEIC, image.Pt(96, 64), image.Pt(20, 32), image.Pt(76, 32)},
		"plain.avif": {photo.AVIF, image.Pt(96, 64), image.Pt(20, 32), image.Pt(76, 32)},
		// Stored on its side: both the file and its EXIF say how it is to be turned.
		"side.heic": {photo.HEIC, image.Pt(64, 96), image.Pt(32, 20), image.Pt(32, 76)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile("testdata/" + name)
			require.NoError(t, err)
			decoder := photo.NewDecoder(photo.DefaultLimits(), converter)
			err = decoder.Decode(t.Context(), "a", bytes.NewReader(data), int64(len(data)), func(d photo.Decoded) error {
				require.Equal(t, c.contentType, d.ContentType)
				require.Equal(t, c.size, image.Pt(d.Width, d.Height))
				require.Equal(t, image.Rectangle{Max: c.size}, d.Image.Rect)
				red, blue := d.Image.RGBAAt(c.red.X, c.red.Y), d.Image.RGBAAt(c.blue.X, c.blue.Y)
				require.Greater(t, int(red.R), 180, "%v", red)
				require.Greater(t, int(blue.B), 160, "%v", blue)
				require.NotNil(t, d.Facts.Position)
				require.InDelta(t, 53.867242, d.Facts.Position.Latitude, 1e-5)
				require.InDelta(t, -8.702614, d.Facts.Position.Longitude, 1e-5)
				require.NotEmpty(t, d.Facts.Times)
				require.Equal(t, time.Date(2026, 7, 14, 21, 30, 5, 0, time.UTC), d.Facts.Times[0].At)
				require.Equal(t, "PicASpot", d.Facts.CameraMake)
				return nil
			})
			require.NoError(t, err)
		})
	}
}

func TestADamagedPhotoIsBroken(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the bound on memory holds on Linux")
	}
	data, err := os.ReadFile("testdata/plain.heic")
	require.NoError(t, err)
	decoder := photo.NewDecoder(photo.DefaultLimits(), heif.Find())
	err = decoder.Decode(t.Context(), "a", bytes.NewReader(data[:len(data)-60]), int64(len(data)-60), nil)
	requireFault(t, err, "photo_broken")
}

func TestWithoutAConverterTheFaultSaysWhatToDo(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/plain.heic")
	require.NoError(t, err)
	err = photo.NewDecoder(photo.DefaultLimits(), nil).Decode(t.Context(), "a", bytes.NewReader(data), int64(len(data)), nil)
	requireFault(t, err, "photo_format")
	require.ErrorContains(t, err, "as a JPEG")
}

func requireFault(t *testing.T, err error, code string) {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, code, f.Code, "%v", err)
}

// program writes a shell script that takes the converter's place.
func program(t *testing.T, script string) photo.Converter {
	t.Helper()
	path := filepath.Join(t.TempDir(), "converter")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))
	return heif.New(path)
}

func TestTheConverterKeepsToItsBounds(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"memory":       "head -c 1000000000 /dev/zero | tail > \"$4\" || exit 1",
		"output":       "exec head -c 100000000 /dev/zero > \"$4\"",
		"its failure":  "echo no such picture >&2; exit 3",
		"its crash":    "kill -SEGV $$",
		"no output":    "exit 0",
		"no such tool": "exec /nowhere",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := program(t, script)(t.Context(), strings.NewReader("a photo"))
			if name == "no such tool" {
				require.Equal(t, fault.Internal, fault.KindOf(err), "%v", err)
				return
			}
			requireFault(t, err, "photo_broken")
		})
	}
	_, err := heif.New("/nowhere")(t.Context(), strings.NewReader("a photo"))
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

func TestTheConverterEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := program(t, "while :; do :; done")(ctx, strings.NewReader("a photo"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestTheConverterSeesNothingOfTheServer(t *testing.T) {
	t.Setenv("PICASPOT_SECRET", "a secret")
	made, err := program(t, "env > \"$4\"; cat \"$3\" >> \"$4\"")(t.Context(), strings.NewReader("a photo"))
	require.NoError(t, err)
	defer made.Close()
	var out bytes.Buffer
	_, err = out.ReadFrom(made)
	require.NoError(t, err)
	require.NotContains(t, out.String(), "a secret")
	require.Contains(t, out.String(), "a photo")
	// Nothing is left behind.
	require.NoDirExists(t, filepath.Dir(made.Name()), "%s is there", made.Name())
}
