package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// geoJSON reads the features of one or more documents (RFC 7946), one at a time:
// a FeatureCollection, a Feature, or a sequence of features (RFC 8142).
type geoJSON struct {
	decoder *json.Decoder
	lines   *lineCounter
	inside  bool // of a features array
}

func isGeoJSON(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n\x1e"), []byte("{"))
}

func newGeoJSON(in input) (reader, error) {
	lines := &lineCounter{from: in}
	g := &geoJSON{decoder: json.NewDecoder(lines), lines: lines}
	g.decoder.UseNumber()
	return g, nil
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

func (g *geoJSON) next() (Record, error) {
	for !g.inside || !g.decoder.More() {
		if g.inside {
			if err := g.leave(); err != nil {
				return Record{}, g.broken(err)
			}
			continue
		}
		token, err := g.decoder.Token()
		if errors.Is(err, io.EOF) {
			return Record{}, io.EOF
		}
		var single *feature
		if err == nil {
			single, err = g.enter(token)
		}
		if err != nil {
			return Record{}, g.broken(err)
		}
		if single != nil {
			return single.record(g.lines.at(g.decoder.InputOffset())), nil
		}
	}
	var f feature
	if err := g.decoder.Decode(&f); err != nil {
		var wrong *json.UnmarshalTypeError
		if !errors.As(err, &wrong) {
			return Record{}, g.broken(err)
		}
		return Record{Line: g.lines.at(g.decoder.InputOffset()), Faults: []string{"it is not a feature: " + wrong.Field + " is a " + wrong.Value}}, nil
	}
	return f.record(g.lines.at(g.decoder.InputOffset())), nil
}

func (g *geoJSON) broken(err error) error {
	return fmt.Errorf("the JSON is malformed near line %d: %w", g.lines.at(g.decoder.InputOffset()), err)
}

// enter goes into the features of the document that begins with token, or
// returns the document when it is a feature itself.
func (g *geoJSON) enter(token json.Token) (*feature, error) {
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
func (g *geoJSON) leave() error {
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

func (f *feature) record(line int) Record {
	r := Record{Line: line, ID: text(f.ID), Fields: map[string]string{}, Geometry: &Geometry{}}
	for name, raw := range f.Properties {
		r.Fields[strings.ToLower(name)] = text(raw)
	}
	if f.Geometry != nil {
		r.Geometry.Type = f.Geometry.Type
		if !r.Geometry.read(f.Geometry.Coordinates) {
			r.Faults = append(r.Faults, "the "+f.Geometry.Type+"'s coordinates are malformed")
		}
	}
	return r
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
