package photo

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/picaspot/picaspot/internal/photo/scaledjpeg"
)

// maxScans bounds the scans of a JPEG. Encoders write about ten; a progressive
// file can hold thousands in a few bytes each, and each costs a pass over the
// whole picture.
const maxScans = 100

// maxChunks bounds what comes before the pixels of a PNG or WebP.
const maxChunks = 1000

// readJPEGHeader walks the markers of a JPEG to its end, for the dimensions, the
// sampling, the scans and the colour profile (ITU-T T.81, annex B; ICC.1:2022, B.4).
func readJPEGHeader(from *source) (header, error) {
	r := bufio.NewReaderSize(from, 32<<10)
	var frame jpegFrame
	var profile []byte
	scans := 0
	found := func() header {
		head := frame.header()
		head.profile = profile
		return head
	}
	for {
		marker, err := nextMarker(r)
		switch {
		case errors.Is(err, io.EOF) && scans > 0:
			// Without its end marker: whether enough is there is for the decoder to say.
			return found(), nil
		case err != nil:
			return header{}, unexpected(err)
		case marker == 0xd8: // Start of image.
			continue
		case marker == 0xd9 && scans > 0: // End of image.
			return found(), nil
		case marker == 0xd9:
			return header{}, errors.New("no picture before the end marker")
		}
		var size [2]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return header{}, unexpected(err)
		}
		length := int(binary.BigEndian.Uint16(size[:])) - 2
		if length < 0 {
			return header{}, fmt.Errorf("segment %#x is too short", marker)
		}
		data := make([]byte, length)
		if _, err := io.ReadFull(r, data); err != nil {
			return header{}, unexpected(err)
		}
		switch {
		case marker == 0xee:
			// Adobe's marker, with 0 for components that are the colours themselves.
			frame.untransformed = length >= 12 && string(data[:5]) == "Adobe" && data[11] == 0
		case marker == 0xe2 && bytes.HasPrefix(data, []byte("ICC_PROFILE\x00")) && length > 14:
			// A large profile is in several segments, numbered and in order.
			if len(profile)+length-14 <= maxProfileBytes {
				profile = append(profile, data[14:]...)
			}
		case marker == 0xc0 || marker == 0xc1 || marker == 0xc2:
			if err := frame.parse(data); err != nil {
				return header{}, err
			}
			frame.progressive = marker == 0xc2
		case marker >= 0xc3 && marker <= 0xcf && marker != 0xc4 && marker != 0xcc:
			return header{}, errFormat.Wrap(fmt.Errorf("frame type %#x", marker))
		case marker == 0xda: // Start of scan.
			if scans++; scans > maxScans {
				return header{}, errors.New("too many scans")
			}
			if len(frame.components) == 0 {
				return header{}, errors.New("a scan before the frame")
			}
			frame.scan(data)
		}
	}
}

// nextMarker skips to the next marker that has a meaning outside of a scan.
func nextMarker(r *bufio.Reader) (byte, error) {
	for {
		if _, err := r.ReadSlice(0xff); err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return 0, err
		} else if err != nil {
			continue
		}
		marker := byte(0xff)
		for marker == 0xff {
			var err error
			if marker, err = r.ReadByte(); err != nil {
				return 0, err
			}
		}
		if marker != 0 && (marker < 0xd0 || marker > 0xd7) {
			return marker, nil
		}
	}
}

// jpegFrame is what a frame header says (T.81, B.2.2) and what decides about the
// memory and the time that the decoder takes.
type jpegFrame struct {
	width, height int64
	components    []jpegComponent
	// work is the number of samples that all scans go over.
	work                       int64
	progressive, untransformed bool
}

// jpegComponent has a number of blocks of 8 by 8 samples.
type jpegComponent struct {
	id     byte
	blocks int64
}

func (f *jpegFrame) parse(data []byte) error {
	switch {
	case f.components != nil:
		return errors.New("more than one frame")
	case len(data) < 6 || data[5] == 0 || len(data) != 6+3*int(data[5]):
		return errors.New("frame header of a wrong length")
	case data[0] != 8:
		return errFormat.Wrap(fmt.Errorf("%d bits for each sample", data[0]))
	case data[5] != 1 && data[5] != 3 && data[5] != 4:
		return fmt.Errorf("%d components", data[5])
	}
	f.height, f.width = int64(binary.BigEndian.Uint16(data[1:])), int64(binary.BigEndian.Uint16(data[3:]))
	hMax, vMax := int64(1), int64(1)
	sampling := make([][2]int64, data[5])
	for i := range sampling {
		h, v := int64(data[7+3*i]>>4), int64(data[7+3*i]&15)
		if h < 1 || h > 4 || v < 1 || v > 4 {
			return errors.New("sampling out of range")
		}
		if len(sampling) == 1 {
			h, v = 1, 1
		}
		sampling[i] = [2]int64{h, v}
		hMax, vMax = max(hMax, h), max(vMax, v)
	}
	units := ((f.width + 8*hMax - 1) / (8 * hMax)) * ((f.height + 8*vMax - 1) / (8 * vMax))
	for i, hv := range sampling {
		f.components = append(f.components, jpegComponent{data[6+3*i], units * hv[0] * hv[1]})
	}
	f.untransformed = f.untransformed || len(sampling) == 3 && data[6] == 'R' && data[9] == 'G' && data[12] == 'B'
	return nil
}

// scan counts what a scan goes over. The decoder is the one to refuse a wrong header.
func (f *jpegFrame) scan(data []byte) {
	for i := 1; len(data) > 0 && i <= int(data[0]) && 2*i < len(data); i++ {
		for _, c := range f.components {
			if c.id == data[2*i-1] {
				f.work += 64 * c.blocks
			}
		}
	}
}

// header reckons a byte for each sample of the scaled picture; for a progressive file
// two more for its coefficient and 8 for each block; and a second picture where the
// colours are converted.
func (f *jpegFrame) header() header {
	n := int64(scaledjpeg.Size(int(f.width), int(f.height), enoughEdge))
	var blocks int64
	for _, c := range f.components {
		blocks += c.blocks
	}
	pixels := ((f.width*n + 7) / 8) * ((f.height*n + 7) / 8)
	c := cost{image: n * n * blocks, work: f.work, pixels: pixels}
	if f.progressive {
		c.scratch = 2*n*n*blocks + 8*blocks
	}
	if len(f.components) == 4 || len(f.components) == 3 && f.untransformed {
		// The inks, and what they look like.
		c.image += 8 * pixels
	}
	return header{width: int(f.width), height: int(f.height), inputs: len(f.components), cost: c}
}

// readPNGHeader walks the chunks of a PNG up to its first pixels (PNG 3rd
// edition, section 5) and computes what image/png allocates.
func readPNGHeader(r *source, size int64) (header, error) {
	if _, err := r.Seek(8, io.SeekStart); err != nil {
		return header{}, err
	}
	var head header
	var interlaced byte
	at := int64(8)
	for range maxChunks {
		length, name, err := chunkHead(r, binary.BigEndian)
		if err != nil {
			return header{}, err
		}
		at += 12 + length
		if at > size {
			return header{}, fmt.Errorf("chunk %q reaches beyond the file", name)
		}
		switch name {
		case "IHDR":
			var ihdr [13]byte
			if length != 13 || head.width != 0 {
				return header{}, errors.New("wrong image header")
			}
			if _, err := io.ReadFull(r, ihdr[:]); err != nil {
				return header{}, unexpected(err)
			}
			width, height := binary.BigEndian.Uint32(ihdr[:]), binary.BigEndian.Uint32(ihdr[4:])
			if width == 0 || height == 0 || width > 1<<20 || height > 1<<20 {
				return header{}, fmt.Errorf("%d by %d pixels", width, height)
			}
			head.width, head.height = int(width), int(height)
			interlaced = ihdr[12]
			if head.inputs = 3; ihdr[9] == 0 || ihdr[9] == 4 { // Grey, without or with alpha.
				head.inputs = 1
			}
		case "acTL":
			return header{}, errAnimated
		case "iCCP":
			if head.profile, err = pngProfile(io.LimitReader(r, length)); err != nil {
				return header{}, err
			}
		case "IDAT":
			if head.width == 0 {
				return header{}, errors.New("pixels before the image header")
			}
			head.cost = pngCost(head.width, head.height, interlaced != 0)
			return head, nil
		}
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return header{}, err
		}
	}
	return header{}, errors.New("too many chunks")
}

// pngCost reckons 4 bytes for each pixel of the shrunk picture, and 6 for the sums of
// an interlaced one.
func pngCost(width, height int, interlaced bool) cost {
	factor := int64(pngFactor(width, height))
	w, h := int64(width), int64(height)
	pixels := ((w + factor - 1) / factor) * ((h + factor - 1) / factor)
	const rowBytes = 8 + 8 + 3 // Two rows as stored, and one as shown.
	c := cost{image: 4 * pixels, scratch: rowBytes * w, work: w * h, pixels: pixels}
	if interlaced && factor > 1 {
		c.scratch += 6 * pixels
	}
	return c
}

// pngProfile reads a compressed colour profile (PNG, section 11.3.2.3). One that can't
// be read is none.
func pngProfile(chunk io.Reader) ([]byte, error) {
	r := bufio.NewReader(chunk)
	if _, err := r.ReadString(0); err != nil {
		return nil, failure(err)
	}
	if _, err := r.Discard(1); err != nil {
		return nil, failure(err)
	}
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, failure(err)
	}
	profile, err := io.ReadAll(io.LimitReader(z, maxProfileBytes))
	if err != nil {
		return nil, failure(err)
	}
	return profile, nil
}

// failure returns an error only if it is one to read, and no fault of the file.
func failure(err error) error {
	var failed *readError
	if errors.As(err, &failed) {
		return err
	}
	return nil
}

// readWebPHeader walks the chunks of a WebP up to its pixels (RFC 9649) and
// computes what x/image/webp allocates. Each chunk has to fit into the file, as
// the decoder allocates what a chunk claims to be.
func readWebPHeader(r *source, size int64) (header, error) {
	if _, err := r.Seek(12, io.SeekStart); err != nil {
		return header{}, err
	}
	head := header{inputs: 3}
	var tables int64
	alpha := false
	at := int64(12)
	for range maxChunks {
		length, name, err := chunkHead(r, binary.LittleEndian)
		if err != nil {
			return header{}, err
		}
		data := at + 8
		at = data + length + length%2
		if data+length > size {
			return header{}, fmt.Errorf("chunk %q reaches beyond the file", name)
		}
		var start [10]byte
		if name == "VP8X" || name == "VP8 " || name == "VP8L" {
			if _, err := io.ReadFull(r, start[:min(length, 10)]); err != nil {
				return header{}, unexpected(err)
			}
		}
		switch name {
		case "VP8X":
			if start[0]&0x02 != 0 {
				return header{}, errAnimated
			}
			alpha = start[0]&0x10 != 0
			head.width = 1 + (int(start[4]) | int(start[5])<<8 | int(start[6])<<16)
			head.height = 1 + (int(start[7]) | int(start[8])<<8 | int(start[9])<<16)
		case "ANIM", "ANMF":
			return header{}, errAnimated
		case "ICCP":
			if length <= maxProfileBytes {
				head.profile = make([]byte, length)
				if _, err := io.ReadFull(r, head.profile); err != nil {
					return header{}, unexpected(err)
				}
			}
		case "ALPH":
			tables = huffmanTables(length)
		case "VP8 ", "VP8L":
			width, height := webpDimensions(name, start)
			if head.width != 0 && (head.width != width || head.height != height) {
				return header{}, errors.New("picture and canvas differ")
			}
			head.width, head.height = width, height
			head.cost = webpCost(name, width, height, alpha)
			head.cost.tables = tables
			if name == "VP8L" {
				head.cost.tables = huffmanTables(length)
			} else {
				head.cost.scratch += length
			}
			return head, nil
		}
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return header{}, err
		}
	}
	return header{}, errors.New("too many chunks")
}

// webpDimensions reads the dimensions of a lossy (RFC 6386, section 9.1) or a
// lossless picture (RFC 9649, section 3.4).
func webpDimensions(name string, start [10]byte) (width, height int) {
	if name == "VP8 " {
		return int(binary.LittleEndian.Uint16(start[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(start[8:]) & 0x3fff)
	}
	packed := binary.LittleEndian.Uint32(start[1:])
	return int(packed&0x3fff) + 1, int(packed>>14&0x3fff) + 1
}

func webpCost(name string, width, height int, alpha bool) cost {
	pixels := int64(width) * int64(height)
	if name == "VP8L" {
		// The transform of a palette makes a second picture.
		return cost{image: 4 * pixels, scratch: 4 * pixels, work: pixels, pixels: pixels}
	}
	// Macroblocks of 16 by 16 with chroma at half the resolution.
	c := cost{image: int64((width+15)/16) * int64((height+15)/16) * 384, work: pixels, pixels: pixels}
	if alpha {
		// The alpha channel is decoded as a lossless picture first.
		c.image += pixels
		c.scratch = 8 * pixels
	}
	return c
}

// huffmanTables bounds what x/image/vp8l allocates for the Huffman tables of a
// stream: up to 2600 groups of some 50 KB, and some 256 bytes for each byte read.
func huffmanTables(length int64) int64 {
	return min(2600*50_000, 256*length)
}

func chunkHead(r io.Reader, order binary.ByteOrder) (length int64, name string, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, "", unexpected(err)
	}
	if order == binary.ByteOrder(binary.LittleEndian) {
		return int64(order.Uint32(head[4:])), string(head[:4]), nil
	}
	return int64(order.Uint32(head[:])), string(head[4:]), nil
}

// unexpected makes of an end of file in the wrong place what it is.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
