package scaledjpeg

import (
	"image"
	"image/color"
	"math"
)

// The transform computes in integers: basisBits behind the point of the basis, and
// middleBits behind that of what is between its two passes.
const (
	basisBits  = 12
	middleBits = 5
)

// basis returns the waves of the inverse transform for n samples (T.81, A.3.3, with
// fewer waves), by wave and sample.
func basis(n int) (waves [8][8]int32) {
	for u := range n {
		factor := 0.5
		if u == 0 {
			factor = 0.5 / math.Sqrt2
		}
		for i := range n {
			wave := factor * math.Cos(float64((2*i+1)*u)*math.Pi/float64(2*n))
			waves[u][i] = int32(math.Round(wave * (1 << basisBits)))
		}
	}
	return waves
}

// transform makes the samples of a block from its dequantized coefficients.
func (d *decoder) transform(c *component, x, y int, coeffs []int32) {
	n := d.n
	stride := c.stride * n
	out := c.plane[y*n*stride+x*n:]
	var middle [64]int32 // By wave along x, then by row.
	last := 0            // The last wave along x that is there.
	for v := range n {
		for u := range n {
			f := coeffs[v*n+u]
			if f == 0 {
				continue
			}
			last = max(last, u)
			column, wave := middle[u*8:u*8+8], &d.basis[v]
			for row := range n {
				column[row] += f * wave[row]
			}
		}
	}
	for row := range n {
		var sums [8]int32
		for u := range last + 1 {
			m, wave := middle[u*8+row]>>(basisBits-middleBits), &d.basis[u]
			for i := range n {
				sums[i] += m * wave[i]
			}
		}
		line := out[row*stride : row*stride+n]
		for i := range line {
			line[i] = clamp((sums[i]+1<<(basisBits+middleBits-1))>>(basisBits+middleBits) + 128)
		}
	}
}

func clamp(v int32) byte {
	if uint32(v) <= 255 { // Below zero it is large.
		return byte(v)
	}
	if v < 0 {
		return 0
	}
	return 255
}

// transformAll makes the samples of a progressive picture once all its scans are read.
func (d *decoder) transformAll() {
	size := d.n * d.n
	for i := range d.comps {
		c := &d.comps[i]
		var factors [64]int32
		for z, slot := range d.slot {
			if slot >= 0 {
				factors[slot] = int32(d.quants[c.quant][z])
			}
		}
		var coeffs [64]int32
		for y := range c.height {
			for x := range c.width {
				block := c.coeffs[(y*c.stride+x)*size:][:size]
				for k, value := range block {
					coeffs[k] = int32(value) * factors[k]
				}
				d.transform(c, x, y, coeffs[:size])
			}
		}
		c.coeffs, c.isSet = nil, nil
	}
}

// image puts the components together.
func (d *decoder) image() (image.Image, error) {
	if d.progressive {
		d.transformAll()
	}
	rect := image.Rect(0, 0, scaled(d.width, d.n), scaled(d.height, d.n))
	first := &d.comps[0]
	if len(d.comps) == 1 {
		return &image.Gray{Pix: first.plane, Stride: first.stride * d.n, Rect: rect}, nil
	}
	if ratio, ok := d.ratio(); ok && len(d.comps) == 3 && !d.isRGB() {
		return &image.YCbCr{
			Y: first.plane, Cb: d.comps[1].plane, Cr: d.comps[2].plane,
			YStride: first.stride * d.n, CStride: d.comps[1].stride * d.n, SubsampleRatio: ratio, Rect: rect,
		}, nil
	}
	if len(d.comps) == 3 {
		return d.rgb(rect), nil
	}
	return d.cmyk(rect), nil
}

// ratio tells how both chroma components are sampled against luma, if the image
// package has a name for it.
func (d *decoder) ratio() (image.YCbCrSubsampleRatio, bool) {
	y, cb, cr := &d.comps[0], &d.comps[1], &d.comps[2]
	if cb.h != cr.h || cb.v != cr.v || y.h%cb.h != 0 || y.v%cb.v != 0 {
		return 0, false
	}
	ratio, ok := map[[2]int]image.YCbCrSubsampleRatio{
		{1, 1}: image.YCbCrSubsampleRatio444, {1, 2}: image.YCbCrSubsampleRatio440,
		{2, 1}: image.YCbCrSubsampleRatio422, {2, 2}: image.YCbCrSubsampleRatio420,
		{4, 1}: image.YCbCrSubsampleRatio411, {4, 2}: image.YCbCrSubsampleRatio410,
	}[[2]int{y.h / cb.h, y.v / cb.v}]
	return ratio, ok
}

// isRGB reports whether the components are the colours themselves: as Adobe's
// segment says, or by their names without one.
func (d *decoder) isRGB() bool {
	if d.adobe >= 0 {
		return d.adobe == 0
	}
	return d.comps[0].id == 'R' && d.comps[1].id == 'G' && d.comps[2].id == 'B'
}

// row returns the samples of a component for a row of the picture, as many as the
// picture is wide.
func (d *decoder) row(c *component, y int, out []byte) {
	hMax, vMax := 1, 1
	for i := range d.comps {
		hMax, vMax = max(hMax, d.comps[i].h), max(vMax, d.comps[i].v)
	}
	line := c.plane[y*c.v/vMax*c.stride*d.n:]
	for x := range out {
		out[x] = line[x*c.h/hMax]
	}
}

func (d *decoder) rgb(rect image.Rectangle) *image.RGBA {
	img := image.NewRGBA(rect)
	a, b, c := make([]byte, rect.Dx()), make([]byte, rect.Dx()), make([]byte, rect.Dx())
	isRGB := d.isRGB()
	for y := range rect.Dy() {
		d.row(&d.comps[0], y, a)
		d.row(&d.comps[1], y, b)
		d.row(&d.comps[2], y, c)
		line := img.Pix[y*img.Stride:]
		for x := range a {
			red, green, blue := a[x], b[x], c[x]
			if !isRGB {
				red, green, blue = color.YCbCrToRGB(red, green, blue)
			}
			line[4*x], line[4*x+1], line[4*x+2], line[4*x+3] = red, green, blue, 255
		}
	}
	return img
}

// cmyk returns the inks. Adobe writes them inverted, and as YCbCr with K where its
// segment says so; without the segment they are taken as they are.
func (d *decoder) cmyk(rect image.Rectangle) *image.CMYK {
	img := image.NewCMYK(rect)
	var rows [4][]byte
	for i := range rows {
		rows[i] = make([]byte, rect.Dx())
	}
	for y := range rect.Dy() {
		for i := range rows {
			d.row(&d.comps[i], y, rows[i])
		}
		line := img.Pix[y*img.Stride:]
		for x := range rect.Dx() {
			a, b, c, k := rows[0][x], rows[1][x], rows[2][x], rows[3][x]
			switch {
			case d.adobe > 0: // What is red, green and blue is cyan, magenta and yellow inverted.
				a, b, c = color.YCbCrToRGB(a, b, c)
				k = 255 - k
			case d.adobe == 0:
				a, b, c, k = 255-a, 255-b, 255-c, 255-k
			}
			line[4*x], line[4*x+1], line[4*x+2], line[4*x+3] = a, b, c, k
		}
	}
	return img
}
