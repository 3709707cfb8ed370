package landmark

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/geo"
)

// maxCells bounds how many cells of the map a circle is covered with; beyond, as
// for radii of more than some five kilometres, PostGIS is asked.
const maxCells = 64

// maxPlaces bounds how many landmarks a copy of a cell holds. A cell with more is
// known as crowded, and PostGIS is asked for what reaches into it.
const maxPlaces = 10_000

// cell is what is kept of a cell of the map: its living landmarks. It has two
// pointers however many they are, so that the garbage collector passes it by.
type cell struct {
	places  []place
	crowded bool
	// bodies are the landmarks as they are shown, one behind the other.
	bodies []byte
}

// place is what nearby needs to know of a landmark.
type place struct {
	id, area   uuid.UUID
	point      geo.Point
	vector     geo.Vector
	isVerified bool
	// from and to say where the landmark stands among the bodies.
	from, to uint32
}

func (c *cell) body(p *place) []byte { return c.bodies[p.from:p.to:p.to] }

// cellWords returns what stands for cells in the cache's generations, with room for
// one more. The words share one text.
func cellWords(cells []geo.Cell) []string {
	var room [maxCells]int
	ends := room[:0]
	text := make([]byte, 0, len(cells)*len("c536870912"))
	for _, c := range cells {
		text = strconv.AppendInt(append(text, 'c'), int64(c), 10)
		ends = append(ends, len(text))
	}
	all, from := string(text), 0
	words := make([]string, len(cells), len(cells)+1)
	for i, end := range ends {
		words[i], from = all[from:end], end
	}
	return words
}

// placeBytes is what a place takes as it is written: two ids, the point, whether
// it is verified, and the length of its body.
const placeBytes = 16 + 16 + 8 + 8 + 1 + 4

var cellKind = &cache.Kind[*cell]{
	Name: Popular,
	Encode: func(c *cell) []byte {
		if c.crowded {
			return []byte(crowdedCell)
		}
		data := make([]byte, 0, 4+len(c.places)*placeBytes+len(c.bodies))
		data = binary.LittleEndian.AppendUint32(data, uint32(len(c.places)))
		for i := range c.places {
			p := &c.places[i]
			data = append(append(data, p.id[:]...), p.area[:]...)
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(p.point.Latitude))
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(p.point.Longitude))
			verified := byte(0)
			if p.isVerified {
				verified = 1
			}
			data = binary.LittleEndian.AppendUint32(append(data, verified), p.to-p.from)
		}
		return append(data, c.bodies...)
	},
	Decode: decodeCell,
	Size:   func(c *cell) int { return len(c.places)*96 + len(c.bodies) },
}

// crowdedCell is how a crowded cell is written.
const crowdedCell = "crowded"

var errCutOff = errors.New("landmark: a copy is cut off")

func decodeCell(data []byte) (*cell, error) {
	if string(data) == crowdedCell {
		return &cell{crowded: true}, nil
	}
	if len(data) < 4 {
		return nil, errCutOff
	}
	n := int(binary.LittleEndian.Uint32(data))
	if data = data[4:]; len(data) < n*placeBytes {
		return nil, errCutOff
	}
	c := &cell{places: make([]place, n), bodies: data[n*placeBytes:]}
	at := uint32(0)
	for i := range c.places {
		p, row := &c.places[i], data[i*placeBytes:]
		copy(p.id[:], row)
		copy(p.area[:], row[16:])
		p.point.Latitude = math.Float64frombits(binary.LittleEndian.Uint64(row[32:]))
		p.point.Longitude = math.Float64frombits(binary.LittleEndian.Uint64(row[40:]))
		p.vector = p.point.Vector()
		p.isVerified = row[48] == 1
		p.from = at
		at += binary.LittleEndian.Uint32(row[49:])
		p.to = at
	}
	if int(at) != len(c.bodies) {
		return nil, errCutOff
	}
	return c, nil
}

// cellsSQL is served by landmark_position. A landmark on an edge comes for both
// cells and is kept in the one that it belongs to.
const cellsSQL = `-- name: landmark_cells
SELECT b.ordinal - 1, ` + columns + `
FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::float8[]) WITH ORDINALITY AS b(west, south, east, north, ordinal)
CROSS JOIN LATERAL (
  SELECT * FROM landmarks
  WHERE location::geometry && ST_MakeEnvelope(b.west, b.south, b.east, b.north, 4326) AND deleted_at IS NULL
  LIMIT $5
) l`

// loadCells asks for the landmarks of cells, in one query.
func (s *Service) loadCells(ctx context.Context, cells []geo.Cell) ([]*cell, error) {
	west, south := make([]float64, len(cells)), make([]float64, len(cells))
	east, north := make([]float64, len(cells)), make([]float64, len(cells))
	loaded, came := make([]*cell, len(cells)), make([]int, len(cells))
	for i, c := range cells {
		box := c.Box()
		west[i], south[i], east[i], north[i] = box.West, box.South, box.East, box.North
		loaded[i] = &cell{}
	}
	rows, err := s.store.Pool.Query(ctx, cellsSQL, west, south, east, north, maxPlaces+1)
	if err != nil {
		return nil, fmt.Errorf("cells of the map: %w", err)
	}
	var l ent.Landmark
	var i int
	_, err = pgx.ForEachRow(rows, append([]any{&i}, scanned(&l)...), func() error {
		// The next row is not to be read into what belongs to this one.
		defer func() { l.PhotoLocation, l.Image = nil, nil }()
		c := loaded[i]
		if came[i]++; came[i] > maxPlaces {
			*c = cell{crowded: true}
		}
		if c.crowded || geo.CellOf(l.Location) != cells[i] {
			return nil
		}
		body, err := s.render(&l)
		if err != nil {
			return err
		}
		from := uint32(len(c.bodies)) //nolint:gosec // A cell of four gigabytes would not have come this far.
		c.bodies = append(c.bodies, body...)
		c.places = append(c.places, place{
			id: l.ID, area: l.AreaID, point: l.Location, vector: l.Location.Vector(), isVerified: l.IsVerified,
			from: from, to: uint32(len(c.bodies)), //nolint:gosec // As above.
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cells of the map: %w", err)
	}
	return loaded, nil
}

// Popular is the kind of copies that [Service.Warm] makes.
const Popular = "cell"

// Warm makes copies of the cells that are asked for most, for a process that has just
// started.
func (s *Service) Warm(ctx context.Context) error {
	return cache.Warm(ctx, s.cache, cellKind, func(ctx context.Context, words []string) ([]*cell, error) {
		cells := make([]geo.Cell, len(words))
		for i, word := range words {
			number, err := strconv.ParseInt(strings.TrimPrefix(word, "c"), 10, 32)
			if err != nil {
				return nil, fmt.Errorf("the cell %q: %w", word, err)
			}
			cells[i] = geo.Cell(number)
		}
		return s.loadCells(ctx, cells)
	})
}
