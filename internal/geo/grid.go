package geo

import (
	"math"
	"slices"
)

// The grid cuts the earth into equal steps of degrees, 2^14 rows from south to
// north and 2^15 columns from west to east: the cells of a geohash of 29 bits. A
// cell is 1.22 km high, and as wide at the equator.
const (
	gridRows    = 1 << 14
	gridColumns = 1 << 15
	rowDegrees  = 180.0 / gridRows
	colDegrees  = 360.0 / gridColumns
)

// coverSlack is by how much a circle is widened before it is covered, so that the
// sphere that its extent is computed on stands for the ellipsoid: the radii of
// curvature differ by 0.7 % at most from the sphere's.
const coverSlack = 1.01

// Cell is a cell of the grid: its row from the south times 2^15, and its column
// from the west. SQL computes the same in map_cell.
type Cell int32

// CellOf returns the cell that a point lies in. Points on a common edge belong to
// the northern and the eastern cell, those on the upper limits of degrees to the
// last one.
func CellOf(p Point) Cell {
	return Cell(gridRow(p.Latitude)*gridColumns + gridColumn(p.Longitude)) //nolint:gosec // There are 2^29 cells.
}

func gridRow(latitude float64) int {
	return min(int((latitude+90)/180*gridRows), gridRows-1)
}

func gridColumn(longitude float64) int {
	return min(int((longitude+180)/360*gridColumns), gridColumns-1)
}

// Box returns the box of degrees that holds the cell, edges included.
func (c Cell) Box() BBox {
	row, column := float64(c/gridColumns), float64(c%gridColumns)
	return BBox{
		West: -180 + column*colDegrees, South: -90 + row*rowDegrees,
		East: -180 + (column+1)*colDegrees, North: -90 + (row+1)*rowDegrees,
	}
}

// Cover appends the cells that a circle may reach into, from south to north. It
// returns false if there are more than limit, as around the poles, where cells
// are narrow.
func Cover(cells []Cell, center Point, radiusMeters float64, limit int) ([]Cell, bool) {
	angle := radiusMeters * coverSlack / meanRadius
	latitude := center.Latitude * math.Pi / 180
	north, south := latitude+angle, latitude-angle
	if north >= math.Pi/2 || south <= -math.Pi/2 {
		return cells, false // A pole lies within: every meridian does.
	}
	// The meridians that touch a circle on a sphere.
	across := math.Asin(min(1, math.Sin(angle)/math.Cos(latitude))) * 180 / math.Pi
	if across >= 90 {
		return cells, false
	}
	first, last := gridRow(south*180/math.Pi), gridRow(north*180/math.Pi)
	west := int(math.Floor((center.Longitude - across + 180) / colDegrees))
	east := int(math.Floor((center.Longitude + across + 180) / colDegrees))
	if (last-first+1)*(east-west+1) > limit {
		return cells, false
	}
	cells = slices.Grow(cells, (last-first+1)*(east-west+1))
	for row := first; row <= last; row++ {
		for column := west; column <= east; column++ {
			cells = append(cells, Cell(row*gridColumns+(column+gridColumns)%gridColumns)) //nolint:gosec // There are 2^29 cells.
		}
	}
	return cells, true
}
