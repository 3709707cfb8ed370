package source

import (
	"bytes"
	"encoding/json"
	"math"
)

// Geometry is where a record lies: what is needed of its shape, and no more.
type Geometry struct {
	// Type is one of RFC 7946; empty if the record has no geometry.
	Type string
	// positions is how many the geometry has.
	positions int
	// first is the first position, as longitude and latitude.
	first [2]float64
	// The bounds of all positions, in degrees.
	west, south, east, north float64
}

// Position is the only position of a Point.
func (g *Geometry) Position() (latitude, longitude float64) { return g.first[1], g.first[0] }

// Middle is the middle of the box around all positions.
func (g *Geometry) Middle() (latitude, longitude float64) {
	return (g.south + g.north) / 2, (g.west + g.east) / 2
}

func (g *Geometry) add(longitude, latitude float64) {
	if g.positions == 0 {
		g.first = [2]float64{longitude, latitude}
		g.west, g.south, g.east, g.north = math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	}
	g.positions++
	g.west, g.east = min(g.west, longitude), max(g.east, longitude)
	g.south, g.north = min(g.south, latitude), max(g.north, latitude)
}

// read reads GeoJSON's coordinates, nested to any depth. It reports whether they
// are positions, of at least two numbers each.
func (g *Geometry) read(coordinates json.RawMessage) bool {
	var nested func(value any) bool
	nested = func(value any) bool {
		list, ok := value.([]any)
		if !ok || len(list) == 0 {
			return false
		}
		if longitude, ok := list[0].(float64); ok {
			if len(list) < 2 {
				return false
			}
			latitude, ok := list[1].(float64)
			g.add(longitude, latitude)
			return ok
		}
		for _, inner := range list {
			if !nested(inner) {
				return false
			}
		}
		return true
	}
	if len(bytes.TrimSpace(coordinates)) == 0 {
		return false
	}
	var value any
	return json.Unmarshal(coordinates, &value) == nil && nested(value)
}
