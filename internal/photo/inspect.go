// Package photo reads what people hand in as photos: it refuses what is too
// large, broken or no photo before anything is allocated for it, reads the facts
// that a photo carries about its place and time, and makes of it the pictures
// that others may see.
//
// A file of a few kilobytes can ask for gigabytes of memory or hours of work.
// So the memory that a decoder will need is computed from the file's headers
// first, and what is decoded at once in a process has a common budget.
package photo

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/picaspot/picaspot/internal/fault"
)

// The formats that are taken, by their media types.
const (
	JPEG = "image/jpeg"
	PNG  = "image/png"
	WebP = "image/webp"
	HEIC = "image/heic"
	AVIF = "image/avif"
)

var (
	errFormat      = fault.New(fault.UnsupportedMedia, "photo_format", "The photo has to be a JPEG, PNG, WebP, HEIC or AVIF file.")
	errNoConverter = fault.New(fault.UnsupportedMedia, "photo_format",
		"This server can't read HEIC or AVIF. Send the photo as a JPEG: encode it anew with its EXIF, or let the camera app save compatible files.")
	errBroken   = fault.New(fault.Invalid, "photo_broken", "The photo is damaged or incomplete and can't be read.")
	errAnimated = fault.New(fault.UnsupportedMedia, "photo_animated", "The photo is an animation; a single picture is expected.")
)

const (
	codeTooLarge      = "photo_too_large"
	codeTooManyPixels = "photo_too_many_pixels"
)

// Limits bound what is taken as a photo and what decoding may cost.
type Limits struct {
	// Bytes is the size of the largest file.
	Bytes int64
	// Pixels is the number of pixels of the largest picture.
	Pixels int64
	// MemoryBytes bounds what decoding and rendering one photo takes.
	MemoryBytes int64
	// BudgetBytes bounds what all photos of a [Decoder] take at once.
	BudgetBytes int64
}

// DefaultLimits take the photos of today's phones, those of 64 megapixels too, in a
// process that stays below 200 MB.
func DefaultLimits() Limits {
	return Limits{Bytes: 20_000_000, Pixels: 1 << 26, MemoryBytes: 144 << 20, BudgetBytes: 160 << 20}
}

// Info is what a file's headers say about it.
type Info struct {
	// ContentType is the media type of the content, whatever the sender called it.
	ContentType string
	// Width and Height are in pixels, as stored: an orientation may swap them.
	Width, Height int
	// MemoryBytes is the most that decoding and rendering it takes, estimated.
	MemoryBytes int64

	cost cost
	// profile is the ICC profile of the colours, nil without one, and inputs the number
	// of colours.
	profile []byte
	inputs  int
	// isConverted says that another program made the file, and turned it upright.
	isConverted bool
}

// cost is what the decoders allocate for a picture, in bytes.
type cost struct {
	// image is what is left when the decoder is done, scratch what it needs
	// besides while it works.
	image, scratch int64
	// tables is what a malicious lossless WebP can spend on Huffman tables: real
	// ones stay far below.
	tables int64
	// pixels is their number in the decoded picture.
	pixels int64
	// work is the number of samples that are gone over: more than the picture has where
	// it is in several scans.
	work int64
}

// shownPixels bounds those of a [Decoded].
const shownPixels = MaxEdge * MaxEdge

// peak is the most that is allocated at once: while decoding, or while the picture is
// shrunk to what is shown, 4 bytes for each pixel, by way of one with a quarter of its
// pixels if it is larger than twice that along an edge. What is shown may be turned.
func (c cost) peak() int64 {
	shown := 4 * min(c.pixels, shownPixels)
	halved := int64(0)
	if c.pixels > 2*shownPixels {
		halved = c.pixels
	}
	return c.image + max(c.scratch, shown+max(halved, shown))
}

// maxPasses bounds the scans of a progressive JPEG by what they go over: encoders
// write ten, of which most have one colour only.
const maxPasses = 16

// Inspect reads the headers of a file of a size in bytes and tells whether it is
// worth decoding, without allocating for more than a buffer. The fault is
// photo_format for what is no JPEG, PNG or WebP, photo_animated, photo_broken,
// photo_too_large, or photo_too_many_pixels. The reader is left anywhere.
func Inspect(r io.ReadSeeker, size int64, limits Limits) (Info, error) {
	return inspect(&source{ReadSeeker: r}, size, limits)
}

func inspect(r *source, size int64, limits Limits) (Info, error) {
	if size > limits.Bytes {
		return Info{}, fault.New(fault.TooLarge, codeTooLarge,
			fmt.Sprintf("The photo has %.1f MB; at most %.1f MB are taken.", megabytes(size), megabytes(limits.Bytes)))
	}
	contentType, err := sniff(r)
	if err != nil {
		return Info{}, err
	}
	var head header
	switch contentType {
	case JPEG:
		head, err = readJPEGHeader(r)
	case PNG:
		head, err = readPNGHeader(r, size)
	case WebP:
		head, err = readWebPHeader(r, size)
	case HEIC, AVIF:
		head, err = readHEIFHeader(r, size)
	}
	if err != nil {
		return Info{}, broken(err)
	}
	pixels := int64(head.width) * int64(head.height)
	info := Info{
		ContentType: contentType, Width: head.width, Height: head.height,
		MemoryBytes: head.cost.peak(), cost: head.cost, profile: head.profile, inputs: head.inputs,
	}
	switch {
	case pixels == 0:
		return Info{}, errBroken.Wrap(errors.New("no pixels"))
	case pixels > limits.Pixels:
		return Info{}, errTooManyPixels(pixels, limits.Pixels)
	case info.MemoryBytes > limits.MemoryBytes, info.cost.work > maxPasses*limits.Pixels:
		return Info{}, fault.New(fault.TooLarge, codeTooManyPixels,
			fmt.Sprintf("The photo's %.1f megapixels are too many for the way it is saved; a smaller one or an ordinary JPEG is taken.",
				float64(pixels)/1e6))
	}
	return info, nil
}

func errTooManyPixels(pixels, limit int64) error {
	return fault.New(fault.TooLarge, codeTooManyPixels,
		fmt.Sprintf("The photo has %.1f megapixels; at most %.1f are taken.", float64(pixels)/1e6, float64(limit)/1e6))
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }

// header is what a format's reader finds.
type header struct {
	width, height int
	cost          cost
	profile       []byte
	inputs        int
}

// sniff tells the format by the first bytes, never by a name or a declared type,
// and rewinds.
func sniff(r *source) (string, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	head := make([]byte, 12)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	head = head[:n]
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		return JPEG, nil
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		return PNG, nil
	case n == 12 && string(head[:4]) == "RIFF" && string(head[8:]) == "WEBP":
		return WebP, nil
	case n == 12 && string(head[4:8]) == "ftyp":
		return sniffHEIF(r, head)
	}
	return "", errFormat
}

// broken turns an error of a decoder into the fault photo_broken. Faults and
// what is no fault of the file pass.
func broken(err error) error {
	var known *fault.Error
	var failed *readError
	if err == nil || errors.As(err, &known) || errors.As(err, &failed) {
		return err
	}
	return errBroken.Wrap(err)
}

// readError is a failure to read, to be told from a file that ends early.
type readError struct{ cause error }

func (e *readError) Error() string { return "read the photo: " + e.cause.Error() }
func (e *readError) Unwrap() error { return e.cause }

// source reads a photo and marks what is not the photo's fault: a disk that
// fails, a context that is done.
type source struct {
	io.ReadSeeker
	// done is nil or reports why reading has to stop.
	done func() error
	// failed is the last failure to read, for callers of what drops errors.
	failed error
}

func (s *source) Read(p []byte) (int, error) {
	var n int
	var err error
	if s.done != nil {
		err = s.done()
	}
	if err == nil {
		n, err = s.ReadSeeker.Read(p)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = &readError{err}
		return n, s.failed
	}
	return n, err
}

func (s *source) Seek(offset int64, whence int) (int64, error) {
	n, err := s.ReadSeeker.Seek(offset, whence)
	if err != nil {
		err = &readError{err}
	}
	return n, err
}
