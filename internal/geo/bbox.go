package geo

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// BBox is a box between two meridians and two parallels, in degrees, edges
// included (RFC 7946, section 5). West greater than East says that the box
// crosses the antimeridian.
type BBox struct{ West, South, East, North float64 }

// World is the box of all points.
var World = BBox{West: -180, South: -90, East: 180, North: 90}

// ParseBBox reads "west,south,east,north". The error is one sentence for each
// fault and may be shown.
func ParseBBox(text string) (BBox, error) {
	parts := strings.Split(text, ",")
	if len(parts) != 4 {
		return BBox{}, errors.New("Four numbers are expected: west,south,east,north.") //nolint:staticcheck,revive // Shown as it is.
	}
	var faults []string
	number := func(i int, name string, limit float64) float64 {
		value, err := strconv.ParseFloat(strings.TrimSpace(parts[i]), 64)
		if err != nil || !(math.Abs(value) <= limit) {
			faults = append(faults, fmt.Sprintf("%s has to be a number from -%g to %g.", name, limit, limit))
			return math.NaN()
		}
		return value + 0
	}
	box := BBox{
		West: number(0, "West", 180), South: number(1, "South", 90),
		East: number(2, "East", 180), North: number(3, "North", 90),
	}
	if box.South > box.North {
		faults = append(faults, "South has to be at most north.")
	}
	if len(faults) > 0 {
		return BBox{}, errors.New(strings.Join(faults, " "))
	}
	return box, nil
}

// CrossesAntimeridian reports whether the box reaches over the 180th meridian.
func (b BBox) CrossesAntimeridian() bool { return b.West > b.East }

// Contains reports whether a point lies in the box or on its edge. The
// antimeridian is one line, whichever of its two names point and box use.
func (b BBox) Contains(p Point) bool {
	if !(p.Latitude >= b.South && p.Latitude <= b.North) {
		return false
	}
	if math.Abs(p.Longitude) == 180 {
		return b.spans(180) || b.spans(-180)
	}
	return b.spans(p.Longitude)
}

func (b BBox) spans(longitude float64) bool {
	if b.CrossesAntimeridian() {
		return longitude >= b.West || longitude <= b.East
	}
	return longitude >= b.West && longitude <= b.East
}

// Parts returns boxes that do not cross the antimeridian and whose points are those of
// the box, compared as numbers: where it touches the antimeridian there is one more,
// for the line's other name.
func (b BBox) Parts() []BBox {
	part := func(west, east float64) BBox { return BBox{West: west, South: b.South, East: east, North: b.North} }
	switch {
	case b.CrossesAntimeridian():
		return []BBox{part(b.West, 180), part(-180, b.East)}
	case b.West == -180 && b.East < 180:
		return []BBox{b, part(180, 180)}
	case b.East == 180 && b.West > -180:
		return []BBox{b, part(-180, -180)}
	default:
		return []BBox{b}
	}
}
