package importer

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/importer/source"
)

// SourceOptions say how a file is read and what its columns mean.
type SourceOptions struct {
	source.Options
	Mapping Mapping
	// Polygons takes the middle of a polygon's box for a landmark's place, where
	// it is otherwise rejected.
	Polygons bool
}

// Source is a file of landmarks. Next returns its rows one after the other.
type Source struct {
	*source.File
	opts SourceOptions
	// ahead are records that were read to look at their columns, and aheadErr is what
	// came after them.
	ahead    []source.Record
	aheadErr error
	// unseen are the columns that the options name and no record had until now.
	unseen map[string]string
}

// Open opens a file of any format of package source, or standard input for "-". It
// fails if the file's columns can't be told: no name, no position, or none of a
// name that the options give.
func Open(path string, opts SourceOptions) (*Source, error) {
	file, err := source.Open(path, opts.Options)
	if err != nil {
		return nil, err
	}
	return newSource(file, opts)
}

// New is [Open] for an open file, whose name tells the format where its content does
// not. Closing the result leaves from open.
func New(name string, from io.Reader, opts SourceOptions) (*Source, error) {
	file, err := source.New(name, from, opts.Options)
	if err != nil {
		return nil, err
	}
	return newSource(file, opts)
}

func newSource(file *source.File, opts SourceOptions) (*Source, error) {
	s := &Source{File: file, opts: opts, unseen: opts.Mapping.named()}
	if err := s.checkColumns(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

// Next returns the next row, or one that can't be taken, or io.EOF at the end.
// Another error means that the file can't be read any further.
func (s *Source) Next() (Row, *Rejected, error) {
	record, err := s.record()
	if err != nil {
		return Row{}, nil, err
	}
	row, reasons := s.opts.row(record)
	if len(reasons) > 0 {
		return Row{}, &Rejected{Line: record.Line, Name: strings.ToValidUTF8(row.Name, "?"), Reasons: reasons}, nil
	}
	return row, nil, nil
}

// record returns the next record. At the end it is an error if a column that the
// options name was in none.
func (s *Source) record() (source.Record, error) {
	if len(s.ahead) > 0 {
		record := s.ahead[0]
		s.ahead = s.ahead[1:]
		return record, nil
	}
	if s.aheadErr != nil {
		return source.Record{}, s.aheadErr
	}
	record, err := s.File.Next()
	for column := range s.unseen {
		_, isText := record.Fields[column]
		if _, isList := record.Lists[column]; isText || isList {
			delete(s.unseen, column)
		}
	}
	if errors.Is(err, io.EOF) && len(s.unseen) > 0 {
		s.aheadErr = s.missing(nil)
		return source.Record{}, s.aheadErr
	}
	return record, err
}

// place is where a record lies, or why it can't be told.
func (o SourceOptions) place(r source.Record) (geo.Point, []string) {
	if r.Geometry == nil {
		return o.Mapping.place(r)
	}
	switch kind := r.Geometry.Type; kind {
	case "":
		return geo.Point{}, []string{"it has no geometry"}
	case "Point":
		return point(r.Geometry.Position())
	case "Polygon", "MultiPolygon":
		if !o.Polygons {
			return geo.Point{}, []string{fmt.Sprintf("it is a %s; only points become landmarks, unless --polygons says otherwise", kind)}
		}
		return point(r.Geometry.Middle())
	default:
		return geo.Point{}, []string{fmt.Sprintf("it is a %s; only points become landmarks", kind)}
	}
}
