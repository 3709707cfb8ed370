package scaledjpeg

import (
	"errors"
	"io"
)

// reader reads segments by the byte and scans by the bit.
type reader struct {
	r    io.Reader
	buf  []byte
	at   int
	have int
	// failed is an error of the underlying reader other than the end of the file.
	failed error
	ended  bool

	// bits holds the next count bits of a scan, the first one on top; the last
	// padded of them were made up, because the scan's data have ended.
	bits   uint64
	count  int
	padded int
	// marker is the one that ended a scan's data, or 0.
	marker byte
}

func newReader(r io.Reader) *reader { return &reader{r: r, buf: make([]byte, 32<<10)} }

func (r *reader) readByte() (byte, error) {
	for r.at == r.have {
		if r.ended {
			return 0, io.EOF
		}
		n, err := r.r.Read(r.buf)
		r.at, r.have = 0, n
		if err != nil {
			r.ended = true
			if !errors.Is(err, io.EOF) {
				r.failed = err
			}
		}
	}
	b := r.buf[r.at]
	r.at++
	return b, nil
}

// nextMarker returns the marker that ended the last scan, or skips to the next one.
func (r *reader) nextMarker() (byte, error) {
	if m := r.marker; m != 0 {
		r.marker = 0
		return m, nil
	}
	b, err := r.readByte()
	for err == nil {
		for err == nil && b != 0xff {
			b, err = r.readByte()
		}
		for err == nil && b == 0xff {
			b, err = r.readByte()
		}
		if err == nil && b != 0 {
			return b, nil
		}
	}
	return 0, err
}

// segment returns what a segment has after its length.
func (r *reader) segment() ([]byte, error) {
	high, err := r.readByte()
	if err != nil {
		return nil, err
	}
	low, err := r.readByte()
	if err != nil {
		return nil, err
	}
	length := int(high)<<8 | int(low)
	if length < 2 {
		return nil, errors.New("segment is too short")
	}
	data := make([]byte, length-2)
	for i := range data {
		if data[i], err = r.readByte(); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// startScan drops the bits of an earlier scan or restart interval.
func (r *reader) startScan() { r.bits, r.count, r.padded = 0, 0, 0 }

// fill makes at least 48 bits ready.
func (r *reader) fill() {
	for r.count <= 56 {
		var b byte
		if r.marker != 0 || r.ended && r.at == r.have {
			r.padded += 8
		} else {
			b = r.dataByte()
		}
		r.bits |= uint64(b) << (56 - r.count)
		r.count += 8
	}
}

// dataByte returns the next byte of a scan and counts it as padding if there is none.
func (r *reader) dataByte() byte {
	b, err := r.readByte()
	if err == nil && b != 0xff {
		return b
	}
	for err == nil && b == 0xff {
		b, err = r.readByte()
		if err == nil && b == 0 {
			return 0xff
		}
	}
	if err == nil {
		r.marker = b
	}
	r.padded += 8
	return 0
}

// take returns the next n bits, n up to 16.
func (r *reader) take(n int) uint32 {
	if r.count < n {
		r.fill()
	}
	v := uint32(r.bits >> (64 - n)) // At most 16 bits.
	r.bits <<= n
	r.count -= n
	return v
}

// short reports whether more was taken than the scan has.
func (r *reader) short() bool { return r.count < r.padded }

// restart skips to the next restart marker. It reports false if the scan is over.
func (r *reader) restart() bool {
	r.startScan()
	for r.marker == 0 {
		b, err := r.readByte()
		for err == nil && b != 0xff {
			b, err = r.readByte()
		}
		for err == nil && b == 0xff {
			b, err = r.readByte()
		}
		if err != nil {
			return false
		}
		r.marker = b
	}
	if r.marker < markerRST0 || r.marker > markerRST7 {
		return false
	}
	r.marker = 0
	return true
}

// huffman is a table of codes (T.81, annex C).
type huffman struct {
	// fast has, by the next 9 bits, the length of the code in the high byte and its
	// value in the low one; 0 is a longer code.
	fast [1 << fastBits]uint16
	// limit is, by length, one more than the largest code, shifted to 16 bits.
	limit  [17]int32
	offset [17]int32
	values []byte
}

const fastBits = 9

var errCode = errors.New("no such Huffman code")

// newHuffman reads a table and tells how many bytes it took.
func newHuffman(data []byte) (*huffman, int, error) {
	if len(data) < 16 {
		return nil, 0, errors.New("a Huffman table is too short")
	}
	total := 0
	for _, n := range data[:16] {
		total += int(n)
	}
	if total == 0 || total > 256 || len(data) < 16+total {
		return nil, 0, errors.New("a Huffman table of a wrong length")
	}
	h := &huffman{values: data[16 : 16+total]}
	code, k := int32(0), int32(0)
	for length := 1; length <= 16; length++ {
		h.offset[length] = k - code
		for range data[length-1] {
			if length <= fastBits {
				from := code << (fastBits - length)
				for i := range int32(1) << (fastBits - length) {
					if from+i < 1<<fastBits {
						h.fast[from+i] = uint16(length)<<8 | uint16(h.values[k])
					}
				}
			}
			code++
			k++
		}
		if code > 1<<length {
			return nil, 0, errors.New("a Huffman table with too many codes")
		}
		h.limit[length] = code << (16 - length)
		code <<= 1
	}
	return h, 16 + total, nil
}

// symbol reads a code.
func (r *reader) symbol(h *huffman) (byte, error) {
	if r.count < 16 {
		r.fill()
	}
	if f := h.fast[r.bits>>(64-fastBits)]; f != 0 {
		n := int(f >> 8)
		r.bits <<= n
		r.count -= n
		return byte(f), nil
	}
	next := int32(r.bits >> 48)
	for length := fastBits + 1; length <= 16; length++ {
		if next < h.limit[length] {
			r.bits <<= length
			r.count -= length
			return h.values[next>>(16-length)+h.offset[length]], nil
		}
	}
	return 0, errCode
}

// extended reads a number of so many bits with its sign (T.81, F.2.2.1).
func (r *reader) extended(size byte) int32 {
	if size == 0 {
		return 0
	}
	v := int32(r.take(int(size))) // At most 16 bits.
	if v < 1<<(size-1) {
		v += -1<<size + 1
	}
	return v
}
