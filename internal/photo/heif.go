package photo

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// maxHEIFPixels bounds what is handed to the converter: beyond it the converter's own
// bound on memory would end it.
const maxHEIFPixels = 50_500_000

// maxHEIFHeader bounds the boxes that describe the picture.
const maxHEIFHeader = 4 << 20

// sniffHEIF tells HEIC from AVIF by the brands of a file that begins with a file type
// box (ISO/IEC 14496-12, section 4.3; 23008-12, annex B), and rewinds.
func sniffHEIF(r *source, head []byte) (string, error) {
	length := binary.BigEndian.Uint32(head)
	if length < 16 || length > 1024 {
		return "", errFormat
	}
	brands := make([]byte, length-8)
	if _, err := r.Seek(8, io.SeekStart); err != nil {
		return "", err
	}
	if _, err := io.ReadFull(r, brands); err != nil {
		if failed := failure(err); failed != nil {
			return "", failed
		}
		return "", errFormat
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	// After the major brand stands a version that is no brand.
	var names []string
	for i := 0; i+4 <= len(brands); i += 4 {
		if i != 4 {
			names = append(names, string(brands[i:i+4]))
		}
	}
	has := func(wanted ...string) bool {
		return slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(names, w) })
	}
	switch {
	case has("avis", "hevc", "hevx", "msf1") && !has("mif1", "heic", "heix", "avif"):
		return "", errAnimated
	case has("avif"):
		return AVIF, nil
	case has("heic", "heix", "mif1", "heim", "heis"):
		return HEIC, nil
	}
	return "", errFormat
}

// readHEIFHeader walks the boxes of a HEIC or AVIF for the size of its largest picture
// (ISO/IEC 23008-12, section 6.5.3). It is decoded by another program, so it costs
// no memory here.
func readHEIFHeader(r *source, size int64) (header, error) {
	meta, err := heifMeta(r, size)
	if err != nil {
		return header{}, err
	}
	var head header
	for _, path := range boxes(meta, "iprp") {
		for _, properties := range boxes(path, "ipco") {
			for _, extent := range boxes(properties, "ispe") {
				if len(extent) < 12 {
					return header{}, errors.New("extent of a wrong length")
				}
				width, height := binary.BigEndian.Uint32(extent[4:]), binary.BigEndian.Uint32(extent[8:])
				if width > 1<<20 || height > 1<<20 {
					return header{}, errTooManyPixels(int64(width)*int64(height), maxHEIFPixels)
				}
				if int64(width)*int64(height) > int64(head.width)*int64(head.height) {
					head.width, head.height = int(width), int(height)
				}
			}
		}
	}
	if pixels := int64(head.width) * int64(head.height); pixels > maxHEIFPixels {
		return header{}, errTooManyPixels(pixels, maxHEIFPixels)
	}
	return head, nil
}

// heifMeta returns what is in the meta box.
func heifMeta(r *source, size int64) ([]byte, error) {
	at := int64(0)
	for range maxChunks {
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return nil, err
		}
		length, name, err := chunkHead(r, binary.BigEndian)
		if err != nil {
			return nil, err
		}
		if length < 8 || at+length > size {
			return nil, errors.New("box of a wrong length")
		}
		if name == "meta" {
			if length < 12 || length > maxHEIFHeader {
				return nil, errors.New("meta box of a wrong length")
			}
			data := make([]byte, length-8)
			if _, err := io.ReadFull(r, data); err != nil {
				return nil, unexpected(err)
			}
			return data[4:], nil // After version and flags.
		}
		at += length
	}
	return nil, errors.New("too many boxes")
}

// boxes returns the contents of the boxes of a name that follow each other in data.
func boxes(data []byte, name string) (found [][]byte) {
	for len(data) >= 8 {
		length := int64(binary.BigEndian.Uint32(data))
		if length < 8 || length > int64(len(data)) {
			return found
		}
		if string(data[4:8]) == name {
			found = append(found, data[8:length])
		}
		data = data[length:]
	}
	return found
}
