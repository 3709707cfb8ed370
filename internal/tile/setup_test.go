package tile_test

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/tile"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var here = geo.Point{Latitude: 53.8671, Longitude: 8.7206}

// place is where a point stands on the map, from 0 to 1 from the north-western corner.
func place(p geo.Point) (x, y float64) {
	x = (p.Longitude + 180) / 360
	y = 0.5 - math.Asinh(math.Tan(p.Latitude*math.Pi/180))/(2*math.Pi)
	within := func(v float64) float64 { return min(max(v, 0), 1-0x1p-32) }
	return within(x), within(y)
}

// at is the tile of a zoom that a point stands in.
func at(p geo.Point, zoom int) tile.Tile {
	x, y := place(p)
	side := math.Exp2(float64(zoom))
	return tile.Tile{Z: zoom, X: int(x * side), Y: int(y * side)}
}

func address(t tile.Tile) string {
	return strconv.Itoa(t.Z) + "/" + strconv.Itoa(t.X) + "/" + strconv.Itoa(t.Y)
}

// shown is what a tile shows: landmarks and clusters by their ids.
type shown struct {
	landmarks map[uuid.UUID]feature
	clusters  map[string]feature
}

type feature struct {
	properties map[string]any
	// x and y are from the tile's north-western corner, in 4096ths.
	x, y float64
}

func decode(t *testing.T, data []byte) shown {
	t.Helper()
	layers, err := mvt.Unmarshal(data)
	require.NoError(t, err)
	s := shown{map[uuid.UUID]feature{}, map[string]feature{}}
	for _, layer := range layers {
		require.EqualValues(t, 2, layer.Version)
		require.EqualValues(t, 4096, layer.Extent)
		require.NotEmpty(t, layer.Features)
		for _, f := range layer.Features {
			point, ok := f.Geometry.(orb.Point)
			require.True(t, ok)
			got := feature{f.Properties, point[0], point[1]}
			id, ok := f.Properties["id"].(string)
			require.True(t, ok)
			switch layer.Name {
			case "landmarks":
				s.landmarks[uuid.MustParse(id)] = got
			case "clusters":
				s.clusters[id] = got
			default:
				t.Fatalf("there is a layer %q", layer.Name)
			}
		}
	}
	return s
}

// look is a tile as a client gets it.
func look(t *testing.T, by *apptest.Client, where tile.Tile) shown {
	t.Helper()
	got, err := by.GetLandmarkTileWithResponse(context.Background(), where.Z, where.X, where.Y, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), string(got.Body))
	require.Equal(t, "application/vnd.mapbox-vector-tile", got.HTTPResponse.Header.Get("Content-Type"))
	return decode(t, got.Body)
}

func unlocked(t *testing.T, by *apptest.Client, where tile.Tile) api.UnlockTile {
	t.Helper()
	got, err := by.GetUnlockTileWithResponse(context.Background(), where.Z, where.X, where.Y, nil)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

func unlock(t *testing.T, s *apptest.Server, by *apptest.Client, landmarks ...uuid.UUID) {
	t.Helper()
	require.NoError(t, s.Store.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for _, id := range landmarks {
			if err := tx.Unlock.Create().SetUserID(by.ID).SetLandmarkID(id).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	}))
}

// scatter adds landmarks at points in one statement.
func scatter(t *testing.T, s *apptest.Server, by *apptest.Client, area uuid.UUID, points []geo.Point) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, len(points))
	longitudes, latitudes := make([]float64, len(points)), make([]float64, len(points))
	for i, p := range points {
		ids[i], longitudes[i], latitudes[i] = uuid.New(), p.Longitude, p.Latitude
	}
	_, err := s.Store.Pool.Exec(t.Context(), `
INSERT INTO landmarks (id, created_at, updated_at, area_id, name, location, created_by)
SELECT id, now(), now(), $1, 'stone', ST_SetSRID(ST_MakePoint(x, y), 4326)::geography, $2
FROM unnest($3::uuid[], $4::float8[], $5::float8[]) AS p(id, x, y)`, area, by.ID, ids, longitudes, latitudes)
	require.NoError(t, err)
	return ids
}

// expected is what a tile has to show of landmarks, by the words of the contract: the
// landmarks of cells that hold few, and how many the others hold.
func expected(all map[uuid.UUID]geo.Point, where tile.Tile) (landmarks []uuid.UUID, clusters map[string]int) {
	few := 32
	if where.Z <= 13 {
		few = 1
	}
	cells := map[string][]uuid.UUID{}
	for id, p := range all {
		if at(p, where.Z) == where {
			cell := address(at(p, where.Z+3))
			cells[cell] = append(cells[cell], id)
		}
	}
	clusters = map[string]int{}
	for cell, ids := range cells {
		if len(ids) <= few {
			landmarks = append(landmarks, ids...)
		} else {
			clusters[cell] = len(ids)
		}
	}
	return landmarks, clusters
}

func sorted(ids []uuid.UUID) []uuid.UUID {
	return slices.SortedFunc(slices.Values(ids), func(a, b uuid.UUID) int { return cmp.Compare(a.String(), b.String()) })
}

// box reads a cluster's property.
func box(t *testing.T, f feature) geo.BBox {
	t.Helper()
	text, _ := f.properties["bbox"].(string)
	parsed, err := geo.ParseBBox(text)
	require.NoError(t, err, text)
	require.NotContains(t, text, " ")
	return parsed
}
