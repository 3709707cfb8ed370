// Package source reads the files that places come in. Each format has a reader
// of its own, and every reader streams records of one type, so that what takes
// records does not know the format.
package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Record is one place as its file has it, before its columns get a meaning.
type Record struct {
	// Line is where the record begins in the file, from 1.
	Line int
	// ID is the identifier that the format itself provides for; empty if the
	// record has none.
	ID string
	// Fields has the record's columns or properties by their lower-cased names. An
	// empty or null value is an empty string: the column exists and says nothing.
	Fields map[string]string
	// Geometry is nil where the position is among the fields.
	Geometry *Geometry
	// Faults says why the record can't be taken; its other members may be unset.
	Faults []string
}

// Options say how a file is read.
type Options struct {
	Format Format
	// Columns names the columns of a CSV or TSV file that has no header.
	Columns []string
	// Encoding is the name of the file's encoding (WHATWG). If it is empty, a byte
	// order mark decides, and UTF-8 is assumed without one.
	Encoding string
}

// reader is what each format implements. next returns io.EOF after the last
// record; another error means that the rest of the file can't be read.
type reader interface {
	next() (Record, error)
}

// Format is the name of a file format.
type Format string

// The formats. Auto decides by content first, then by the file's extension.
const (
	Auto    Format = "auto"
	GeoJSON Format = "geojson"
	CSV     Format = "csv"
	TSV     Format = "tsv"
)

// format is an entry of the registry.
type format struct {
	name Format
	// extensions are lower case, with their dot.
	extensions []string
	// matches reports whether a file that begins with head is of the format. It is
	// nil if content does not tell.
	matches func(head []byte) bool
	open    func(in input) (reader, error)
}

// input is what a reader starts from: text in UTF-8, unpacked.
type input struct {
	*bufio.Reader
	// head is the beginning of the text.
	head []byte
	opts Options
}

// formats is the registry, in the order in which content is asked.
var formats = []format{
	{GeoJSON, []string{".geojson", ".json", ".geojsons", ".geojsonl"}, isGeoJSON, newGeoJSON},
	{TSV, []string{".tsv", ".tab"}, nil, newTSV},
	{CSV, []string{".csv", ".txt"}, nil, newCSV},
}

// Formats are the names of all formats.
func Formats() []Format {
	names := []Format{Auto}
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// find returns the format of a file.
func find(name Format, path string, head []byte) (format, error) {
	if name != Auto && name != "" {
		i := slices.IndexFunc(formats, func(f format) bool { return f.name == name })
		if i < 0 {
			return format{}, fmt.Errorf("format %q is unknown; it is one of %v", name, Formats())
		}
		return formats[i], nil
	}
	for _, f := range formats {
		if f.matches != nil && f.matches(head) {
			return f, nil
		}
	}
	extension := strings.ToLower(filepath.Ext(path))
	for _, f := range formats {
		if f.matches == nil && slices.Contains(f.extensions, extension) {
			return f, nil
		}
	}
	return formats[len(formats)-1], nil
}

// File is an open file of records.
type File struct {
	// Size is the file's in bytes, 0 if it is unknown.
	Size int64
	// Format is the one that was found.
	Format Format
	reader reader
	file   io.Closer
	read   *counter
}

// sniffBytes is how much of a file is looked at to find its format.
const sniffBytes = 64 << 10

// Open opens a file, or standard input for "-". A file that gzip packed is
// unpacked while it is read.
func Open(path string, opts Options) (*File, error) {
	file := os.Stdin
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, err
		}
	}
	f := &File{file: file, read: &counter{from: file}}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		f.Size = info.Size()
	}
	if err := f.start(path, opts); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, nil
}

func (f *File) start(path string, opts Options) error {
	unpacked, path, err := unpack(f.read, path)
	if err != nil {
		return err
	}
	text, err := decode(unpacked, opts.Encoding)
	if err != nil {
		return err
	}
	buffered := bufio.NewReaderSize(text, sniffBytes)
	head, err := buffered.Peek(sniffBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if len(bytes.TrimSpace(head)) == 0 {
		return errors.New("the file is empty")
	}
	format, err := find(opts.Format, path, head)
	if err != nil {
		return err
	}
	f.Format = format.name
	f.reader, err = format.open(input{Reader: buffered, head: head, opts: opts})
	return err
}

// Next returns the next record, or io.EOF after the last one. Another error
// means that the rest of the file can't be read.
func (f *File) Next() (Record, error) { return f.reader.next() }

// BytesRead returns how many bytes of the file were read.
func (f *File) BytesRead() int64 { return f.read.n }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}
