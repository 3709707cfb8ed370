package source

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// kml reads the placemarks of a KML document (OGC 12-007r2).
type kml struct {
	*xmlTokens
	// open are the elements around the placemark, with the names of those that are
	// folders.
	open []folder
}

type folder struct{ element, name string }

func newKML(in input) (reader, error) { return &kml{xmlTokens: newXML(in)}, nil }

func (k *kml) next() (Record, error) {
	for {
		token, err := k.xmlTokens.next()
		if err != nil {
			return Record{}, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			line := k.line()
			switch token.Name.Local {
			case "Placemark":
				return k.placemark(line, token)
			case "NetworkLink":
				return k.link(line)
			case "kml", "Document", "Folder", "name", "Create", "Update", "Change":
				k.open = append(k.open, folder{element: token.Name.Local})
			default: // Styles, overlays and the like.
				if err := k.within(nil, nil); err != nil {
					return Record{}, err
				}
			}
		case xml.CharData:
			if n := len(k.open); n > 1 && k.open[n-1].element == "name" && len(k.open[n-2].name) < 1000 {
				k.open[n-2].name += string(token)
			}
		case xml.EndElement:
			k.open = k.open[:len(k.open)-1]
		}
	}
}

// link is a record that can't be taken: what lies behind the link is not read.
func (k *kml) link(line int) (Record, error) {
	t := texts{fields: map[string]string{}}
	err := k.within(nil, func(path []string, text string) {
		if name := path[len(path)-1]; name == "name" || name == "href" {
			t.add(name, text)
		}
	})
	t.end()
	return Record{Line: line, Fields: t.fields, Geometry: &Geometry{}, Faults: []string{
		fmt.Sprintf("it is a link to another file, which has to be imported by itself: %.200s", t.fields["href"]),
	}}, err
}

// shapes are KML's geometries by those of RFC 7946. A model and a track are none.
var shapes = map[string]string{
	"Point": "Point", "LineString": "LineString", "LinearRing": "LineString", "Polygon": "Polygon",
	"Track": "Track", "MultiTrack": "Track", "Model": "Model",
}

func (k *kml) placemark(line int, start xml.StartElement) (Record, error) {
	r := Record{Line: line, ID: attribute(start.Attr, "id")}
	t := texts{fields: map[string]string{}}
	for _, around := range k.open {
		if around.element == "Folder" {
			t.fields["folder"] = around.name
		}
	}
	var found []Geometry
	var coordinates, data string
	faults := map[string]bool{}
	flush := func() {
		if len(found) > 0 && strings.TrimSpace(coordinates) != "" {
			if err := found[len(found)-1].readKML(coordinates); err != nil {
				faults[err.Error()] = true
			}
		}
		coordinates = ""
	}
	err := k.within(func(path []string, attributes []xml.Attr) {
		name := path[len(path)-1]
		isShape := shapes[name] != "" && !slices.ContainsFunc(path[:len(path)-1], func(outer string) bool { return shapes[outer] != "" })
		switch {
		case isShape:
			flush()
			found = append(found, Geometry{Type: shapes[name]})
		case name == "coordinates":
			flush()
		case name == "Data" || name == "SimpleData":
			data = attribute(attributes, "name")
		}
	}, func(path []string, text string) {
		switch name := path[len(path)-1]; {
		case name == "coordinates":
			coordinates += text
		case path[0] == "ExtendedData" && data != "" && (name == "value" || name == "SimpleData"):
			t.add(data, text)
		case len(path) == 1:
			t.add(name, text)
		}
	})
	flush()
	r.Fields = t.fields
	r.Faults = t.end()
	r.Geometry = choose(found)
	for fault := range faults {
		r.Faults = append(r.Faults, fault)
	}
	slices.Sort(r.Faults)
	return r, err
}

// choose returns the geometry of a placemark that may have several: a point among
// them, if it is the only one, or all polygons together.
func choose(found []Geometry) *Geometry {
	chosen := &Geometry{}
	points := 0
	for _, g := range found {
		switch {
		case g.Type == "Point":
			if points++; points > 1 {
				return &Geometry{Type: "MultiPoint"}
			}
			chosen = &g
		case chosen.Type == "" || chosen.Type != "Point" && g.Type == "Polygon" && chosen.Type != "Polygon":
			chosen = &g
		case chosen.Type == "Polygon" && g.Type == "Polygon":
			chosen.merge(g)
		}
	}
	return chosen
}

// readKML reads tuples of longitude, latitude and perhaps a height.
func (g *Geometry) readKML(coordinates string) error {
	malformed := func(text string) error {
		return fmt.Errorf("the %s's coordinates are malformed: %.40q is not a longitude and a latitude", g.Type, text)
	}
	tuples := strings.Fields(coordinates)
	if g.Type == "Point" {
		// Some programs write spaces after the commas.
		tuples = []string{strings.Join(strings.FieldsFunc(coordinates, func(c rune) bool { return c == ',' || strings.ContainsRune(" \t\r\n", c) }), ",")}
	}
	for _, tuple := range tuples {
		parts := strings.Split(tuple, ",")
		if len(parts) < 2 || len(parts) > 3 {
			return malformed(tuple)
		}
		longitude, err := strconv.ParseFloat(parts[0], 64)
		if err != nil {
			return malformed(tuple)
		}
		latitude, err := strconv.ParseFloat(parts[1], 64)
		if err != nil {
			return malformed(tuple)
		}
		g.add(longitude, latitude)
	}
	return nil
}
