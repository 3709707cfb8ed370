package scaledjpeg

import (
	"errors"
	"math/bits"
)

// zigzag has the place in a block, row by row, of each coefficient in its order in
// the file (T.81, figure 5).
var zigzag = [64]int{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// part is a component in a scan.
type part struct {
	*component
	dc, ac *huffman
	last   int32 // The DC coefficient of the block before.
}

// spectrum is what a scan has of each block: coefficients from first to last in
// zigzag, but for their lowest low bits; it refines what an earlier scan had.
type spectrum struct {
	first, last int
	low         int
	refines     bool
}

func (d *decoder) scan(data []byte) error {
	if d.comps == nil {
		return errors.New("a scan before the frame")
	}
	if len(data) < 4 || data[0] < 1 || data[0] > 4 || len(data) != 4+2*int(data[0]) {
		return errors.New("scan header of a wrong length")
	}
	parts := make([]part, data[0])
	for i := range parts {
		id, tables := data[1+2*i], data[2+2*i]
		for c := range d.comps {
			if d.comps[c].id == id && parts[i].component == nil {
				parts[i].component = &d.comps[c]
			}
		}
		if parts[i].component == nil || tables>>4 > 3 || tables&15 > 3 {
			return errors.New("scan of an unknown component or table")
		}
		for k := range i {
			if parts[k].component == parts[i].component {
				return errors.New("scan with a component twice")
			}
		}
		parts[i].dc, parts[i].ac = d.dc[tables>>4], d.ac[tables&15]
	}
	end := data[len(data)-3:]
	s := spectrum{first: int(end[0]), last: int(end[1]), low: int(end[2] & 15), refines: end[2]>>4 != 0}
	if !d.progressive {
		s = spectrum{first: 0, last: 63}
	}
	if err := d.check(parts, s, end[2]); err != nil {
		return err
	}
	d.in.startScan()
	d.eobRun = 0
	if err := d.blocks(parts, s); err != nil {
		return err
	}
	for i := range parts {
		parts[i].seen |= (^uint64(0) >> (63 - s.last)) & (^uint64(0) << s.first)
	}
	return nil
}

func (d *decoder) check(parts []part, s spectrum, approximation byte) error {
	needsDC, needsAC := s.first == 0 && !s.refines, s.last > 0
	if d.progressive {
		switch {
		case s.first > s.last || s.last > 63 || s.low > 13,
			s.first == 0 && s.last != 0,
			s.first > 0 && len(parts) > 1,
			s.refines && int(approximation>>4) != s.low+1:
			return errors.New("scan of an impossible spectrum")
		}
	}
	for _, p := range parts {
		if needsDC && p.dc == nil || needsAC && p.ac == nil {
			return errors.New("scan without its Huffman table")
		}
	}
	return nil
}

// blocks decodes the blocks of a scan: of one component row by row, of several in
// units with as many blocks of each as its sampling factors say (T.81, A.2).
func (d *decoder) blocks(parts []part, s spectrum) error {
	wide, high := parts[0].width, parts[0].height
	alone := len(parts) == 1
	if !alone {
		wide, high = parts[0].stride/parts[0].h, parts[0].rows/parts[0].v
	}
	left := d.restart
	for y := range high {
		for x := range wide {
			if d.restart > 0 && left == 0 {
				if !d.in.restart() {
					return errShort
				}
				for i := range parts {
					parts[i].last = 0
				}
				d.eobRun, left = 0, d.restart
			}
			left--
			for i := range parts {
				p := &parts[i]
				if alone {
					if err := d.block(p, s, x, y); err != nil {
						return err
					}
					continue
				}
				for v := range p.v {
					for h := range p.h {
						if err := d.block(p, s, x*p.h+h, y*p.v+v); err != nil {
							return err
						}
					}
				}
			}
		}
	}
	return nil
}

func (d *decoder) block(p *part, s spectrum, x, y int) error {
	index := y*p.stride + x
	var err error
	if d.progressive {
		size := d.n * d.n
		b := progressiveBlock{decoder: d, coeffs: p.coeffs[index*size : (index+1)*size], isSet: &p.isSet[index]}
		err = b.decode(p, s)
	} else {
		err = d.sequential(p, x, y)
	}
	// A code that does not exist can be made of the bits that were made up.
	if d.in.short() {
		return errShort
	}
	return err
}

// sequential decodes a block of a sequential picture and transforms it.
func (d *decoder) sequential(p *part, x, y int) error {
	var coeffs [64]int32
	quant := &d.quants[p.quant]
	size, err := d.in.symbol(p.dc)
	if err != nil {
		return err
	}
	if size > 16 {
		return errors.New("DC coefficient out of range")
	}
	p.last += d.in.extended(size)
	coeffs[0] = p.last * int32(quant[0])
	for z := 1; z < 64; z++ {
		symbol, err := d.in.symbol(p.ac)
		if err != nil {
			return err
		}
		run, size := int(symbol>>4), symbol&15
		if size == 0 {
			if run != 15 {
				break
			}
			z += 15
			continue
		}
		if z += run; z > 63 {
			return errors.New("AC coefficient out of range")
		}
		value := d.in.extended(size)
		if slot := d.slot[z]; slot >= 0 {
			coeffs[slot] = value * int32(quant[z])
		}
	}
	if d.in.short() {
		return errShort
	}
	p.done++
	d.transform(p.component, x, y, coeffs[:d.n*d.n])
	return nil
}

// progressiveBlock is a block of a progressive picture (T.81, annex G).
type progressiveBlock struct {
	*decoder
	coeffs []int16
	isSet  *uint64
}

func (b progressiveBlock) decode(p *part, s spectrum) error {
	switch {
	case s.first == 0 && s.refines:
		if b.in.take(1) != 0 {
			b.coeffs[0] |= 1 << s.low
		}
		return nil
	case s.first == 0:
		size, err := b.in.symbol(p.dc)
		if err != nil {
			return err
		}
		if size > 16 {
			return errors.New("DC coefficient out of range")
		}
		p.last += b.in.extended(size)
		b.coeffs[0] = int16(p.last << s.low) // A corrupt file may wrap.
		return nil
	case s.refines:
		return b.refine(p.ac, s)
	}
	return b.first(p.ac, s)
}

func (b progressiveBlock) set(z int, value int32) {
	*b.isSet |= 1 << z
	if slot := b.slot[z]; slot >= 0 {
		b.coeffs[slot] = int16(value) // A corrupt file may wrap.
	}
}

// endOfBand reads how many blocks in a row have no more coefficients.
func (b progressiveBlock) endOfBand(size int) int {
	run := 1 << size
	if size > 0 {
		run |= int(b.in.take(size))
	}
	return run
}

// first decodes a first approximation of AC coefficients.
func (b progressiveBlock) first(ac *huffman, s spectrum) error {
	if b.eobRun > 0 {
		b.eobRun--
		return nil
	}
	for z := s.first; z <= s.last; z++ {
		symbol, err := b.in.symbol(ac)
		if err != nil {
			return err
		}
		run, size := int(symbol>>4), symbol&15
		if size == 0 {
			if run != 15 {
				b.eobRun = b.endOfBand(run) - 1
				return nil
			}
			z += 15
			continue
		}
		if z += run; z > s.last {
			return errors.New("AC coefficient out of range")
		}
		b.set(z, b.in.extended(size)<<s.low)
	}
	return nil
}

// refine adds a bit to AC coefficients (T.81, G.1.2.3).
func (b progressiveBlock) refine(ac *huffman, s spectrum) error {
	z := s.first
	if b.eobRun == 0 {
	codes:
		for ; z <= s.last; z++ {
			symbol, err := b.in.symbol(ac)
			if err != nil {
				return err
			}
			run, size := int(symbol>>4), symbol&15
			var value int32
			switch size {
			case 0:
				if run != 15 {
					b.eobRun = b.endOfBand(run)
					break codes
				}
			case 1:
				value = -1 << s.low
				if b.in.take(1) != 0 {
					value = 1 << s.low
				}
			default:
				return errors.New("refinement by more than a bit")
			}
			z = b.correct(z, s, run)
			if z > s.last {
				if value != 0 {
					return errors.New("AC coefficient out of range")
				}
				break
			}
			if value != 0 {
				b.set(z, value)
			}
			if b.in.short() {
				return errShort
			}
		}
	}
	if b.eobRun > 0 {
		b.eobRun--
		b.correct(z, s, 64)
	}
	return nil
}

// correct adds a bit to each coefficient from z on that is not zero, passes over
// skip that are, and returns the place of the next one that is. It looks at none
// that is zero: a scan without data costs next to nothing.
func (b progressiveBlock) correct(z int, s spectrum, skip int) int {
	set := *b.isSet & (^uint64(0) >> (63 - s.last))
	for z <= s.last {
		next := z + bits.TrailingZeros64(set>>z)
		zeros := min(next, s.last+1) - z
		if skip < zeros {
			return z + skip
		}
		if next > s.last {
			break
		}
		skip -= zeros
		z = next + 1
		if b.in.take(1) == 0 {
			continue
		}
		slot := b.slot[next]
		switch {
		case slot < 0:
		case b.coeffs[slot] >= 0:
			b.coeffs[slot] += 1 << s.low
		default:
			b.coeffs[slot] -= 1 << s.low
		}
	}
	return s.last + 1
}
