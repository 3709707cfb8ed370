// Package source reads the files that places come in. Each format has a reader
// of its own, and every reader streams records of one type, so that what takes
// records does not know the format. Memory is bounded by the largest record, and
// a record by [maxRecordBytes].
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
	// Objects within objects are joined by dots, as in "names.zh"; other arrays than those in Lists are left out.
	Fields map[string]string
	// Lists has the arrays of text among them, by their lower-cased names.
	Lists map[string][]string
	// DecimalComma tells that a comma within a number can be nothing but a decimal
	// separator.
	DecimalComma bool
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
	// order mark or an XML declaration decides, and UTF-8 is assumed without one.
	Encoding string
	// Entry is the path of the file to read within a zip archive. If it is empty,
	// the archive has to have a single one that can be read.
	Entry string
	// MaxBytes is how large a file may be when it is unpacked; 0 is without limit.
	MaxBytes int64
}

// maxRecordBytes bounds a record: a row, a feature, a text of an XML element.
const maxRecordBytes = 8 << 20

var errTooLarge = fmt.Errorf("it is larger than %d MiB", maxRecordBytes>>20)

// reader is what each format implements. next returns io.EOF after the last
// record; another error means that the rest of the file can't be read.
type reader interface {
	next() (Record, error)
}

// Format is the name of a file format.
type Format string

// The formats. Auto decides by content first, then by the file's extension.
const (
	Auto       Format = "auto"
	GeoJSON    Format = "geojson"
	GeoJSONSeq Format = "geojsonseq"
	JSON       Format = "json"
	Overpass   Format = "overpass"
	GPX        Format = "gpx"
	KML        Format = "kml"
	CSV        Format = "csv"
	TSV        Format = "tsv"
)

// format is an entry of the registry.
type format struct {
	name Format
	// extensions are lower case, with their dot. They decide about formats whose
	// content does not tell.
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
	// isDecoded tells that the text's own word on its encoding does not count.
	isDecoded bool
	opts      Options
}

// formats is the registry, in the order in which content is asked. The last one
// is tried on text that no other claims.
var formats = []format{
	{GeoJSONSeq, []string{".geojsonseq", ".geojsonl", ".geojsons", ".ndjson", ".jsonl"}, isJSONSeq, newJSONSeq},
	{Overpass, nil, isOverpass, newJSON},
	{GeoJSON, nil, isJSONObject, newJSON},
	{JSON, nil, isJSONArray, newJSON},
	{GPX, nil, func(head []byte) bool { return rootElement(head) == "gpx" }, newGPX},
	{KML, nil, func(head []byte) bool { return rootElement(head) == "kml" }, newKML},
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
	extension := strings.ToLower(filepath.Ext(path))
	isNamed := func(f format) bool { return slices.Contains(f.extensions, extension) }
	for _, f := range formats {
		if f.matches != nil && f.matches(head) {
			return f, nil
		}
	}
	if err := unreadableText(head); err != nil {
		return format{}, err
	}
	if i := slices.IndexFunc(formats, isNamed); i >= 0 {
		return formats[i], nil
	}
	return formats[len(formats)-1], nil
}

// File is an open file of records.
type File struct {
	// Size is the file's in bytes, 0 if it is unknown.
	Size int64
	// Format is the one that was found.
	Format Format
	// Name is the file's without its folder and what packed it. For a file within
	// an archive it is the archive's.
	Name   string
	reader reader
	// close closes the file and removes what was unpacked to disk.
	close []func() error
	read  counter
}

// sniffBytes is how much of a file is looked at to find its format.
const sniffBytes = 256 << 10

// Open opens a file, or standard input for "-". A file that gzip or zip packed
// is unpacked while it is read.
func Open(path string, opts Options) (*File, error) {
	if path == "-" {
		return New("stdin", os.Stdin, opts)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := New(path, file, opts)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f.close = append(f.close, file.Close)
	return f, nil
}

// New reads a file from an open one, whose name tells the format where content
// does not. Closing the result leaves from open.
func New(name string, from io.Reader, opts Options) (*File, error) {
	f := &File{}
	if file, ok := from.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			f.Size = info.Size()
		}
	}
	if err := f.start(name, from, opts); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *File) start(name string, from io.Reader, opts Options) error {
	unpacked, path, err := f.unpack(from, name, opts)
	if err != nil {
		return err
	}
	f.Name = filepath.Base(trimPacker(name))
	if opts.MaxBytes > 0 {
		unpacked = &limited{from: unpacked, left: opts.MaxBytes, err: fmt.Errorf("the file unpacks to more than %d bytes", opts.MaxBytes)}
	}
	text, isDecoded, err := decode(unpacked, opts.Encoding)
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
	if err := unreadableBinary(head); err != nil {
		return err
	}
	format, err := find(opts.Format, path, head)
	if err != nil {
		return err
	}
	f.Format = format.name
	f.reader, err = format.open(input{Reader: buffered, head: head, isDecoded: isDecoded, opts: opts})
	return err
}

// Next returns the next record, or io.EOF after the last one. Another error
// means that the rest of the file can't be read.
func (f *File) Next() (Record, error) { return f.reader.next() }

// Columns are the names in the header of a table, nil for other formats.
func (f *File) Columns() []string {
	if t, ok := f.reader.(*table); ok {
		return t.columns
	}
	return nil
}

// BytesRead returns how many bytes of the file were read.
func (f *File) BytesRead() int64 { return f.read.n }

// Close closes the file.
func (f *File) Close() error {
	var errs []error
	for _, closer := range f.close {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}
