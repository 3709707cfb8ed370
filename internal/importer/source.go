package importer

import (
	"fmt"
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
}

// Open opens a file of any format of package source, or standard input for "-".
func Open(path string, opts SourceOptions) (*Source, error) {
	file, err := source.Open(path, opts.Options)
	if err != nil {
		return nil, err
	}
	return &Source{File: file, opts: opts}, nil
}

// Next returns the next row, or one that can't be taken, or io.EOF at the end.
// Another error means that the file can't be read any further.
func (s *Source) Next() (Row, *Rejected, error) {
	record, err := s.File.Next()
	if err != nil {
		return Row{}, nil, err
	}
	row, reasons := s.opts.row(record)
	if len(reasons) > 0 {
		return Row{}, &Rejected{Line: record.Line, Name: strings.ToValidUTF8(row.Name, "?"), Reasons: reasons}, nil
	}
	return row, nil, nil
}

// place is where a record lies, or why it can't be told.
func (o SourceOptions) place(r source.Record) (geo.Point, []string) {
	if r.Geometry == nil {
		return o.Mapping.place(r.Fields)
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
