package importer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/picaspot/picaspot/internal/geo"
)

// geoJSONRows reads the features of one or more documents, one at a time: a
// FeatureCollection, a Feature, or a sequence of features (RFC 8142).
type geoJSONRows struct {
	decoder *json.Decoder
	lines   *lineCounter
	mapping Mapping
	// polygons says whether polygons become landmarks.
	polygons bool
	inside   bool // of a features array
}

func newGeoJSON(from *bufio.Reader, opts SourceOptions) *geoJSONRows {
	lines := &lineCounter{from: from}
	g := &geoJSONRows{decoder: json.NewDecoder(lines), lines: lines, mapping: opts.Mapping, polygons: opts.Polygons}
	g.decoder.UseNumber()
	return g
}

type feature struct {
	Type       string                     `json:"type"`
	ID         json.RawMessage            `json:"id"`
	Geometry   *geometry                  `json:"geometry"`
	Properties map[string]json.RawMessage `json:"properties"`
}

type geometry struct {
	Type        string          `json:"type"`
	Coordinates json.RawMessage `json:"coordinates"`
}

func (g *geoJSONRows) next() (Row, *Rejected, error) {
	for !g.inside || !g.decoder.More() {
		if g.inside {
			if err := g.leave(); err != nil {
				return Row{}, nil, g.broken(err)
			}
			continue
		}
		token, err := g.decoder.Token()
		if errors.Is(err, io.EOF) {
			return Row{}, nil, io.EOF
		}
		var single *feature
		if err == nil {
			single, err = g.enter(token)
		}
		if err != nil {
			return Row{}, nil, g.broken(err)
		}
		if single != nil {
			row, rejected := g.convert(single, g.lines.at(g.decoder.InputOffset()))
			return row, rejected, nil
		}
	}
	var f feature
	if err := g.decoder.Decode(&f); err != nil {
		var wrong *json.UnmarshalTypeError
		if !errors.As(err, &wrong) {
			return Row{}, nil, g.broken(err)
		}
		return Row{}, &Rejected{Line: g.lines.at(g.decoder.InputOffset()), Reasons: []string{"it is not a feature: " + wrong.Field + " is a " + wrong.Value}}, nil
	}
	row, rejected := g.convert(&f, g.lines.at(g.decoder.InputOffset()))
	return row, rejected, nil
}

func (g *geoJSONRows) broken(err error) error {
	return fmt.Errorf("the JSON is malformed near line %d: %w", g.lines.at(g.decoder.InputOffset()), err)
}

// enter goes into the features of the document that begins with token, or
// returns the document when it is a feature itself.
func (g *geoJSONRows) enter(token json.Token) (*feature, error) {
	if token != json.Delim('{') {
		return nil, errors.New("a GeoJSON object is expected")
	}
	members := map[string]json.RawMessage{}
	for g.decoder.More() {
		key, err := g.decoder.Token()
		if err != nil {
			return nil, err
		}
		if key == "features" {
			if token, err = g.decoder.Token(); err != nil {
				return nil, err
			}
			if token != json.Delim('[') {
				return nil, errors.New("features is not an array")
			}
			g.inside = true
			return nil, nil //nolint:nilnil // Into a collection: there is no single feature.
		}
		var value json.RawMessage
		if err := g.decoder.Decode(&value); err != nil {
			return nil, err
		}
		name, _ := key.(string)
		members[name] = value
	}
	if _, err := g.decoder.Token(); err != nil {
		return nil, err
	}
	whole, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	single := &feature{}
	if err := json.Unmarshal(whole, single); err != nil || single.Type != "Feature" {
		return nil, errors.New("a FeatureCollection or a Feature is expected")
	}
	return single, nil
}

// leave reads to the end of a document whose features were read.
func (g *geoJSONRows) leave() error {
	g.inside = false
	if _, err := g.decoder.Token(); err != nil { // ]
		return err
	}
	for g.decoder.More() {
		if _, err := g.decoder.Token(); err != nil {
			return err
		}
		var skipped json.RawMessage
		if err := g.decoder.Decode(&skipped); err != nil {
			return err
		}
	}
	_, err := g.decoder.Token() // }
	return err
}

func (g *geoJSONRows) convert(f *feature, line int) (Row, *Rejected) {
	values := fields{}
	for name, raw := range f.Properties {
		values[strings.ToLower(name)] = text(raw)
	}
	at, reasons := g.place(f.Geometry)
	row, reasons := g.mapping.row(line, values, text(f.ID), &at, reasons)
	if len(reasons) > 0 {
		return Row{}, &Rejected{Line: line, Name: strings.ToValidUTF8(row.Name, "?"), Reasons: reasons}
	}
	return row, nil
}

// text is a scalar as text; objects, arrays and null are none.
func text(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || string(raw) == "null" {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func (g *geoJSONRows) place(where *geometry) (geo.Point, []string) {
	if where == nil {
		return geo.Point{}, []string{"it has no geometry"}
	}
	switch where.Type {
	case "Point":
		var position []float64
		if err := json.Unmarshal(where.Coordinates, &position); err != nil || len(position) < 2 {
			return geo.Point{}, []string{"the point's coordinates are malformed"}
		}
		return point(position[1], position[0])
	case "Polygon", "MultiPolygon":
		if !g.polygons {
			return geo.Point{}, []string{"it is a " + where.Type + "; only points become landmarks, unless --polygons says otherwise"}
		}
		return middle(where.Coordinates)
	default:
		return geo.Point{}, []string{"it is a " + where.Type + "; only points become landmarks"}
	}
}

// middle is the middle of a polygon's box.
func middle(coordinates json.RawMessage) (geo.Point, []string) {
	west, south, east, north := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	var numbers func(value any) bool
	numbers = func(value any) bool {
		list, ok := value.([]any)
		if !ok || len(list) == 0 {
			return false
		}
		if longitude, ok := list[0].(float64); ok {
			if len(list) < 2 {
				return false
			}
			latitude, ok := list[1].(float64)
			west, east = min(west, longitude), max(east, longitude)
			south, north = min(south, latitude), max(north, latitude)
			return ok
		}
		for _, inner := range list {
			if !numbers(inner) {
				return false
			}
		}
		return true
	}
	var value any
	if err := json.Unmarshal(coordinates, &value); err != nil || !numbers(value) {
		return geo.Point{}, []string{"the polygon's coordinates are malformed"}
	}
	return point((south+north)/2, (west+east)/2)
}

// lineCounter tells in which line an offset lies. Offsets are asked in rising
// order, and what lies before the last one is forgotten.
type lineCounter struct {
	from     io.Reader
	read     int64
	newlines []int64
	passed   int
}

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	for i, c := range p[:n] {
		switch c {
		case '\n':
			l.newlines = append(l.newlines, l.read+int64(i))
		case '\x1e': // The separator of RFC 8142 is white space to us.
			p[i] = ' '
		}
	}
	l.read += int64(n)
	return n, err
}

func (l *lineCounter) at(offset int64) int {
	n := 0
	for n < len(l.newlines) && l.newlines[n] < offset {
		n++
	}
	l.passed += n
	l.newlines = append(l.newlines[:0], l.newlines[n:]...)
	return l.passed + 1
}
