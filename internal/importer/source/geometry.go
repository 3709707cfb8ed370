package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Geometry is where a record lies: what is needed of its shape, and no more.
type Geometry struct {
	// Type is one of RFC 7946; empty if the record has no geometry.
	Type string
	// fault says why the geometry can't be used.
	fault string
	// positions is how many the geometry has.
	positions int
	// first is the first position, as longitude and latitude.
	first [2]float64
	// plain are the bounds of all positions, and shifted those of the same with
	// longitudes from 0 to 360 degrees.
	plain, shifted bounds
}

type bounds struct{ west, south, east, north float64 }

// nesting is how deep the numbers of a type's coordinates are nested. A
// GeometryCollection has none.
var nesting = map[string]int{"Point": 1, "MultiPoint": 2, "LineString": 2, "MultiLineString": 3, "Polygon": 3, "MultiPolygon": 4}

// Position is the only position of a Point.
func (g *Geometry) Position() (latitude, longitude float64) { return g.first[1], g.first[0] }

// Middle is the middle of the box around all positions. A geometry that is cut at
// the antimeridian (RFC 7946, 3.1.9) has its box across it: of the two boxes around
// the globe the narrower one counts, unless both reach around most of it.
func (g *Geometry) Middle() (latitude, longitude float64) {
	box := g.plain
	// A box around the globe has all its corners at 180°, and no width there.
	if width := g.shifted.east - g.shifted.west; width < box.east-box.west && 0 < width && width <= 180 {
		box = g.shifted
	}
	longitude = (box.west + box.east) / 2
	if longitude > 180 {
		longitude -= 360
	}
	return (box.south + box.north) / 2, longitude
}

func (g *Geometry) add(longitude, latitude float64) {
	if g.positions == 0 {
		g.first = [2]float64{longitude, latitude}
		empty := bounds{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
		g.plain, g.shifted = empty, empty
	}
	g.positions++
	g.plain.add(longitude, latitude)
	if longitude < 0 {
		longitude += 360
	}
	g.shifted.add(longitude, latitude)
}

func (b *bounds) add(longitude, latitude float64) {
	b.west, b.east = min(b.west, longitude), max(b.east, longitude)
	b.south, b.north = min(b.south, latitude), max(b.north, latitude)
}

// merge adds all positions of another geometry.
func (g *Geometry) merge(other Geometry) {
	g.positions += other.positions
	g.plain.add(other.plain.west, other.plain.south)
	g.plain.add(other.plain.east, other.plain.north)
	g.shifted.add(other.shifted.west, other.shifted.south)
	g.shifted.add(other.shifted.east, other.shifted.north)
}

// parseGeometry reads an object as a geometry of GeoJSON, and returns nil if it is
// something else.
func parseGeometry(value jsontext.Value) *Geometry {
	g := &Geometry{}
	var coordinates jsontext.Value
	isCollection := false
	err := members(value, func(name string, value jsontext.Value) error {
		switch name {
		case "type":
			g.Type = text(value)
		case "coordinates":
			coordinates = bytes.Clone(value)
		case "geometries":
			isCollection = value.Kind() == '['
		case "crs":
			if err := checkCRS(value); err != nil {
				g.fault = err.Error()
			}
		}
		return nil
	})
	if g.Type == "GeometryCollection" && isCollection {
		return g
	}
	if err != nil || nesting[g.Type] == 0 {
		return nil
	}
	if err := g.read(coordinates); err != nil && g.fault == "" {
		g.fault = fmt.Sprintf("the %s's coordinates are malformed: %v", g.Type, err)
	}
	return g
}

// read reads the coordinates, whose positions are two numbers or more each (RFC
// 7946, 3.1.1).
func (g *Geometry) read(coordinates jsontext.Value) error {
	if len(coordinates) == 0 {
		return errors.New("there are none")
	}
	decoder := jsontext.NewDecoder(bytes.NewBuffer(coordinates))
	var position []float64
	for {
		token, err := decoder.ReadToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		// Numbers and the bracket that closes a position.
		switch depth := decoder.StackDepth(); {
		case token.Kind() == '0' && depth == nesting[g.Type]:
			number, err := strconv.ParseFloat(token.String(), 64)
			if err != nil {
				return fmt.Errorf("%.40s is out of range", token)
			}
			position = append(position, number)
		case token.Kind() == '[' && depth <= nesting[g.Type]:
			position = position[:0]
		case token.Kind() == ']' && depth == nesting[g.Type]-1:
			if len(position) < 2 {
				return errors.New("a position has less than two numbers")
			}
			g.add(position[0], position[1])
		case token.Kind() == ']':
		default:
			return fmt.Errorf("%.40s is not where a position is expected", token)
		}
	}
	if g.positions == 0 {
		return errors.New("they are empty")
	}
	return nil
}
