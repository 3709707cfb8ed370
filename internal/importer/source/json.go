package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonDocuments reads the places of one or more JSON documents, one at a time.
// A document is a FeatureCollection or a Feature (RFC 7946), the answer of
// Overpass, an array of features or other objects, or such an object.
type jsonDocuments struct {
	decoder *jsontext.Decoder
	limit   *limited
	lines   *lineCounter
	// document has the members of the object at the top that is being read, apart
	// from the array of its places.
	document *object
	// list is what the array that is being read holds, empty outside of it.
	list listKind
}

type listKind string

const (
	noList   listKind = ""
	anyList  listKind = "array"
	features listKind = "features"
	elements listKind = "elements"
)

// jsonOptions take what encoding/json takes. Text that is not UTF-8 is a fault of
// its record.
var jsonOptions = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

func newJSON(in input) (reader, error) {
	j := &jsonDocuments{lines: &lineCounter{from: in}}
	j.limit = &limited{from: j.lines, left: maxRecordBytes, err: errTooLarge}
	j.decoder = jsontext.NewDecoder(j.limit, jsonOptions...)
	return j, nil
}

func isJSONObject(head []byte) bool { return startsWith(head, '{', `"}`) }

func isJSONArray(head []byte) bool { return startsWith(head, '[', `{]`) }

// startsWith reports whether a text starts with a byte and then one of others,
// white space aside.
func startsWith(head []byte, first byte, then string) bool {
	head = trimLeft(head)
	if len(head) == 0 || head[0] != first {
		return false
	}
	head = trimLeft(head[1:])
	return len(head) == 0 || strings.IndexByte(then, head[0]) >= 0
}

// trimLeft cuts white space off.
func trimLeft(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }

func (j *jsonDocuments) next() (Record, error) {
	for {
		record, err := j.step()
		switch {
		case errors.Is(err, io.EOF):
			return Record{}, io.EOF
		case errors.Is(err, io.ErrUnexpectedEOF):
			return Record{}, fmt.Errorf("the JSON is malformed near line %d: it ends before its brackets are closed, so the file is incomplete", j.line())
		case err != nil:
			return Record{}, fmt.Errorf("the JSON is malformed near line %d: %w", j.line(), err)
		case record != nil:
			return *record, nil
		}
	}
}

func (j *jsonDocuments) line() int { return j.lines.at(j.decoder.InputOffset()) }

// step reads a token or a record. It returns nil if there is no record yet.
func (j *jsonDocuments) step() (*Record, error) {
	j.limit.left = maxRecordBytes
	kind := j.decoder.PeekKind()
	switch {
	case j.list != noList && kind == ']':
		j.list = noList
		return nil, j.skipToken()
	case j.list != noList:
		return j.element()
	case j.document != nil && kind == '}':
		document := j.document
		j.document = nil
		if err := j.skipToken(); err != nil {
			return nil, err
		}
		return document.end()
	case j.document != nil:
		return nil, j.member()
	case kind == '{':
		err := j.skipToken()
		j.document = newObject(j.line())
		return nil, err
	case kind == '[':
		j.list = anyList
		return nil, j.skipToken()
	default:
		if err := j.skipToken(); err != nil {
			return nil, err
		}
		return nil, errors.New("an object or an array is expected")
	}
}

func (j *jsonDocuments) skipToken() error {
	_, err := j.decoder.ReadToken()
	return err
}

// member reads a member of the document, or goes into the array of its places.
func (j *jsonDocuments) member() error {
	token, err := j.decoder.ReadToken()
	if err != nil {
		return err
	}
	name := token.String()
	if list := listKind(name); list == features || list == elements {
		if kind := j.decoder.PeekKind(); kind != '[' {
			if err := j.skipToken(); err != nil {
				return err
			}
			return fmt.Errorf("%q is not an array", name)
		}
		j.list, j.document.list = list, list
		return j.skipToken()
	}
	j.limit.left = maxRecordBytes
	value, err := j.decoder.ReadValue()
	if errors.Is(err, errTooLarge) {
		j.document.faults = append(j.document.faults, fmt.Sprintf("of %q %v", name, err))
		return j.skipValue()
	}
	if err != nil {
		return err
	}
	return j.document.add(name, value)
}

// element reads a place of the array.
func (j *jsonDocuments) element() (*Record, error) {
	value, err := j.decoder.ReadValue()
	if errors.Is(err, errTooLarge) {
		unread := j.decoder.UnreadBuffer()
		begins := len(unread) - len(bytes.TrimLeft(unread, " \t\r\n,"))
		line := j.lines.at(j.decoder.InputOffset() + int64(begins))
		return &Record{Line: line, Faults: []string{errTooLarge.Error()}}, j.skipValue()
	}
	if err != nil {
		return nil, err
	}
	line := j.lines.at(j.decoder.InputOffset() - int64(len(value)))
	if j.list == elements {
		return overpassElement(value, line), nil
	}
	return parseObject(value, line)
}

// skipValue skips a value token by token, each of which is bounded.
func (j *jsonDocuments) skipValue() error {
	for depth := j.decoder.StackDepth(); ; {
		j.limit.left = maxRecordBytes
		if err := j.skipToken(); err != nil {
			return err
		}
		if j.decoder.StackDepth() == depth {
			return nil
		}
	}
}

// object is a JSON object while it is read as a record.
type object struct {
	line int
	kind string
	id   string
	// list is the array of places that the object is the frame of.
	list listKind
	// fields and properties are the members, and those of the member "properties".
	fields, properties map[string]string
	lists              map[string][]string
	// geometry is the member of that name, and other the likeliest of the rest.
	geometry, other *Geometry
	// hasCoordinates tells that the object may be a geometry itself.
	hasCoordinates bool
	remark         string
	faults         []string
	size           int
	// foreign says which format the object is of that is not read.
	foreign error
}

func newObject(line int) *object {
	return &object{line: line, fields: map[string]string{}, properties: map[string]string{}}
}

// parseObject makes a record of an object in an array or on a line of its own. An
// error ends the file.
func parseObject(value jsontext.Value, line int) (*Record, error) {
	if value.Kind() != '{' {
		return &Record{Line: line, Faults: []string{"it is not an object"}}, nil
	}
	o := newObject(line)
	if err := members(value, o.add); err != nil {
		return nil, err
	}
	return o.end()
}

var errTopoJSON = errors.New("this is TopoJSON, which is not read; convert it, for example with: ogr2ogr -f GeoJSON places.geojson places.topojson")

// add takes a member in.
func (o *object) add(name string, value jsontext.Value) error {
	if o.size += len(name) + len(value); o.size > maxRecordBytes {
		o.faults = []string{errTooLarge.Error()}
		return nil
	}
	if !utf8.Valid(value) {
		o.faults = append(o.faults, strings.ToValidUTF8(name, "?")+" is not UTF-8; --encoding may help")
	}
	switch name {
	case "type":
		o.kind = text(value)
	case "id":
		o.id = text(value)
	case "crs":
		if err := checkCRS(value); err != nil {
			o.faults = append(o.faults, err.Error())
			if o.list != noList || o.kind == "FeatureCollection" {
				return err
			}
		}
	case "remark":
		o.remark = text(value)
	case "coordinates":
		o.hasCoordinates = value.Kind() == '['
	case "geometry":
		o.geometry = &Geometry{}
		if value.Kind() != 'n' {
			if o.geometry = parseGeometry(value); o.geometry == nil {
				o.geometry = &Geometry{fault: "the geometry is malformed"}
			}
			return nil
		}
	case "properties":
		if value.Kind() == '{' {
			return members(value, func(name string, value jsontext.Value) error { return o.flatten(o.properties, name, value, 1) })
		}
	case "attributes":
		if value.Kind() == '{' {
			o.foreign = errors.New("this is Esri JSON, which is not read; ask the service for f=geojson")
		}
	case "arcs":
		if value.Kind() == '[' {
			o.foreign = errTopoJSON
		}
	}
	return o.flatten(o.fields, name, value, 1)
}

// maxNesting is how deep objects within objects become fields.
const maxNesting = 4

// flatten takes a value into fields, the objects within it too.
func (o *object) flatten(fields map[string]string, name string, value jsontext.Value, depth int) error {
	switch value.Kind() {
	case '[':
		if list := textList(value); list != nil {
			if o.lists == nil {
				o.lists = map[string][]string{}
			}
			o.lists[strings.ToLower(name)] = list
		}
		return nil
	case '{':
		if g := parseGeometry(value); g != nil {
			if o.other == nil || o.other.Type != "Point" && g.Type == "Point" {
				o.other = g
			}
			return nil
		}
		if depth == maxNesting {
			return nil
		}
		return members(value, func(inner string, value jsontext.Value) error {
			return o.flatten(fields, name+"."+inner, value, depth+1)
		})
	default:
		fields[strings.ToLower(name)] = text(value)
		return nil
	}
}

// end returns the record of an object that was read to its end, or nil if it is
// the frame of an array. An error ends the file.
func (o *object) end() (*Record, error) {
	r := &Record{Line: o.line, ID: o.id, Fields: o.fields, Lists: o.lists, DecimalComma: true, Geometry: o.geometry, Faults: o.faults}
	switch {
	case o.kind == "Feature":
		r.Fields = o.properties
		if r.Geometry == nil {
			r.Geometry = &Geometry{}
		}
	case o.foreign != nil:
		return nil, o.foreign
	case o.kind == "Topology":
		return nil, errTopoJSON
	case o.list == elements && strings.Contains(o.remark, "error"):
		return nil, fmt.Errorf("the answer of Overpass is incomplete: %s", o.remark)
	case o.list != noList && len(o.faults) > 0:
		return nil, errors.New(o.faults[0])
	case o.list != noList:
		return nil, nil //nolint:nilnil // The frame of an array is no record.
	case o.kind == "FeatureCollection":
		return nil, errors.New("the FeatureCollection has no features")
	case o.hasCoordinates && nesting[o.kind] > 0:
		r.Faults = append(r.Faults, "it is a geometry without properties; a Feature is expected")
	default:
		for name, value := range o.properties {
			r.Fields["properties."+name] = value
		}
		if r.Geometry == nil || r.Geometry.Type == "" {
			r.Geometry = o.other
		}
	}
	if r.Geometry != nil && r.Geometry.fault != "" {
		r.Faults = append(r.Faults, r.Geometry.fault)
	}
	return r, nil
}

// members calls take for each member of an object, in their order.
func members(value jsontext.Value, take func(name string, value jsontext.Value) error) error {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(value), jsonOptions...)
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	for decoder.PeekKind() != '}' {
		token, err := decoder.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		member, err := decoder.ReadValue()
		if err != nil {
			return err
		}
		if err := take(name, member); err != nil {
			return err
		}
	}
	return nil
}

// textList is an array of nothing but text, or nil.
func textList(array jsontext.Value) []string {
	list := []string{}
	decoder := jsontext.NewDecoder(bytes.NewBuffer(array), jsonOptions...)
	if _, err := decoder.ReadToken(); err != nil {
		return nil
	}
	for decoder.PeekKind() == '"' {
		value, err := decoder.ReadValue()
		if err != nil {
			return nil
		}
		list = append(list, text(value))
	}
	if decoder.PeekKind() != ']' {
		return nil
	}
	return list
}

// text is a scalar as text; objects, arrays and null are empty.
func text(value jsontext.Value) string {
	switch value.Kind() {
	case '"':
		unquoted, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return strings.ToValidUTF8(string(value), "\ufffd")
		}
		return string(unquoted)
	case '0', 't', 'f':
		return string(value)
	default:
		return ""
	}
}

// ErrReferenceSystem tells that coordinates are not in WGS 84. As a fault of the
// file it concerns all its records, those that were read too.
var ErrReferenceSystem = errors.New("the coordinates are not in WGS 84")

// checkCRS returns an error if a coordinate reference system (the member "crs" of
// GeoJSON before RFC 7946) is not WGS 84.
func checkCRS(value jsontext.Value) error {
	if value.Kind() == 'n' {
		return nil
	}
	var name string
	if value.Kind() == '{' {
		// Both members are objects and strings of a value that was read whole.
		_ = members(value, func(outer string, value jsontext.Value) error {
			if outer != "properties" || value.Kind() != '{' {
				return nil
			}
			return members(value, func(inner string, value jsontext.Value) error {
				if inner == "name" {
					name = text(value)
				}
				return nil
			})
		})
	}
	if isWGS84(name) {
		return nil
	}
	if name == "" {
		name = fmt.Sprintf("%.80s", value)
	}
	return fmt.Errorf("%w but in %q; convert them, for example with: ogr2ogr -t_srs EPSG:4326 -f GeoJSON new.geojson old.geojson", ErrReferenceSystem, name)
}

// isWGS84 reports whether a name of a reference system is one of WGS 84's in
// degrees, with or without heights.
func isWGS84(name string) bool {
	name = strings.ToUpper(strings.TrimSpace(name))
	i := strings.LastIndexAny(name, ":/#")
	code := name[i+1:]
	switch {
	case strings.Contains(name, "EPSG"):
		return code == "4326" || code == "4979"
	case strings.Contains(name, "OGC") || i < 0:
		return code == "CRS84" || code == "CRS84H" || code == "WGS84"
	default:
		return false
	}
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
		if c == '\n' {
			l.newlines = append(l.newlines, l.read+int64(i))
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
