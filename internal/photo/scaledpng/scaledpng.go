// Package scaledpng decodes a PNG (3rd edition) at a fraction of its size, row by
// row, so that a picture takes the memory of the result and not its own: each pixel
// of the result is the mean of a square of the picture's, on white.
//
// Chunks that the pixels don't need are passed over with their checksums.
package scaledpng

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"io"
)

// The types of colour (table 8).
const (
	grey      = 0
	rgb       = 2
	palette   = 3
	greyAlpha = 4
	rgbAlpha  = 6
)

// MaxFactor bounds by what a picture is shrunk: sums of so many pixels fit 16 bits.
const MaxFactor = 16

type decoder struct {
	r             *bufio.Reader
	width, height int
	depth, colour int
	interlaced    bool
	palette       [256][4]uint8
	// clear is the grey or colour that is transparent, of a picture without alpha.
	clear    [3]uint16
	hasClear bool
	factor   int
	// sums are of the red, green and blue of each pixel of the result.
	sums   []uint16
	stride int
}

// Decode reads a picture and shrinks it by a factor from 1 to [MaxFactor]. The
// caller bounds the picture's size beforehand; errors of the reader are passed on.
func Decode(r io.Reader, factor int) (*image.RGBA, error) {
	d := &decoder{r: bufio.NewReaderSize(r, 32<<10), factor: factor}
	if _, err := d.r.Discard(8); err != nil {
		return nil, err
	}
	for {
		length, name, err := d.chunk()
		if err != nil {
			return nil, err
		}
		switch name {
		case "IHDR", "PLTE", "tRNS":
			if length > 768 {
				return nil, fmt.Errorf("chunk %s is too long", name)
			}
			data := make([]byte, length)
			if _, err := io.ReadFull(d.r, data); err != nil {
				return nil, unexpected(err)
			}
			if err := d.checksum(crc32.ChecksumIEEE(append([]byte(name), data...)), name); err != nil {
				return nil, err
			}
			if err := d.header(name, data); err != nil {
				return nil, err
			}
		case "IDAT":
			if d.width == 0 {
				return nil, errors.New("pixels before the image header")
			}
			return d.pixels(int64(length))
		case "IEND":
			return nil, errors.New("no pixels")
		default:
			if _, err := io.CopyN(io.Discard, d.r, int64(length)+4); err != nil {
				return nil, unexpected(err)
			}
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (d *decoder) chunk() (length uint32, name string, err error) {
	var head [8]byte
	if _, err := io.ReadFull(d.r, head[:]); err != nil {
		return 0, "", unexpected(err)
	}
	return binary.BigEndian.Uint32(head[:]), string(head[4:]), nil
}

func (d *decoder) checksum(want uint32, name string) error {
	var sum [4]byte
	if _, err := io.ReadFull(d.r, sum[:]); err != nil {
		return unexpected(err)
	}
	if binary.BigEndian.Uint32(sum[:]) != want {
		return fmt.Errorf("chunk %s has another checksum", name)
	}
	return nil
}

func (d *decoder) header(name string, data []byte) error {
	switch name {
	case "IHDR":
		if len(data) != 13 || d.width != 0 || data[10] != 0 || data[11] != 0 || data[12] > 1 {
			return errors.New("wrong image header")
		}
		d.width, d.height = int(binary.BigEndian.Uint32(data)), int(binary.BigEndian.Uint32(data[4:]))
		d.depth, d.colour, d.interlaced = int(data[8]), int(data[9]), data[12] == 1
		depths := map[int][]int{grey: {1, 2, 4, 8, 16}, rgb: {8, 16}, palette: {1, 2, 4, 8}, greyAlpha: {8, 16}, rgbAlpha: {8, 16}}
		for _, depth := range depths[d.colour] {
			if depth == d.depth && d.width > 0 && d.height > 0 {
				return nil
			}
		}
		return fmt.Errorf("%d bits of colour type %d", d.depth, d.colour)
	case "PLTE":
		if len(data) == 0 || len(data)%3 != 0 {
			return errors.New("palette of a wrong length")
		}
		for i := range len(data) / 3 {
			copy(d.palette[i][:], data[3*i:3*i+3])
			d.palette[i][3] = 255
		}
	case "tRNS":
		switch {
		case d.colour == palette && len(data) <= 256:
			for i, alpha := range data {
				d.palette[i][3] = alpha
			}
		case d.colour == grey && len(data) == 2, d.colour == rgb && len(data) == 6:
			d.hasClear = true
			for i := range len(data) / 2 {
				d.clear[i] = binary.BigEndian.Uint16(data[2*i:])
			}
		default:
			return errors.New("transparency of a wrong length")
		}
	}
	return nil
}

// data reads the contents of chunks of pixels that follow each other.
type data struct {
	d    *decoder
	left int64
	sum  uint32
	done bool
}

func (s *data) Read(p []byte) (int, error) {
	for s.left == 0 {
		if s.done {
			return 0, io.EOF
		}
		if err := s.d.checksum(s.sum, "IDAT"); err != nil {
			return 0, err
		}
		length, name, err := s.d.chunk()
		if err != nil {
			return 0, err
		}
		if s.done = name != "IDAT"; !s.done {
			s.left, s.sum = int64(length), crc32.ChecksumIEEE([]byte("IDAT"))
		}
	}
	n, err := s.d.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	s.sum = crc32.Update(s.sum, crc32.IEEETable, p[:n])
	if err != nil {
		return n, unexpected(err)
	}
	return n, nil
}

// pass is a part of a picture: every so many-th pixel (PNG, section 8.1).
type pass struct{ x, y, dx, dy int }

var adam7 = []pass{
	{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2},
}

func (d *decoder) pixels(length int64) (*image.RGBA, error) {
	stream := &data{d: d, left: length, sum: crc32.ChecksumIEEE([]byte("IDAT"))}
	compressed := bufio.NewReaderSize(stream, 32<<10)
	z, err := zlib.NewReader(compressed)
	if err != nil {
		return nil, unexpected(err)
	}
	size := image.Pt((d.width+d.factor-1)/d.factor, (d.height+d.factor-1)/d.factor)
	out := image.NewRGBA(image.Rectangle{Max: size})
	d.stride = 3 * size.X
	passes := []pass{{0, 0, 1, 1}}
	rows := 1
	if d.interlaced {
		passes, rows = adam7, size.Y
	}
	if d.factor > 1 {
		// The passes of an interlaced picture go over all of it; else a row is
		// finished before the next one begins.
		d.sums = make([]uint16, rows*d.stride)
	}
	for _, p := range passes {
		if err := d.pass(z, p, out); err != nil {
			return nil, err
		}
	}
	if d.interlaced && d.factor > 1 {
		for y := range size.Y {
			d.finish(out, y, d.sums[y*d.stride:][:d.stride])
		}
	}
	// The checksum of the stream stands after the last row.
	if n, err := z.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		if err == nil || n != 0 {
			err = errors.New("more pixels than announced")
		}
		return nil, err
	}
	// And that of the last chunk after both.
	if _, err := io.Copy(io.Discard, compressed); err != nil {
		return nil, err
	}
	return out, nil
}

func (d *decoder) pass(r io.Reader, p pass, out *image.RGBA) error {
	width, height := (d.width-p.x+p.dx-1)/p.dx, (d.height-p.y+p.dy-1)/p.dy
	if width <= 0 || height <= 0 {
		return nil
	}
	channels := map[int]int{grey: 1, rgb: 3, palette: 1, greyAlpha: 2, rgbAlpha: 4}[d.colour]
	bits := d.depth * channels
	length := (width*bits + 7) / 8
	back := max(1, bits/8)
	line, before := make([]byte, 1+length), make([]byte, 1+length)
	pixels := make([]byte, 3*width)
	for row := range height {
		if _, err := io.ReadFull(r, line); err != nil {
			return unexpected(err)
		}
		if err := unfilter(line[0], line[1:], before[1:], back); err != nil {
			return err
		}
		d.expand(line[1:], pixels)
		d.add(pixels, p, p.y+row*p.dy, out)
		line, before = before, line
	}
	return nil
}

// unfilter restores a row (PNG, section 9).
func unfilter(filter byte, line, before []byte, back int) error {
	switch filter {
	case 0:
	case 1:
		for i := back; i < len(line); i++ {
			line[i] += line[i-back]
		}
	case 2:
		for i := range line {
			line[i] += before[i]
		}
	case 3:
		for i := range line {
			left := 0
			if i >= back {
				left = int(line[i-back])
			}
			line[i] += byte((left + int(before[i])) / 2)
		}
	case 4:
		for i := range line {
			a, b, c := 0, int(before[i]), 0
			if i >= back {
				a, c = int(line[i-back]), int(before[i-back])
			}
			pa, pb, pc := abs(b-c), abs(a-c), abs(a+b-2*c)
			switch {
			case pa <= pb && pa <= pc:
				line[i] += byte(a)
			case pb <= pc:
				line[i] += byte(b)
			default:
				line[i] += byte(c)
			}
		}
	default:
		return fmt.Errorf("filter %d", filter)
	}
	return nil
}

func abs(n int) int { return max(n, -n) }

// expand makes of a row's samples the red, green and blue of its pixels on white.
func (d *decoder) expand(line, pixels []byte) {
	wide := d.depth == 16
	step := d.depth / 8
	for x := range len(pixels) / 3 {
		p := pixels[3*x : 3*x+3]
		switch d.colour {
		case grey:
			v := d.sample(line, x)
			if d.hasClear && v == d.clear[0] {
				v = 1<<d.depth - 1
			}
			shown := byte(v >> 8)
			if !wide {
				shown = byte(int(v) * 255 / (1<<d.depth - 1))
			}
			p[0], p[1], p[2] = shown, shown, shown
		case palette:
			c := d.palette[d.sample(line, x)]
			p[0], p[1], p[2] = c[0], c[1], c[2]
			onWhite(p, c[3])
		case rgb:
			at := line[3*step*x:]
			p[0], p[1], p[2] = at[0], at[step], at[2*step]
			if d.hasClear && d.isClear(at, step) {
				p[0], p[1], p[2] = 255, 255, 255
			}
		case greyAlpha:
			at := line[2*step*x:]
			p[0], p[1], p[2] = at[0], at[0], at[0]
			onWhite(p, at[step])
		case rgbAlpha:
			at := line[4*step*x:]
			p[0], p[1], p[2] = at[0], at[step], at[2*step]
			onWhite(p, at[3*step])
		}
	}
}

// sample returns the x-th sample of a row of one channel.
func (d *decoder) sample(line []byte, x int) uint16 {
	switch d.depth {
	case 16:
		return binary.BigEndian.Uint16(line[2*x:])
	case 8:
		return uint16(line[x])
	}
	bit := x * d.depth
	return uint16(line[bit/8]>>(8-d.depth-bit%8)) & (1<<d.depth - 1)
}

func (d *decoder) isClear(at []byte, step int) bool {
	for i := range 3 {
		v := uint16(at[i*step])
		if step == 2 {
			v = binary.BigEndian.Uint16(at[2*i:])
		}
		if v != d.clear[i] {
			return false
		}
	}
	return true
}

func onWhite(p []byte, alpha byte) {
	if alpha == 255 {
		return
	}
	for i := range p {
		p[i] = byte((int(p[i])*int(alpha) + 255*(255-int(alpha)) + 127) / 255)
	}
}

// add puts a row of a pass where it belongs.
func (d *decoder) add(pixels []byte, p pass, y int, out *image.RGBA) {
	if d.factor == 1 {
		line := out.Pix[y*out.Stride:]
		for x := range len(pixels) / 3 {
			at := 4 * (p.x + x*p.dx)
			copy(line[at:at+3], pixels[3*x:3*x+3])
			line[at+3] = 255
		}
		return
	}
	sums := d.sums
	if d.interlaced {
		sums = sums[y/d.factor*d.stride:]
	}
	for x := range len(pixels) / 3 {
		at := (p.x + x*p.dx) / d.factor * 3
		sums[at] += uint16(pixels[3*x])
		sums[at+1] += uint16(pixels[3*x+1])
		sums[at+2] += uint16(pixels[3*x+2])
	}
	if !d.interlaced && (y%d.factor == d.factor-1 || y == d.height-1) {
		d.finish(out, y/d.factor, sums)
		clear(sums)
	}
}

// finish makes a row of the result from its sums.
func (d *decoder) finish(out *image.RGBA, y int, sums []uint16) {
	rows := min(d.factor, d.height-y*d.factor)
	line := out.Pix[y*out.Stride:]
	for x := range out.Rect.Dx() {
		count := uint32(rows * min(d.factor, d.width-x*d.factor))
		for i := range 3 {
			line[4*x+i] = byte((uint32(sums[3*x+i]) + count/2) / count)
		}
		line[4*x+3] = 255
	}
}
