// Package geo is about places on the earth: positions as PostGIS keeps them,
// distances on the WGS 84 ellipsoid, and the bounding boxes of RFC 7946.
//
// It computes distances itself, as PostGIS would, so that verifying a photo and
// ordering cached landmarks need no query.
package geo

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/picaspot/picaspot/internal/fault"
)

// SRID is the spatial reference of every [Point]: WGS 84 in degrees (EPSG:4326).
const SRID = 4326

// Extended WKB as PostGIS writes it: byte order, type with flags, SRID, x, y.
const (
	ewkbSize     = 1 + 4 + 4 + 8 + 8
	ewkbPoint    = 1
	ewkbSRIDFlag = 0x2000_0000
)

// errPosition names no field: where the numbers came from is known to the caller only.
var errPosition = fault.New(fault.Invalid, "invalid_position",
	"The latitude has to be from -90 to 90 degrees and the longitude from -180 to 180.")

// Point is a position in WGS 84 decimal degrees. It stands in a column of the
// type geography(Point,4326).
type Point struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// New makes a point of degrees. Numbers that are not finite, latitudes beyond
// ±90 and longitudes beyond ±180 are a [fault.Invalid]. The numbers stay as they
// are, so that a client reads back what it wrote: neither the two names of the
// antimeridian nor the many of a pole are folded, as distances do not mind. Only
// what is nearer to zero than a tenth of a nanometre is zero: PostgreSQL refuses to
// calculate with numbers whose product has no room in a float.
func New(latitude, longitude float64) (Point, error) {
	// The condition is false for NaN, too.
	if !(math.Abs(latitude) <= 90 && math.Abs(longitude) <= 180) {
		return Point{}, errPosition
	}
	return Point{Latitude: orZero(latitude), Longitude: orZero(longitude)}, nil
}

// tiny is a tenth of a nanometre, in degrees.
const tiny = 1e-15

// orZero makes zero of what hardly differs from it, and of the negative one.
func orZero(degrees float64) float64 {
	if math.Abs(degrees) < tiny {
		return 0
	}
	return degrees
}

// Value writes the point as EWKT with all digits of its numbers.
func (p Point) Value() (driver.Value, error) {
	if _, err := New(p.Latitude, p.Longitude); err != nil {
		return nil, fmt.Errorf("write the point: %w", err)
	}
	return p.EWKT(), nil
}

// EWKT is the point as PostGIS reads it from text, with all digits of its numbers.
func (p Point) EWKT() string {
	return fmt.Sprintf("SRID=%d;POINT(%s %s)", SRID, degrees(p.Longitude), degrees(p.Latitude))
}

func degrees(d float64) string { return strconv.FormatFloat(d, 'f', -1, 64) }

// Scan reads a point from EWKB, in hexadecimal as PostgreSQL's text format has
// it or as bytes, of either byte order. Anything but a two-dimensional point of
// SRID 4326 within the bounds of degrees is an error, NULL too: what may be NULL
// is a pointer.
func (p *Point) Scan(src any) error {
	var data []byte
	switch src := src.(type) {
	case string:
		data = []byte(src)
	case []byte:
		data = src
	default:
		return fmt.Errorf("read a point: unexpected %T", src)
	}
	if len(data) == hex.EncodedLen(ewkbSize) {
		raw := make([]byte, ewkbSize)
		if _, err := hex.Decode(raw, data); err != nil {
			return fmt.Errorf("read a point: %w", err)
		}
		data = raw
	}
	read, err := parseEWKB(data)
	if err != nil {
		return fmt.Errorf("read a point: %w", err)
	}
	*p = read
	return nil
}

func parseEWKB(data []byte) (Point, error) {
	if len(data) != ewkbSize {
		return Point{}, fmt.Errorf("%d bytes are not the EWKB of a point with its SRID", len(data))
	}
	var order binary.ByteOrder
	switch data[0] {
	case 0:
		order = binary.BigEndian
	case 1:
		order = binary.LittleEndian
	default:
		return Point{}, fmt.Errorf("byte order %d is unknown", data[0])
	}
	if kind := order.Uint32(data[1:]); kind != ewkbPoint|ewkbSRIDFlag {
		return Point{}, fmt.Errorf("geometry type %#x is not a point with its SRID", kind)
	}
	if srid := order.Uint32(data[5:]); srid != SRID {
		return Point{}, fmt.Errorf("SRID %d is not %d", srid, SRID)
	}
	x := math.Float64frombits(order.Uint64(data[9:]))
	y := math.Float64frombits(order.Uint64(data[17:]))
	if math.IsNaN(x) && math.IsNaN(y) {
		return Point{}, errors.New("the point is empty")
	}
	return New(y, x)
}
