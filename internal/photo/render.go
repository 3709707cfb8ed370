package photo

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"runtime"

	"golang.org/x/image/draw"
)

// jpegQuality keeps the traces of compression out of sight at half of the size
// that 95 would take.
const jpegQuality = 85

// Rendered is a picture as others may see it.
type Rendered struct {
	JPEG []byte
	// Size is in pixels.
	Size image.Point
}

// Render makes the JPEG that others may see: at most maxEdge pixels along its
// longer edge, never enlarged, transparency on white, and without any metadata.
func Render(img image.Image, maxEdge int) (*Rendered, error) {
	size := fit(img.Bounds().Size(), maxEdge)
	if size != img.Bounds().Size() {
		img = scale(img, size)
	} else if o, ok := img.(interface{ Opaque() bool }); !ok || !o.Opaque() {
		img = scale(img, size)
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: jpegQuality}); err != nil {
		return nil, fmt.Errorf("encode the picture: %w", err)
	}
	return &Rendered{JPEG: out.Bytes(), Size: size}, nil
}

func fit(size image.Point, maxEdge int) image.Point {
	longer := max(size.X, size.Y)
	if longer <= maxEdge {
		return size
	}
	scale := float64(maxEdge) / float64(longer)
	return image.Pt(
		max(1, int(math.Round(float64(size.X)*scale))),
		max(1, int(math.Round(float64(size.Y)*scale))),
	)
}

// scale halves a picture until the last step is by less than a half. A bilinear
// step by exactly a half is the mean of four pixels, so that no pixel is left
// out, and it takes a fraction of the memory of draw.CatmullRom, which would be
// 32 bytes for each row of the original and column of the result.
func scale(src image.Image, size image.Point) *image.RGBA {
	shrink := func(from, to int) int { return max((from+1)/2, to) }
	for {
		from := src.Bounds()
		to := size
		last := from.Dx() <= 2*size.X && from.Dy() <= 2*size.Y
		if !last {
			to = image.Pt(shrink(from.Dx(), size.X), shrink(from.Dy(), size.Y))
		}
		collect(4 * int64(to.X) * int64(to.Y))
		dst := image.NewRGBA(image.Rectangle{Max: to})
		op := draw.Src
		if o, ok := src.(interface{ Opaque() bool }); !ok || !o.Opaque() {
			op = draw.Over
			draw.Draw(dst, dst.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
		}
		draw.ApproxBiLinear.Scale(dst, dst.Rect, src, from, op, nil)
		if last {
			return dst
		}
		src = dst
	}
}

// collect frees what was dropped, if much was dropped or is about to be
// allocated. The garbage collector waits until the heap has doubled; while a
// photo is most of the heap, that would double the memory of the process.
func collect(size int64) {
	if size >= 16<<20 {
		runtime.GC()
	}
}
