// Package importer takes landmarks in from GeoJSON (RFC 7946) and CSV (RFC 4180)
// files: streaming, in batches, with a report of what it could not take. A
// second run of the same file changes nothing.
package importer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"
)

// Format says how a file is written.
type Format string

// The formats; Auto looks at the file.
const (
	Auto    Format = "auto"
	GeoJSON Format = "geojson"
	CSV     Format = "csv"
	TSV     Format = "tsv"
)

// SourceOptions say how a file is to be read.
type SourceOptions struct {
	Format  Format
	Mapping Mapping
	// Columns names the columns of a CSV file that has no header.
	Columns []string
	// Encoding is the name of the file's encoding (WHATWG); UTF-8 when it is empty.
	Encoding string
	// Polygons takes the middle of a polygon's box for a landmark's place, where
	// it is otherwise rejected.
	Polygons bool
}

// Source is a file of landmarks. Next returns its rows one after the other.
type Source struct {
	// Size is the file's in bytes, 0 when it is not known.
	Size int64
	next func() (Row, *Rejected, error)
	file io.Closer
	read *counter
}

// Open opens a file, or standard input for "-". Files that gzip made are
// unpacked while they are read.
func Open(path string, opts SourceOptions) (*Source, error) {
	file := os.Stdin
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, err
		}
	}
	s := &Source{file: file, read: &counter{from: file}}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		s.Size = info.Size()
	}
	if err := s.start(path, opts); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

const sniffBytes = 4096

func (s *Source) start(path string, opts SourceOptions) error {
	buffered := bufio.NewReaderSize(s.read, 1<<16)
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", path, err)
		}
		buffered = bufio.NewReaderSize(unpacked, 1<<16)
		path = strings.TrimSuffix(path, ".gz")
	}
	if opts.Encoding != "" {
		encoding, err := htmlindex.Get(opts.Encoding)
		if err != nil {
			return fmt.Errorf("encoding %q is not known", opts.Encoding)
		}
		buffered = bufio.NewReaderSize(transform.NewReader(buffered, encoding.NewDecoder()), 1<<16)
	}
	if mark, _ := buffered.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		if _, err := buffered.Discard(len(mark)); err != nil {
			return err
		}
	}
	head, err := buffered.Peek(sniffBytes)
	if len(head) == 0 {
		if err == nil || errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return err
	}
	format := opts.Format
	if format == Auto || format == "" {
		format = sniff(path, head)
	}
	if format == GeoJSON {
		s.next = newGeoJSON(buffered, opts).next
		return nil
	}
	rows, err := newCSV(buffered, head, format, opts)
	if err != nil {
		return err
	}
	s.next = rows.next
	return nil
}

func sniff(path string, head []byte) Format {
	trimmed := bytes.TrimLeft(head, " \t\r\n\x1e")
	switch extension := strings.ToLower(filepath.Ext(path)); {
	case bytes.HasPrefix(trimmed, []byte("{")):
		return GeoJSON
	case extension == ".tsv" || extension == ".tab":
		return TSV
	default:
		return CSV
	}
}

// Next returns the next row, or one that can't be taken, or io.EOF at the end.
// Another error means that the file can't be read any further.
func (s *Source) Next() (Row, *Rejected, error) { return s.next() }

// BytesRead returns how many bytes of the file were read.
func (s *Source) BytesRead() int64 { return s.read.n }

// Close closes the file.
func (s *Source) Close() error { return s.file.Close() }

type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}
