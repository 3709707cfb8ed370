package source

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

func isOverpass(head []byte) bool {
	return isJSONObject(head) && bytes.Contains(head, []byte(`"elements"`)) &&
		(bytes.Contains(head, []byte(`"osm3s"`)) || bytes.Contains(head, []byte("Overpass")) || bytes.Contains(head, []byte(`"tags"`)))
}

// overpassElement makes a record of a node, way or relation. It returns nil for
// those without tags: they are parts of others and no places.
func overpassElement(value jsontext.Value, line int) *Record {
	type position struct {
		Latitude  *float64 `json:"lat"`
		Longitude *float64 `json:"lon"`
	}
	var e struct {
		Type string `json:"type"`
		ID   int64  `json:"id"`
		position
		Center *position         `json:"center"`
		Tags   map[string]string `json:"tags"`
		Bounds *struct {
			South float64 `json:"minlat"`
			West  float64 `json:"minlon"`
			North float64 `json:"maxlat"`
			East  float64 `json:"maxlon"`
		} `json:"bounds"`
	}
	r := &Record{Line: line, Fields: map[string]string{}, Geometry: &Geometry{}}
	if err := json.Unmarshal(value, &e); err != nil {
		r.Faults = []string{"it is not an element of OpenStreetMap: " + err.Error()}
		return r
	}
	if len(e.Tags) == 0 {
		return nil
	}
	for name, tag := range e.Tags {
		r.Fields[strings.ToLower(name)] = tag
	}
	r.ID = e.Type + "/" + strconv.FormatInt(e.ID, 10)
	r.Fields["@id"], r.Fields["@type"] = r.ID, e.Type
	at := e.position
	if e.Center != nil {
		at = *e.Center
	}
	switch {
	case at.Latitude != nil && at.Longitude != nil:
		r.Geometry.Type = "Point"
		r.Geometry.add(*at.Longitude, *at.Latitude)
	case e.Bounds != nil:
		r.Geometry.Type = "Polygon"
		r.Geometry.add(e.Bounds.West, e.Bounds.South)
		r.Geometry.add(e.Bounds.East, e.Bounds.North)
	default:
		r.Faults = []string{"it is a " + e.Type + ` without a position; end the query with "out center;"`}
	}
	return r
}
