// Package tile cuts the map of landmarks into tiles: Mapbox Vector Tiles 2.1 that are
// the same for everybody, and beside them what of a tile the caller has unlocked.
//
// A tile shows each landmark by itself, or together with others as a cluster. The
// grid decides: it divides each tile into eight times eight cells, so that a cell is a
// tile itself, three zooms deeper, and a landmark belongs to the same cell whichever
// tile is looked at. A cell that holds more than [Tile.single] landmarks is a cluster.
package tile

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/store"
)

// MaxZoom is the deepest zoom there are tiles of; the 2^22 tiles in a row are 9.6 m
// wide at the equator.
const MaxZoom = 22

const (
	// mapBits is the number of bits of a position on the map, as mercator_x and
	// mercator_y count it.
	mapBits = 32
	// cellZooms is how many zooms deeper than its tile a cell of the grid lies.
	cellZooms = 3
	// streetZoom is the first zoom whose tiles show landmarks by themselves, and
	// whose tiles are small enough to read all of their landmarks.
	streetZoom = 14
	// crowd is the most landmarks of a cell that a tile shows by themselves from
	// streetZoom on: 2,048 in all.
	crowd = 32
)

// Tile is a tile of the map, as XYZ schemes number it: column X from the west and row
// Y from the north, of 2^Z each.
type Tile struct{ Z, X, Y int }

// New returns the tile with these numbers, or every fault they have, named by the
// parameters z, x and y.
func New(z, x, y int) (Tile, []fault.Field) {
	var faults []fault.Field
	check := func(name string, value, most int) {
		if value < 0 || value > most {
			faults = append(faults, fault.Field{Parameter: name, Code: "range", Message: fmt.Sprintf("It has to be from 0 to %d.", most)})
		}
	}
	check("z", z, MaxZoom)
	if len(faults) == 0 {
		check("x", x, 1<<z-1)
		check("y", y, 1<<z-1)
	}
	return Tile{Z: z, X: x, Y: y}, faults
}

// ParseCell reads the id of a cell, "z/x/y". A cell is a tile, whose zoom may be cellZooms
// beyond [MaxZoom]. The error may be shown.
func ParseCell(id string) (Tile, error) {
	var t Tile
	if n, err := fmt.Sscanf(id, "%d/%d/%d", &t.Z, &t.X, &t.Y); err != nil || n != 3 || fmt.Sprintf("%d/%d/%d", t.Z, t.X, t.Y) != id {
		return Tile{}, errors.New("Three numbers are expected: zoom/column/row.") //nolint:staticcheck,revive // Shown as it is.
	}
	if t.Z < 0 || t.Z > MaxZoom+cellZooms || t.X < 0 || t.X >= 1<<t.Z || t.Y < 0 || t.Y >= 1<<t.Z {
		return Tile{}, fmt.Errorf("The zoom has to be from 0 to %d, column and row less than 2 to the power of it.", MaxZoom+cellZooms) //nolint:staticcheck,revive // Shown as it is.
	}
	return t, nil
}

// Contains returns the SQL condition that a point stands in the tile; place is the SQL
// expression of its geometry.
func (t Tile) Contains(place string) string {
	return fmt.Sprintf("mercator_x(%[1]s) >> %[2]d = %[3]d AND mercator_y(%[1]s) >> %[2]d = %[4]d", place, mapBits-t.Z, t.X, t.Y)
}

// Box returns a box that holds all points of the tile, and those within some 10 cm of it.
func (t Tile) Box() geo.BBox {
	west, south, east, north := t.box()
	return geo.BBox{West: max(west, -180), South: max(south, -90), East: min(east, 180), North: min(north, 90)}
}

// single is the most landmarks of a cell that the tile shows by themselves.
func (t Tile) single() int {
	if t.Z < streetZoom {
		return 1
	}
	return crowd
}

// slack is by how many degrees boxes that are looked up in an index are widened, for
// the rounding of positions: some 10 cm.
const slack = 1e-6

// box returns the box of degrees that holds what stands in the tile.
func (t Tile) box() (west, south, east, north float64) {
	side := math.Exp2(float64(t.Z))
	latitude := func(y int) float64 { return math.Atan(math.Sinh(math.Pi*(1-2*float64(y)/side))) * 180 / math.Pi }
	west, east = float64(t.X)/side*360-180-slack, float64(t.X+1)/side*360-180+slack
	south, north = latitude(t.Y+1)-slack, latitude(t.Y)+slack
	// What lies beyond the map stands on its edges.
	if t.Y == 0 {
		north = 90
	}
	if t.Y+1 == 1<<t.Z {
		south = -90
	}
	return west, south, east, north
}

// Service makes tiles. It may be used concurrently.
type Service struct {
	store *store.Store
}

// NewService makes the service.
func NewService(s *store.Store) *Service { return &Service{store: s} }

// Landmarks returns a tile of all living landmarks, as the database has them now. One
// that shows nothing is empty, which is a vector tile too. The same landmarks make the
// same bytes.
func (s *Service) Landmarks(ctx context.Context, t Tile) (data []byte, err error) {
	statement, args := t.landmarksQuery()
	if err := s.store.Pool.QueryRow(ctx, statement, args...).Scan(&data); err != nil {
		return nil, fmt.Errorf("tile %d/%d/%d: %w", t.Z, t.X, t.Y, err)
	}
	return data, nil
}

// Unlocked is what a user has unlocked in a tile.
type Unlocked struct {
	// LandmarkIDs are the landmarks, sorted, but for cells that hold more of them
	// than the tile would show by themselves.
	LandmarkIDs []uuid.UUID
	// Cells are all cells in which there are some, from north west to south east.
	Cells []Cell
}

// Cell is a cell of a tile's grid.
type Cell struct {
	// ID is that of the cluster which the tile of landmarks shows for the cell if
	// there are too many.
	ID string
	// Unlocked is how many landmarks the user has unlocked there, at least one.
	Unlocked int
}

// Unlocked returns which living landmarks of a tile a user has unlocked.
func (s *Service) Unlocked(ctx context.Context, t Tile, user uuid.UUID) (Unlocked, error) {
	statement, args := t.unlockedQuery(user)
	rows, err := s.store.Pool.Query(ctx, statement, args...)
	if err != nil {
		return Unlocked{}, fmt.Errorf("unlocks in tile %d/%d/%d: %w", t.Z, t.X, t.Y, err)
	}
	var found Unlocked
	var cell Cell
	var ids []uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&cell.ID, &cell.Unlocked, &ids}, func() error {
		found.Cells = append(found.Cells, cell)
		found.LandmarkIDs = append(found.LandmarkIDs, ids...)
		return nil
	})
	if err != nil {
		return Unlocked{}, fmt.Errorf("unlocks in tile %d/%d/%d: %w", t.Z, t.X, t.Y, err)
	}
	return found, nil
}
