package photo

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
)

// maxEXIFBytes bounds what is read of a file's metadata. In a JPEG it is below 64
// kB; a PNG or a WebP may claim more.
const maxEXIFBytes = 1 << 20

// maxMetadataChunks bounds the chunks of a PNG or WebP that are passed on the way
// to the metadata, which may stand behind the pixels. Encoders split those of a
// PNG into chunks of 8 kB or more.
const maxMetadataChunks = 10_000

// exifMarker precedes EXIF in a JPEG (EXIF 2.32, section 4.7.2). Some encoders
// write it in PNG and WebP too, where it does not belong. The byte behind the
// first NUL is padding, of any value.
const exifMarker = "Exif\x00"

// readEXIF returns the TIFF structure that a file's EXIF is, nil if there is none
// or what contains it is broken. The error is a failure to read.
func readEXIF(r *source, contentType string) ([]byte, error) {
	var block []byte
	switch contentType {
	case JPEG:
		block = jpegEXIF(r)
	case PNG:
		block = chunkEXIF(r, pngChunks)
	case WebP:
		block = chunkEXIF(r, webpChunks)
	}
	return block, r.failed
}

// jpegEXIF looks for the application segment before the first scan.
func jpegEXIF(from *source) []byte {
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return nil
	}
	const startOfImage, endOfImage, startOfScan, application1 = 0xd8, 0xd9, 0xda, 0xe1
	r := bufio.NewReader(from)
	for {
		marker, err := nextMarker(r)
		if err != nil || marker == startOfScan || marker == endOfImage {
			return nil
		}
		if marker == startOfImage {
			continue
		}
		var size [2]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return nil
		}
		length := int(binary.BigEndian.Uint16(size[:])) - 2
		if length < 0 {
			return nil
		}
		if marker != application1 {
			if _, err := r.Discard(length); err != nil {
				return nil
			}
			continue
		}
		segment, err := io.ReadAll(io.LimitReader(r, int64(length)))
		if err != nil {
			return nil
		}
		// XMP comes in a segment of the same kind.
		if bytes.HasPrefix(segment, []byte(exifMarker)) {
			return unmarked(segment)
		}
	}
}

// chunks are how a format is divided into pieces that have a name.
type chunks struct {
	// start is where the first one is, in bytes.
	start int64
	order binary.ByteOrder
	// trailer is how many bytes follow the data of a chunk of a length.
	trailer func(length int64) int64
	// exif is the name of the chunk with EXIF.
	exif string
}

var (
	// PNG 3rd edition, sections 5.3 and 11.3.2.5: a checksum follows each chunk.
	pngChunks = chunks{start: 8, order: binary.BigEndian, trailer: func(int64) int64 { return 4 }, exif: "eXIf"}
	// RFC 9649, section 2.3: a chunk of odd length is followed by a byte of padding.
	webpChunks = chunks{start: 12, order: binary.LittleEndian, trailer: func(length int64) int64 { return length % 2 }, exif: "EXIF"}
)

func chunkEXIF(r *source, format chunks) []byte {
	at := format.start
	for range maxMetadataChunks {
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return nil
		}
		length, name, err := chunkHead(r, format.order)
		if err != nil {
			return nil
		}
		if name == format.exif {
			block, err := io.ReadAll(io.LimitReader(r, min(length, maxEXIFBytes)))
			if err != nil {
				return nil
			}
			return unmarked(block)
		}
		at += 8 + length + format.trailer(length)
	}
	return nil
}

func unmarked(block []byte) []byte {
	if bytes.HasPrefix(block, []byte(exifMarker)) && len(block) > len(exifMarker) {
		return block[len(exifMarker)+1:]
	}
	return block
}

// directory is one of the tables of tags in EXIF.
type directory int

const (
	mainDirectory directory = iota
	exposureDirectory
	gpsDirectory
)

// tag is a tag in its directory: a thumbnail has one of its own, and a tag in the
// wrong place is no fact.
type tag struct {
	directory directory
	id        uint16
}

// The tags that are read (EXIF 2.32, sections 4.6.4 to 4.6.6).
var (
	tagMake               = tag{mainDirectory, 0x010f}
	tagModel              = tag{mainDirectory, 0x0110}
	tagOrientation        = tag{mainDirectory, 0x0112}
	tagExposurePointer    = tag{mainDirectory, 0x8769}
	tagGPSPointer         = tag{mainDirectory, 0x8825}
	tagDateTimeOriginal   = tag{exposureDirectory, 0x9003}
	tagOffsetTimeOriginal = tag{exposureDirectory, 0x9011}
	tagGPSLatitudeRef     = tag{gpsDirectory, 0x0001}
	tagGPSLatitude        = tag{gpsDirectory, 0x0002}
	tagGPSLongitudeRef    = tag{gpsDirectory, 0x0003}
	tagGPSLongitude       = tag{gpsDirectory, 0x0004}
	tagGPSTimeStamp       = tag{gpsDirectory, 0x0007}
	tagGPSStatus          = tag{gpsDirectory, 0x0009}
	tagGPSDateStamp       = tag{gpsDirectory, 0x001d}
)

// The types of values that are read (TIFF 6.0, section 2; EXIF 3.0 adds text in
// UTF-8, and the TIFF technical note 1 pointers to directories).
const (
	typeByte           = 1
	typeASCII          = 2
	typeShort          = 3
	typeLong           = 4
	typeRational       = 5
	typeUndefined      = 7
	typeSignedRational = 10
	typePointer        = 13
	typeUTF8           = 129
)

// typeBytes is what one value of a type takes. A tag of a type that is not here is
// left out, and the rest is read.
var typeBytes = map[uint16]uint64{
	typeByte: 1, typeASCII: 1, typeShort: 2, typeLong: 4, typeRational: 8,
	typeUndefined: 1, typeSignedRational: 8, typePointer: 4, typeUTF8: 1,
}

// maxTagBytes bounds a tag. The ones that are read are short.
const maxTagBytes = 1000

// value is what a tag says.
type value struct {
	kind  uint16
	order binary.ByteOrder
	bytes []byte
}

// tags are the values of a photo's tags. Of a tag that is there twice the first counts.
type tags map[tag]value

// readTags reads a TIFF structure (TIFF 6.0, section 2). What is broken in it is
// left out.
func readTags(block []byte) tags {
	found := tags{}
	if len(block) < 8 {
		return found
	}
	var order binary.ByteOrder
	switch string(block[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return found
	}
	found.read(block, order, mainDirectory, order.Uint32(block[4:]))
	for pointer, to := range map[tag]directory{tagExposurePointer: exposureDirectory, tagGPSPointer: gpsDirectory} {
		if offset, ok := found[pointer].number(); ok {
			found.read(block, order, to, offset)
		}
	}
	return found
}

// read adds the tags of a directory that starts at an offset into the block.
func (t tags) read(block []byte, order binary.ByteOrder, in directory, offset uint32) {
	if uint64(offset)+2 > uint64(len(block)) {
		return
	}
	const entryBytes = 12
	count := order.Uint16(block[offset:])
	entries := block[offset+2:]
	for range count {
		if len(entries) < entryBytes {
			return
		}
		entry := entries[:entryBytes]
		entries = entries[entryBytes:]
		key := tag{in, order.Uint16(entry)}
		v := value{kind: order.Uint16(entry[2:]), order: order}
		length := typeBytes[v.kind] * uint64(order.Uint32(entry[4:]))
		if _, twice := t[key]; twice || length == 0 || length > maxTagBytes {
			continue
		}
		if length <= 4 {
			v.bytes = entry[8 : 8+length]
		} else if at := uint64(order.Uint32(entry[8:])); at+length <= uint64(len(block)) {
			v.bytes = block[at : at+length]
		} else {
			continue
		}
		t[key] = v
	}
}

// text returns a value that is text up to its end, which NUL marks.
func (v value) text() string {
	switch v.kind {
	case typeASCII, typeUTF8, typeUndefined:
		text, _, _ := bytes.Cut(v.bytes, []byte{0})
		return string(text)
	}
	return ""
}

// number returns a value that is one whole number.
func (v value) number() (uint32, bool) {
	switch {
	case v.kind == typeByte && len(v.bytes) == 1:
		return uint32(v.bytes[0]), true
	case v.kind == typeShort && len(v.bytes) == 2:
		return uint32(v.order.Uint16(v.bytes)), true
	case (v.kind == typeLong || v.kind == typePointer) && len(v.bytes) == 4:
		return v.order.Uint32(v.bytes), true
	}
	return 0, false
}

// three returns a value of three fractions that are zero or more. One with a
// denominator of zero is how cameras write a number that they do not know.
func (v value) three() (numbers [3]float64, ok bool) {
	if v.kind != typeRational && v.kind != typeSignedRational || len(v.bytes) != 8*len(numbers) {
		return numbers, false
	}
	for i := range numbers {
		numerator, denominator := v.order.Uint32(v.bytes[8*i:]), v.order.Uint32(v.bytes[8*i+4:])
		if denominator == 0 {
			return numbers, false
		}
		numbers[i] = float64(numerator) / float64(denominator)
		if v.kind == typeSignedRational {
			numbers[i] = float64(int32(numerator)) / float64(int32(denominator)) // Written as such.
		}
		if numbers[i] < 0 {
			return numbers, false
		}
	}
	return numbers, true
}
