// Package sample makes photos that nobody took: landscapes with the metadata of
// a phone's camera. They serve the tests, the tour of the API and the data of a
// development server, where real photos would need rights and would show places
// of real people.
package sample

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"time"

	"github.com/picaspot/picaspot/internal/geo"
)

const (
	cameraMake  = "PicASpot"
	cameraModel = "Sample"
)

// Options say what a sample shows and what its metadata claims.
type Options struct {
	// Position is left out of the metadata if it is nil.
	Position *geo.Point
	// TakenAt is written in its own zone and, beside a position, in UTC; it is
	// left out if it is zero.
	TakenAt time.Time
	// Seed makes each picture another one, and the same one each time.
	Seed int64
	// Width and Height are those of the picture as it is shown, 640 by 480 if they are 0.
	Width, Height int
	// Orientation from 1 to 8 is how the picture is stored, as in EXIF; 0 is 1.
	// It looks the same in all of them to a viewer who turns it back.
	Orientation int
}

// JPEG makes the photo.
func JPEG(o Options) ([]byte, error) {
	picture, err := Picture(o)
	if err != nil {
		return nil, err
	}
	return Tag(picture, o), nil
}

// Picture makes the photo without its metadata. The position and the time do not matter.
func Picture(o Options) ([]byte, error) {
	if o.Width == 0 && o.Height == 0 {
		o.Width, o.Height = 640, 480
	}
	if o.Orientation == 0 {
		o.Orientation = 1
	}
	if o.Width < 1 || o.Height < 1 || o.Orientation < 1 || o.Orientation > 8 {
		return nil, errors.New("a sample needs a width, a height and an orientation from 1 to 8")
	}
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, stored(landscape(o.Seed, o.Width, o.Height), o.Orientation), &jpeg.Options{Quality: 88}); err != nil {
		return nil, fmt.Errorf("encode the sample: %w", err)
	}
	return picture.Bytes(), nil
}

// Tag returns a copy of what [Picture] made that carries the metadata.
func Tag(picture []byte, o Options) []byte {
	if o.Orientation == 0 {
		o.Orientation = 1
	}
	metadata := append([]byte("Exif\x00\x00"), o.tiff()...)
	// The segment of application data comes right after the marker of the start.
	out := append([]byte{}, picture[:2]...)
	out = append(out, 0xff, 0xe1)
	out = binary.BigEndian.AppendUint16(out, uint16(len(metadata)+2)) // Some hundred bytes.
	out = append(out, metadata...)
	return append(out, picture[2:]...)
}

// stored turns a picture away from upright, so that its orientation turns it back.
func stored(shown *image.RGBA, orientation int) *image.RGBA {
	if orientation == 1 {
		return shown
	}
	w, h := shown.Rect.Dx(), shown.Rect.Dy()
	size := image.Rect(0, 0, w, h)
	if orientation >= 5 {
		size = image.Rect(0, 0, h, w)
	}
	out := image.NewRGBA(size)
	for y := range h {
		for x := range w {
			// Where EXIF says that the row and the column 0 of the stored picture are shown.
			sx, sy := x, y
			switch orientation {
			case 2: // Row 0 at the top, column 0 on the right.
				sx = w - 1 - x
			case 3: // Bottom, right.
				sx, sy = w-1-x, h-1-y
			case 4: // Bottom, left.
				sy = h - 1 - y
			case 5: // Left, top.
				sx, sy = y, x
			case 6: // Right, top.
				sx, sy = y, w-1-x
			case 7: // Right, bottom.
				sx, sy = h-1-y, w-1-x
			case 8: // Left, bottom.
				sx, sy = h-1-y, x
			}
			out.SetRGBA(sx, sy, shown.RGBAAt(x, y))
		}
	}
	return out
}

// ridge is a chain of hills: sums of waves in the unit square.
type ridge struct {
	height float64
	waves  [6]struct{ amplitude, frequency, phase float64 }
	colour [3]float64
}

func (r *ridge) at(x float64) float64 {
	y := r.height
	for _, w := range r.waves {
		y += w.amplitude * math.Sin(w.frequency*x+w.phase)
	}
	return y
}

// landscape paints a sky with a sun, hills one behind the other, a tower, and
// the grain of a sensor.
func landscape(seed int64, width, height int) *image.RGBA {
	random := rand.New(rand.NewPCG(uint64(seed), 0x9e3779b97f4a7c15)) //nolint:gosec // Reproducible on purpose.
	between := func(low, high float64) float64 { return low + (high-low)*random.Float64() }
	zenith := [3]float64{between(30, 110), between(80, 150), between(150, 240)}
	horizon := [3]float64{between(170, 255), between(150, 220), between(120, 220)}
	sunX, sunY, sunRadius := between(0.05, 0.95), between(0.05, 0.4), between(0.03, 0.09)
	towerX, towerWidth, towerTop := between(0.1, 0.9), between(0.02, 0.08), between(0.15, 0.5)
	towerLight := between(40, 230)
	ridges := make([]ridge, 4)
	for i := range ridges {
		depth := float64(i) / float64(len(ridges)-1)
		r := &ridges[i]
		r.height = 0.45 + 0.4*depth + between(-0.05, 0.05)
		for k := range r.waves {
			r.waves[k].amplitude = between(0.02, 0.12) / float64(k+1)
			r.waves[k].frequency = between(2, 5) * float64(k+1)
			r.waves[k].phase = between(0, 2*math.Pi)
		}
		r.colour = [3]float64{between(20, 150) * (1.1 - depth*0.6), between(50, 160) * (1.1 - depth*0.5), between(20, 140) * (1.1 - depth*0.6)}
	}
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	aspect := float64(width) / float64(height)
	tops := make([]float64, len(ridges))
	for px := range width {
		x := (float64(px) + 0.5) / float64(width)
		for i := range ridges {
			tops[i] = ridges[i].at(x)
		}
		for py := range height {
			y := (float64(py) + 0.5) / float64(height)
			var c [3]float64
			for k := range c {
				c[k] = zenith[k] + (horizon[k]-zenith[k])*math.Min(1, y*1.4)
			}
			if d := math.Hypot((x-sunX)*aspect, y-sunY); d < 4*sunRadius {
				glow := math.Min(1, math.Exp(-2*(d/sunRadius-1)))
				for k := range c {
					c[k] += (252 - c[k]) * glow
				}
			}
			for i := range ridges {
				// The tower stands behind the last hill but one.
				if i == len(ridges)-2 && math.Abs(x-towerX) < towerWidth/2 && y > towerTop {
					bricks := 14 * math.Sin(y*160) * math.Sin(x*240)
					c = [3]float64{towerLight + bricks, towerLight*0.9 + bricks, towerLight*0.8 + bricks}
				}
				if y > tops[i] {
					shade := 12*math.Sin(70*x+31*float64(i))*math.Sin(55*y) - 60*(y-tops[i])
					for k := range c {
						c[k] = ridges[i].colour[k] + shade
					}
				}
			}
			grain := between(-6, 6)
			img.SetRGBA(px, py, color.RGBA{level(c[0] + grain), level(c[1] + grain), level(c[2] + grain), 255})
		}
	}
	return img
}

func level(v float64) uint8 { return uint8(math.Max(0, math.Min(255, v))) }
