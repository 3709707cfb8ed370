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

// Render makes the JPEG that others may see: at most maxEdge pixels along its
// longer edge, never enlarged, transparency on white, and without any metadata.
// It returns the bytes and the size in pixels.
func Render(img image.Image, maxEdge int) ([]byte, image.Point, error) {
	size := fit(img.Bounds().Size(), maxEdge)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, resample(img, size), &jpeg.Options{Quality: jpegQuality}); err != nil {
		return nil, image.Point{}, fmt.Errorf("encode the picture: %w", err)
	}
	return out.Bytes(), size, nil
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

// resample returns a copy of a picture of the given size on white. Turning comes
// last, when it is small.
func resample(img image.Image, size image.Point) *image.RGBA {
	if t, ok := img.(*turned); ok {
		if t.orientation.transposes() {
			size = image.Pt(size.Y, size.X)
		}
		return turn(scale(t.Image, size), t.orientation)
	}
	return scale(img, size)
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
