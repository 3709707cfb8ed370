package photo

import "image"

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

// turn returns a copy of a small picture that stands upright.
func turn(stored *image.RGBA, o Orientation) *image.RGBA {
	w, h := stored.Rect.Dx(), stored.Rect.Dy()
	shown := image.NewRGBA(image.Rect(0, 0, w, h))
	if o.transposes() {
		shown = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range shown.Rect.Dy() {
		for x := range shown.Rect.Dx() {
			sx, sy := o.stored(x, y, w, h)
			copy(shown.Pix[shown.PixOffset(x, y):][:4], stored.Pix[stored.PixOffset(sx, sy):][:4])
		}
	}
	return shown
}
