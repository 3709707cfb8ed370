package photo

import (
	"image"
	"image/color"
)

// Orientation says how a stored picture has to be turned to stand upright, by
// the numbers of EXIF 2.32, tag 0x0112: 1 stands upright, 3, 6 and 8 are turned,
// 2, 4, 5 and 7 mirrored.
type Orientation int

// Upright is the orientation of a picture that is stored as it is shown.
const Upright Orientation = 1

// transposes reports whether width and height change places.
func (o Orientation) transposes() bool { return o >= 5 && o <= 8 }

// stored returns where the pixel that is shown at x, y stands in a stored
// picture of w by h pixels.
func (o Orientation) stored(x, y, w, h int) (int, int) {
	switch o {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return y, h - 1 - x
	case 7:
		return w - 1 - y, h - 1 - x
	case 8:
		return w - 1 - y, x
	}
	return x, y
}

// turned shows a picture upright without a second copy of its pixels, which
// would be the larger part of a photo's memory.
type turned struct {
	image.Image
	orientation Orientation
}

// upright returns the picture as it is meant to be seen.
func upright(stored image.Image, o Orientation) image.Image {
	if o <= Upright || o > 8 {
		return stored
	}
	return &turned{stored, o}
}

// Bounds start at 0, 0.
func (t *turned) Bounds() image.Rectangle {
	b := t.Image.Bounds()
	if t.orientation.transposes() {
		return image.Rect(0, 0, b.Dy(), b.Dx())
	}
	return image.Rect(0, 0, b.Dx(), b.Dy())
}

// At returns the colour shown at x, y.
func (t *turned) At(x, y int) color.Color {
	b := t.Image.Bounds()
	x, y = t.orientation.stored(x, y, b.Dx(), b.Dy())
	return t.Image.At(b.Min.X+x, b.Min.Y+y)
}

// turn returns a copy of a small picture that stands upright.
func turn(stored *image.RGBA, o Orientation) *image.RGBA {
	shown := image.NewRGBA((&turned{stored, o}).Bounds())
	w, h := stored.Rect.Dx(), stored.Rect.Dy()
	for y := range shown.Rect.Dy() {
		for x := range shown.Rect.Dx() {
			sx, sy := o.stored(x, y, w, h)
			copy(shown.Pix[shown.PixOffset(x, y):][:4], stored.Pix[stored.PixOffset(sx, sy):][:4])
		}
	}
	return shown
}
