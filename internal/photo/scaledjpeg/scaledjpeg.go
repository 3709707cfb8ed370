// Package scaledjpeg decodes a JPEG (ITU-T T.81) at a fraction of its size: of
// each block of 8 by 8 samples it makes one of n by n, from the block's lowest n
// by n coefficients. Time is saved by that, and most of the memory: of a
// progressive file only these coefficients are kept, and a bit for each other one.
//
// It reads sequential and progressive files with Huffman coding and 8 bits for
// each sample, and tolerates files whose end is missing.
package scaledjpeg

import (
	"errors"
	"fmt"
	"image"
	"io"
	"math/bits"
)

// The markers that have a meaning to the decoder (T.81, table B.1).
const (
	markerSOF0  = 0xc0
	markerSOF2  = 0xc2
	markerDHT   = 0xc4
	markerRST0  = 0xd0
	markerRST7  = 0xd7
	markerSOI   = 0xd8
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerDQT   = 0xdb
	markerDRI   = 0xdd
	markerAdobe = 0xee
)

// ErrTruncated says that too much of the picture is missing.
var ErrTruncated = errors.New("the picture ends early")

// minComplete is the share of a sequential picture, in per mille, that has to be
// there: cameras that lose power and uploads that break off lose the last rows.
const minComplete = 980

// errShort ends a scan whose data end before its last block.
var errShort = errors.New("the scan ends early")

// Size returns the n, from 1 to 8, at which the longer edge of a picture gets as
// small as it can without being shorter than minEdge.
func Size(width, height, minEdge int) int {
	longer := max(width, height)
	for n := 1; n < 8; n++ {
		if scaled(longer, n) >= minEdge {
			return n
		}
	}
	return 8
}

func scaled(length, n int) int { return (length*n + 7) / 8 }

// component is one colour of the picture.
type component struct {
	id     byte
	h, v   int // Sampling factors.
	quant  byte
	width  int // Blocks that the picture needs; a scan of this component alone has just these.
	height int
	stride int // Blocks that there are: whole units of interleaved scans.
	rows   int
	plane  []byte   // n by n samples for each block.
	coeffs []int16  // Of a progressive picture, n by n for each block.
	isSet  []uint64 // Of a progressive picture: the coefficients that are not zero, by their place in zigzag.
	seen   uint64   // The coefficients of which a scan was complete.
	done   int      // Blocks that were decoded in a sequential picture.
}

type decoder struct {
	in          *reader
	n           int
	width       int
	height      int
	progressive bool
	comps       []component
	quants      [4][64]uint16 // In zigzag.
	dc, ac      [4]*huffman
	restart     int
	adobe       int // The transform of Adobe's segment, -1 without one.
	eobRun      int
	// slot is the place of a coefficient in zigzag among the n by n that are kept,
	// or -1.
	slot  [64]int8
	basis [8][8]int32
	ended bool
}

// Decode reads a picture whose longer edge becomes n eighths of what it is, n from
// 1 to 8. A grey picture comes as [image.Gray], colours as [image.YCbCr],
// [image.RGBA] or, of four inks, as [image.CMYK]. The caller bounds the picture's
// size and number of scans beforehand; errors of the reader are passed on.
func Decode(r io.Reader, n int) (image.Image, error) {
	d := &decoder{in: newReader(r), n: n, adobe: -1}
	for z, at := range zigzag {
		d.slot[z] = -1
		if u, v := at%8, at/8; u < n && v < n {
			d.slot[z] = int8(v*n + u) // Below 64.
		}
	}
	d.basis = basis(n)
	if err := d.segments(); err != nil {
		if d.in.failed != nil {
			return nil, d.in.failed
		}
		return nil, err
	}
	if err := d.complete(); err != nil {
		return nil, err
	}
	return d.image()
}

// segments reads markers up to the end of the image or of the file.
func (d *decoder) segments() error {
	for {
		marker, err := d.in.nextMarker()
		if errors.Is(err, io.EOF) && d.comps != nil {
			return d.in.failed
		}
		if err != nil {
			return err
		}
		switch {
		case marker == markerSOI || marker >= markerRST0 && marker <= markerRST7:
			continue
		case marker == markerEOI:
			d.ended = true
			return nil
		}
		data, err := d.in.segment()
		if errors.Is(err, io.EOF) && d.comps != nil {
			return d.in.failed
		}
		if err != nil {
			return err
		}
		switch marker {
		case markerSOF0, markerSOF0 + 1, markerSOF2:
			err = d.frame(data, marker == markerSOF2)
		case markerDHT:
			err = d.huffmanTables(data)
		case markerDQT:
			err = d.quantTables(data)
		case markerDRI:
			if len(data) != 2 {
				return errors.New("restart interval of a wrong length")
			}
			d.restart = int(data[0])<<8 | int(data[1])
		case markerAdobe:
			if len(data) >= 12 && string(data[:5]) == "Adobe" {
				d.adobe = int(data[11])
			}
		case markerSOS:
			err = d.scan(data)
			if errors.Is(err, errShort) {
				// What comes after a scan without its end can still be of use.
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
}

func (d *decoder) frame(data []byte, progressive bool) error {
	switch {
	case d.comps != nil:
		return errors.New("more than one frame")
	case len(data) < 6 || len(data) != 6+3*int(data[5]):
		return errors.New("frame header of a wrong length")
	case data[0] != 8:
		return fmt.Errorf("%d bits for each sample", data[0])
	case data[5] != 1 && data[5] != 3 && data[5] != 4:
		return fmt.Errorf("%d components", data[5])
	}
	d.progressive = progressive
	d.height, d.width = int(data[1])<<8|int(data[2]), int(data[3])<<8|int(data[4])
	if d.width == 0 || d.height == 0 {
		return errors.New("no pixels")
	}
	comps := make([]component, data[5])
	hMax, vMax := 1, 1
	for i := range comps {
		c := &comps[i]
		c.id, c.h, c.v, c.quant = data[6+3*i], int(data[7+3*i]>>4), int(data[7+3*i]&15), data[8+3*i]
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.quant > 3 {
			return errors.New("component out of range")
		}
		if len(comps) == 1 {
			c.h, c.v = 1, 1
		}
		hMax, vMax = max(hMax, c.h), max(vMax, c.v)
	}
	unitsX, unitsY := ceilDiv(d.width, 8*hMax), ceilDiv(d.height, 8*vMax)
	for i := range comps {
		c := &comps[i]
		c.width, c.height = ceilDiv(d.width*c.h, 8*hMax), ceilDiv(d.height*c.v, 8*vMax)
		c.stride, c.rows = unitsX*c.h, unitsY*c.v
		blocks := c.stride * c.rows
		c.plane = make([]byte, blocks*d.n*d.n)
		if progressive {
			c.coeffs = make([]int16, blocks*d.n*d.n)
			c.isSet = make([]uint64, blocks)
		} else {
			for i := range c.plane {
				c.plane[i] = 128 // What is missing is grey.
			}
		}
	}
	d.comps = comps
	return nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

func (d *decoder) quantTables(data []byte) error {
	for len(data) > 0 {
		precision, id := data[0]>>4, data[0]&15
		size := 64 * (1 + int(precision))
		if precision > 1 || id > 3 || len(data) < 1+size {
			return errors.New("quantization table out of range")
		}
		for i := range 64 {
			if precision == 0 {
				d.quants[id][i] = uint16(data[1+i])
			} else {
				d.quants[id][i] = uint16(data[1+2*i])<<8 | uint16(data[2+2*i])
			}
		}
		data = data[1+size:]
	}
	return nil
}

func (d *decoder) huffmanTables(data []byte) error {
	for len(data) > 0 {
		class, id := data[0]>>4, data[0]&15
		if class > 1 || id > 3 {
			return errors.New("a Huffman table out of range")
		}
		table, used, err := newHuffman(data[1:])
		if err != nil {
			return err
		}
		if class == 0 {
			d.dc[id] = table
		} else {
			d.ac[id] = table
		}
		data = data[1+used:]
	}
	return nil
}

// complete holds what was decoded against what a picture needs.
func (d *decoder) complete() error {
	if d.comps == nil {
		return errors.New("no frame")
	}
	for i := range d.comps {
		c := &d.comps[i]
		switch {
		case !d.progressive && c.done*1000 < c.stride*c.rows*minComplete && c.done*1000 < c.width*c.height*minComplete:
			return ErrTruncated
		// A progressive file that says that it ends may have left out coefficients;
		// one that breaks off has to have a first approximation of each.
		case d.progressive && (c.seen&1 == 0 || !d.ended && bits.OnesCount64(c.seen) < 64):
			return ErrTruncated
		}
	}
	return nil
}
