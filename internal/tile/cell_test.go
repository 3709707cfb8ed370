package tile_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/tile"
)

// The landmarks on the edges of a cell are in one cell only, whereas the box of degrees has
// all four edges.
func TestClustersListWhatTheyCount(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "field").ID
	const side = 360.0 / 64 // Of a cell of zoom 3.
	points := []geo.Point{
		{Latitude: -90, Longitude: 180}, {}, {Longitude: side}, {Longitude: -side}, {Longitude: 180}, {Longitude: -180}, {Latitude: 1, Longitude: 180}, {Latitude: 1, Longitude: -180},
		{Latitude: 90, Longitude: 1}, {Latitude: 89, Longitude: 1}, {Latitude: -90, Longitude: 1}, {Latitude: -86, Longitude: side},
		{Latitude: 1, Longitude: 1}, {Latitude: 1, Longitude: side}, {Latitude: -1, Longitude: 1}, {Latitude: -1, Longitude: side}, {Latitude: -1, Longitude: 2},
		{Latitude: 1, Longitude: -1}, {Latitude: 2, Longitude: -1}, {Latitude: 1, Longitude: side + 1},
	}
	scatter(t, s, creator, area, points)
	total := func(params api.ListLandmarksParams) int {
		list, err := creator.ListLandmarksWithResponse(ctx, &params)
		require.NoError(t, err)
		require.NotNil(t, list.JSON200, string(list.Body))
		require.Len(t, list.JSON200.Items, *list.JSON200.Total)
		return *list.JSON200.Total
	}
	clusters, inBoxes := 0, 0
	for zoom := range 4 {
		for x := range 1 << zoom {
			for y := range 1 << zoom {
				for cell, cluster := range look(t, creator, tile.Tile{Z: zoom, X: x, Y: y}).clusters {
					clusters++
					count, ok := cluster.properties["count"].(float64)
					require.True(t, ok)
					bbox, ok := cluster.properties["bbox"].(string)
					require.True(t, ok)
					require.Equal(t, int(count), total(api.ListLandmarksParams{Cell: &cell}), cell)
					require.Equal(t, int(count), total(api.ListLandmarksParams{Cell: &cell, Bbox: &bbox, AreaID: &area, Search: new("stone")}), cell)
					inBoxes += total(api.ListLandmarksParams{Bbox: &bbox}) - int(count)
					_, exported := s.Call(creator, http.MethodGet, "/api/v1/landmarks.geojson?cell="+cell, "", nil)
					require.Equal(t, int(count), bytes.Count(exported, []byte(`"Feature"`)), "%s: %s", cell, exported)
				}
			}
		}
	}
	require.Greater(t, clusters, 10)
	require.Positive(t, inBoxes, "there is none on an edge")
	require.Equal(t, len(points), total(api.ListLandmarksParams{Cell: new("0/0/0")}))
	require.Equal(t, 1, total(api.ListLandmarksParams{Cell: new("25/33554431/33554431")}), "the corner in the south east")

	for _, wrong := range []string{"26/0/0", "3/8/0", "3/0/8", "03/0/0", "3/0", "3/-1/0", "a/b/c", "", "3/0/0/0"} {
		for _, path := range []string{"/api/v1/landmarks", "/api/v1/landmarks.geojson"} {
			response, body := s.Call(creator, http.MethodGet, path+"?bbox=1,2,3,x&cell="+strings.ReplaceAll(wrong, "/", "%2F"), "", nil)
			p := apptest.Problem(t, http.StatusBadRequest, response, body)
			named := map[string]bool{}
			for _, fault := range *p.Errors {
				named[*fault.Parameter] = true
			}
			require.True(t, named["cell"], "%s: %s", wrong, body)
		}
	}
	response, body := s.Call(creator, http.MethodGet, "/api/v1/landmarks?bbox=1,9,3,4&cell=3%2F8%2F0", "", nil)
	require.Len(t, *apptest.Problem(t, http.StatusBadRequest, response, body).Errors, 2, "both filters are named")
}
