package source

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
)

// gpx reads the waypoints of a GPX document (1.0 and 1.1). Tracks and routes are
// no places.
type gpx struct{ *xmlTokens }

func newGPX(in input) (reader, error) { return gpx{newXML(in)}, nil }

func (g gpx) next() (Record, error) {
	for {
		token, err := g.xmlTokens.next()
		if err != nil {
			return Record{}, err
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		r := Record{Line: g.line()}
		switch start.Name.Local {
		case "wpt":
			return g.waypoint(r, start)
		case "trk", "rte":
			r.Faults = []string{"it is a track or a route; only waypoints become landmarks"}
			t := texts{fields: map[string]string{}}
			err := g.within(nil, func(path []string, text string) {
				if len(path) == 1 && path[0] == "name" {
					t.add("name", text)
				}
			})
			t.end()
			r.Fields, r.Geometry = t.fields, &Geometry{}
			return r, err
		case "gpx":
		default: // The document's metadata.
			if err := g.within(nil, nil); err != nil {
				return Record{}, err
			}
		}
	}
}

func (g gpx) waypoint(r Record, start xml.StartElement) (Record, error) {
	r.Geometry = &Geometry{Type: "Point"}
	longitude, errLongitude := strconv.ParseFloat(attribute(start.Attr, "lon"), 64)
	latitude, errLatitude := strconv.ParseFloat(attribute(start.Attr, "lat"), 64)
	if errLongitude != nil || errLatitude != nil {
		r.Faults = append(r.Faults, fmt.Sprintf("the position lat=%.40q lon=%.40q is not in degrees", attribute(start.Attr, "lat"), attribute(start.Attr, "lon")))
	}
	r.Geometry.add(longitude, latitude)
	t := texts{fields: map[string]string{}}
	err := g.within(func(path []string, attributes []xml.Attr) {
		if slices.Equal(path, []string{"link"}) && t.fields["link"] == "" {
			t.add("link", attribute(attributes, "href"))
		}
	}, func(path []string, text string) {
		switch {
		case len(path) == 1 && path[0] != "link":
			t.add(path[0], text)
		case len(path) > 1 && path[0] == "extensions":
			t.add("extensions."+path[len(path)-1], text)
		}
	})
	r.Fields = t.fields
	r.Faults = append(r.Faults, t.end()...)
	return r, err
}
