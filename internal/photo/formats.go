package photo

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxScans bounds the scans of a JPEG. Encoders write about ten; a progressive
// file can hold thousands in a few bytes each, and each costs a pass over the
// whole picture.
const maxScans = 100

// maxChunks bounds what comes before the pixels of a PNG or WebP.
const maxChunks = 1000

// readJPEGHeader walks the markers of a JPEG to its end, as image/jpeg does, for
// the dimensions, the sampling and the number of scans (ITU-T T.81, annex B).
func readJPEGHeader(from *source) (header, error) {
	r := bufio.NewReaderSize(from, 32<<10)
	var frame jpegFrame
	scans := 0
	for {
		marker, err := nextMarker(r)
		switch {
		case errors.Is(err, io.EOF) && scans > 0:
			// Without its end marker: whether enough is there is for the decoder to say.
			return frame.header(), nil
		case err != nil:
			return header{}, unexpected(err)
		case marker == 0xd8: // Start of image.
			continue
		case marker == 0xd9 && scans > 0: // End of image.
			return frame.header(), nil
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
		switch {
		case marker == 0xc0 || marker == 0xc1 || marker == 0xc2 || marker == 0xee:
			data := make([]byte, length)
			if _, err := io.ReadFull(r, data); err != nil {
				return header{}, unexpected(err)
			}
			if marker == 0xee {
				// Adobe's marker, with 0 for components that are the colours themselves.
				frame.untransformed = length >= 12 && string(data[:5]) == "Adobe" && data[11] == 0
				continue
			}
			if err := frame.parse(data); err != nil {
				return header{}, err
			}
			frame.progressive = marker == 0xc2
			continue
		case marker >= 0xc3 && marker <= 0xcf && marker != 0xc4 && marker != 0xcc:
			return header{}, errFormat.Wrap(fmt.Errorf("frame type %#x", marker))
		case marker == 0xda: // Start of scan.
			if scans++; scans > maxScans {
				return header{}, errors.New("too many scans")
			}
			if frame.components == 0 {
				return header{}, errors.New("a scan before the frame")
			}
		}
		if _, err := r.Discard(length); err != nil {
			return header{}, unexpected(err)
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
// memory that image/jpeg takes.
type jpegFrame struct {
	width, height int64
	components    int
	// blocks is the number of units of 8 by 8 samples, over all components.
	blocks                     int64
	progressive, untransformed bool
}

func (f *jpegFrame) parse(data []byte) error {
	switch {
	case f.components != 0:
		return errors.New("more than one frame")
	case len(data) < 6 || data[5] == 0 || len(data) != 6+3*int(data[5]):
		return errors.New("frame header of a wrong length")
	case data[0] != 8:
		return errFormat.Wrap(fmt.Errorf("%d bits for each sample", data[0]))
	}
	f.height, f.width = int64(binary.BigEndian.Uint16(data[1:])), int64(binary.BigEndian.Uint16(data[3:]))
	f.components = int(data[5])
	h0, v0 := int64(1), int64(1)
	var samples int64
	for i := range f.components {
		h, v := int64(data[7+3*i]>>4), int64(data[7+3*i]&15)
		if h < 1 || h > 4 || v < 1 || v > 4 {
			return errors.New("sampling out of range")
		}
		if f.components == 1 {
			h, v = 1, 1
		}
		if i == 0 {
			h0, v0 = h, v
		}
		samples += h * v
	}
	f.blocks = samples * ((f.width + 8*h0 - 1) / (8 * h0)) * ((f.height + 8*v0 - 1) / (8 * v0))
	f.untransformed = f.untransformed || f.components == 3 && data[6] == 'R' && data[9] == 'G' && data[12] == 'B'
	return nil
}

// header reckons a byte for each sample, for a progressive file 4 bytes more for
// its coefficient, and a second picture where the colours are converted.
func (f *jpegFrame) header() header {
	c := cost{image: 64 * f.blocks}
	if f.progressive {
		c.scratch = 4 * 64 * f.blocks
	}
	if f.components == 4 || f.components == 3 && f.untransformed {
		c.scratch += c.image
		c.image = 4 * f.width * f.height
	}
	return header{width: int(f.width), height: int(f.height), cost: c}
}

// readPNGHeader walks the chunks of a PNG up to its first pixels (PNG 3rd
// edition, section 5) and computes what image/png allocates.
func readPNGHeader(r *source, size int64) (header, error) {
	if _, err := r.Seek(8, io.SeekStart); err != nil {
		return header{}, err
	}
	var head header
	var depth, colour, interlaced byte
	transparent := false
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
			depth, colour, interlaced = ihdr[8], ihdr[9], ihdr[12]
		case "acTL":
			return header{}, errAnimated
		case "tRNS":
			transparent = true
		case "IDAT":
			if head.width == 0 {
				return header{}, errors.New("pixels before the image header")
			}
			pixels := int64(head.width) * int64(head.height)
			head.cost.image = pixels * pngPixelBytes(depth, colour, transparent)
			if interlaced != 0 {
				// The passes are decoded as pictures of their own; the last has half of the rows.
				head.cost.scratch = head.cost.image
			}
			return head, nil
		}
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return header{}, err
		}
	}
	return header{}, errors.New("too many chunks")
}

func pngPixelBytes(depth, colour byte, transparent bool) int64 {
	const grey, palette = 0, 3
	switch {
	case colour == palette || colour == grey && depth <= 8 && !transparent:
		return 1
	case depth <= 8:
		return 4
	case colour == grey && !transparent:
		return 2
	}
	return 8
}

// readWebPHeader walks the chunks of a WebP up to its pixels (RFC 9649) and
// computes what x/image/webp allocates. Each chunk has to fit into the file, as
// the decoder allocates what a chunk claims to be.
func readWebPHeader(r *source, size int64) (header, error) {
	if _, err := r.Seek(12, io.SeekStart); err != nil {
		return header{}, err
	}
	var head header
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
		return cost{image: 4 * pixels, scratch: 4 * pixels}
	}
	// Macroblocks of 16 by 16 with chroma at half the resolution.
	c := cost{image: int64((width+15)/16) * int64((height+15)/16) * 384}
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
