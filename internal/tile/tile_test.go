package tile_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/tile"
)

func TestLandmarkTile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	t.Run("shows landmarks in the street and their number from afar", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, moderator := s.User(), s.As("moderator")
		area := s.Area(creator, "Harbour")
		north := s.Landmark(moderator, area.ID, "Leuchtturm „Alte Liebe“ 灯台", here, func(in *api.LandmarkCreate) { in.Difficulty = new(4) })
		south := s.Landmark(creator, area.ID, "Kiosk", geo.Point{Latitude: here.Latitude - 0.0005, Longitude: here.Longitude})

		for _, zoom := range []int{14, 17} {
			street := look(t, creator, at(here, zoom))
			require.Empty(t, street.clusters)
			require.Len(t, street.landmarks, 2)
			shown := street.landmarks[north.ID]
			require.Equal(t, map[string]any{
				"id": north.ID.String(), "name": north.Name, "difficulty": float64(4), "is_verified": true, "area_id": area.ID.String(),
			}, shown.properties)
			x, y := place(here)
			where := at(here, zoom)
			require.InDelta(t, (x*float64(int(1)<<zoom)-float64(where.X))*4096, shown.x, 1)
			require.InDelta(t, (y*float64(int(1)<<zoom)-float64(where.Y))*4096, shown.y, 1)
			require.Less(t, shown.y, street.landmarks[south.ID].y, "y points south")
		}
		afar := look(t, creator, tile.Tile{})
		require.Empty(t, afar.landmarks)
		require.Len(t, afar.clusters, 1)
		cell := address(at(here, 3))
		cluster := afar.clusters[cell]
		require.InDelta(t, 2, cluster.properties["count"], 0)
		require.Equal(t, geo.BBox{West: 0, South: 40.979898, East: 45, North: 66.5132605}, box(t, cluster))
		inside, err := creator.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{Bbox: new(fmt.Sprint(cluster.properties["bbox"]))})
		require.NoError(t, err)
		require.Equal(t, 2, *inside.JSON200.Total)
		nowhere, err := creator.GetLandmarkTileWithResponse(ctx, 3, 0, 0, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, nowhere.StatusCode())
		require.Empty(t, nowhere.Body)
	})

	t.Run("has a tag that changes with what it shows", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		area := s.Area(creator, "Harbour")
		made := s.Landmark(creator, area.ID, "Lighthouse", here)
		get := func(zoom int, tag string) *api.GetLandmarkTileResponse {
			where := at(here, zoom)
			got, err := s.User().GetLandmarkTileWithResponse(ctx, where.Z, where.X, where.Y, &api.GetLandmarkTileParams{IfNoneMatch: &tag})
			require.NoError(t, err)
			require.Equal(t, "private, no-cache", got.HTTPResponse.Header.Get("Cache-Control"))
			return got
		}
		tags := map[int]string{}
		for _, zoom := range []int{5, 14} {
			tags[zoom] = get(zoom, "").HTTPResponse.Header.Get("ETag")
			require.Regexp(t, `^"[0-9a-f]{32}"$`, tags[zoom])
			same := get(zoom, `"x", W/`+tags[zoom])
			require.Equal(t, http.StatusNotModified, same.StatusCode())
			require.Empty(t, same.Body)
		}
		_, err := creator.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, made.ID, nil, api.LandmarkUpdate{Hint: nullable.NewNullableWithValue("Look up.")})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotModified, get(14, tags[14]).StatusCode(), "hints are not shown")
		_, err = creator.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, made.ID, nil, api.LandmarkUpdate{Name: new("Old Lighthouse")})
		require.NoError(t, err)
		for zoom, tag := range tags {
			changed := get(zoom, tag)
			require.Equal(t, http.StatusOK, changed.StatusCode())
			require.Equal(t, "Old Lighthouse", decode(t, changed.Body).landmarks[made.ID].properties["name"])
		}
	})

	t.Run("is refused where there is none", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		user := s.User()
		for path, want := range map[string][]string{
			"23/0/0": {"z"}, "-1/0/0": {"z"}, "2/4/0": {"x"}, "2/0/4": {"y"}, "2/4/-1": {"y"}, "0/1/1": {"x", "y"},
			"x/y/1.5": {"z", "x", "y"}, "22/4194304/4194303": {"x"},
		} {
			for _, kind := range []string{"landmarks", "unlocks"} {
				response, body := s.Call(user, http.MethodGet, "/api/v1/tiles/"+kind+"/"+path, "", nil)
				p := apptest.Problem(t, http.StatusBadRequest, response, body)
				var named []string
				for _, fault := range *p.Errors {
					named = append(named, *fault.Parameter)
				}
				require.ElementsMatch(t, want, named, path)
			}
		}
		response, body := s.Call(nil, http.MethodGet, "/api/v1/tiles/landmarks/0/0/0", "", nil)
		apptest.Problem(t, http.StatusUnauthorized, response, body)
	})
}

// Whatever is created, moved, deleted and restored, counted or not: every tile shows
// what a look at all landmarks says that it has to.
func TestTilesShowWhatThereIs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator, explorer := s.User(), s.User()
	area := s.Area(creator, "field").ID
	random := rand.New(rand.NewPCG(7, 11))
	points := []geo.Point{
		{}, {Longitude: 180}, {Longitude: -180}, {Latitude: 90, Longitude: 12}, {Latitude: -90, Longitude: 12}, {Latitude: 85.1, Longitude: -180},
		{Latitude: -85.0512, Longitude: 180}, {Latitude: 90, Longitude: 180}, {Latitude: -17, Longitude: 179.9999}, {Latitude: -17, Longitude: -179.9999},
	}
	near := func(p geo.Point, degrees float64) geo.Point {
		return geo.Point{
			Latitude:  min(max(p.Latitude+(random.Float64()-0.5)*degrees, -90), 90),
			Longitude: min(max(p.Longitude+(random.Float64()-0.5)*degrees, -180), 180),
		}
	}
	for i := range 400 {
		points = append(points, near(geo.Point{Latitude: float64(random.IntN(170)) - 85, Longitude: float64(random.IntN(360)) - 180}, []float64{90, 1, 0.01}[i%3]))
	}
	for range 32 {
		points = append(points, here)
	}
	for range 33 {
		points = append(points, geo.Point{Latitude: -here.Latitude, Longitude: here.Longitude})
	}
	all := map[uuid.UUID]geo.Point{}
	for i, id := range scatter(t, s, creator, area, points) {
		all[id] = points[i]
	}
	var mine []uuid.UUID
	for id := range all {
		if random.IntN(3) == 0 || all[id] == here {
			mine = append(mine, id)
		}
	}
	unlock(t, s, explorer, mine...)

	check := func(what string) {
		t.Helper()
		for _, zoom := range []int{0, 3, 6, 9, 13, 14, 22} {
			tiles := map[tile.Tile]bool{at(here, zoom): true, at(points[len(points)-1], zoom): true}
			for i := range 14 {
				p := points[i%10]
				if i >= 10 {
					p = points[random.IntN(len(points))]
				}
				tiles[at(p, zoom)] = true
			}
			for where := range tiles {
				landmarks, clusters := expected(all, where)
				data, err := s.Tiles.Landmarks(ctx, where)
				require.NoError(t, err)
				got := decode(t, data)
				require.Equal(t, sorted(landmarks), sorted(slices.Collect(maps.Keys(got.landmarks))), "%s: %v", what, where)
				require.Len(t, got.clusters, len(clusters), "%s: %v", what, where)
				held := map[string]geo.BBox{}
				for cell, count := range clusters {
					require.InDelta(t, count, got.clusters[cell].properties["count"], 0, "%s: %v has %s", what, where, cell)
					held[cell] = box(t, got.clusters[cell])
				}
				for id, p := range all {
					if b, clustered := held[address(at(p, zoom+3))]; clustered {
						require.True(t, b.Contains(p), "%s: %s at %v in %v", what, id, p, b)
					}
				}
				unlocked := map[uuid.UUID]geo.Point{}
				for _, id := range mine {
					if p, living := all[id]; living {
						unlocked[id] = p
					}
				}
				ids, more := expected(unlocked, where)
				own, err := s.Tiles.Unlocked(ctx, where, explorer.ID)
				require.NoError(t, err)
				require.Equal(t, sorted(ids), sorted(own.LandmarkIDs), "%s: %v", what, where)
				total := 0
				for _, cell := range own.Cells {
					total += cell.Unlocked
					if count, clustered := more[cell.ID]; clustered {
						require.Equal(t, count, cell.Unlocked)
					}
				}
				for _, count := range more {
					total -= count
				}
				require.Equal(t, len(ids), total)
			}
		}
	}
	exec := func(statement string, args ...any) {
		t.Helper()
		_, err := s.Store.Pool.Exec(ctx, statement, args...)
		require.NoError(t, err)
	}
	check("nothing is counted")
	require.NoError(t, s.Tiles.Count(ctx))
	check("all is counted")

	kept := maps.Clone(all)
	ids := sorted(slices.Collect(maps.Keys(all)))
	for _, id := range ids[:60] {
		p := near(all[id], []float64{0.0001, 0.1, 100}[random.IntN(3)])
		exec("UPDATE landmarks SET location = $2 WHERE id = $1", id, p)
		all[id], kept[id] = p, p
	}
	exec("UPDATE landmarks SET deleted_at = now() WHERE id = ANY($1)", ids[50:150])
	exec("DELETE FROM landmarks WHERE id = ANY($1)", ids[140:160])
	for _, id := range ids[50:160] {
		delete(all, id)
	}
	for _, id := range ids[140:160] {
		delete(kept, id)
	}
	check("changes are not counted")
	require.NoError(t, s.Tiles.Count(ctx))
	check("changes are counted")

	exec("UPDATE landmarks SET deleted_at = NULL WHERE deleted_at IS NOT NULL")
	all = kept
	check("the deleted are back")
	exec("UPDATE landmark_cells SET n = n + 1, x = 0")
	exec("SELECT recount_landmarks()")
	check("all was counted anew")

	exec("DELETE FROM landmarks")
	all = map[uuid.UUID]geo.Point{}
	require.NoError(t, s.Tiles.Count(ctx))
	var left int
	require.NoError(t, s.Store.Pool.QueryRow(ctx, "SELECT (SELECT count(*) FROM landmark_cells) + (SELECT count(*) FROM landmark_cell_changes)").Scan(&left))
	require.Zero(t, left)
}

// What is acknowledged is shown, whoever writes, counts and asks at the same time, and
// writers in one place do not wait for each other.
func TestCountingMeanwhile(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour").ID
	ctx, stop := context.WithCancel(context.Background())
	var counting sync.WaitGroup
	for range 2 {
		counting.Go(func() {
			for ctx.Err() == nil {
				if err := s.Tiles.Count(context.WithoutCancel(ctx)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	total := func() int {
		data, err := s.Tiles.Landmarks(context.WithoutCancel(ctx), tile.Tile{})
		if err != nil {
			t.Error(err)
			return 0
		}
		n := 0
		shown := decode(t, data)
		for _, c := range shown.clusters {
			n += int(c.properties["count"].(float64))
		}
		return n + len(shown.landmarks)
	}
	const writers, each = 4, 25
	var writing sync.WaitGroup
	var mu sync.Mutex
	acknowledged := 0
	for range writers {
		writing.Go(func() {
			for range each {
				scatter(t, s, creator, area, []geo.Point{here, here})
				mu.Lock()
				acknowledged += 2
				atLeast := acknowledged
				mu.Unlock()
				if got := total(); got < atLeast || got > 2*writers*each {
					t.Errorf("%d are shown, %d were acknowledged", got, atLeast)
				}
			}
		})
	}
	writing.Wait()
	stop()
	counting.Wait()
	require.Equal(t, 2*writers*each, total())
	require.NoError(t, s.Tiles.Count(context.Background()))
	require.Equal(t, 2*writers*each, total())
}

func TestWorkersCount(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	creator := s.User()
	s.Landmark(creator, s.Area(creator, "Harbour").ID, "Lighthouse", here)
	require.NoError(t, s.Store.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.Enqueue(ctx, tile.CountArgs{}, nil)
	}))
	require.Eventually(t, func() bool {
		var left, counted int
		err := s.Store.Pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM landmark_cell_changes), (SELECT count(*) FROM landmark_cells)").Scan(&left, &counted)
		return err == nil && left == 0 && counted == 5
	}, 30*time.Second, 20*time.Millisecond, "the job was not worked off")
}

func TestUnlockTile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator, explorer, other := s.User(), s.User(), s.User()
	area := s.Area(creator, "Harbour").ID
	a := s.Landmark(creator, area, "a", here).ID
	b := s.Landmark(creator, area, "b", geo.Point{Latitude: here.Latitude, Longitude: here.Longitude + 0.0001}).ID
	s.Landmark(creator, area, "c", here)
	nothing := unlocked(t, explorer, tile.Tile{})
	require.Equal(t, api.UnlockTile{LandmarkIds: []uuid.UUID{}, Cells: []api.UnlockCell{}}, nothing)

	unlock(t, s, explorer, a, b)
	unlock(t, s, other, a)
	afar := unlocked(t, explorer, tile.Tile{})
	require.Empty(t, afar.LandmarkIds, "they are in a cluster")
	require.Equal(t, []api.UnlockCell{{ID: address(at(here, 3)), Unlocked: 2}}, afar.Cells)
	require.Contains(t, look(t, explorer, tile.Tile{}).clusters, afar.Cells[0].ID)
	street := at(here, 15)
	require.ElementsMatch(t, []uuid.UUID{a, b}, unlocked(t, explorer, street).LandmarkIds)
	require.Equal(t, []uuid.UUID{a}, unlocked(t, other, street).LandmarkIds)
	require.Empty(t, unlocked(t, creator, street).LandmarkIds)

	first, err := explorer.GetUnlockTileWithResponse(ctx, street.Z, street.X, street.Y, nil)
	require.NoError(t, err)
	tag := first.HTTPResponse.Header.Get("ETag")
	require.Equal(t, "private, no-cache", first.HTTPResponse.Header.Get("Cache-Control"))
	again := func() int {
		got, err := explorer.GetUnlockTileWithResponse(ctx, street.Z, street.X, street.Y, &api.GetUnlockTileParams{IfNoneMatch: &tag})
		require.NoError(t, err)
		return got.StatusCode()
	}
	require.Equal(t, http.StatusNotModified, again())
	gone, err := creator.DeleteLandmarkWithResponse(ctx, b, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, gone.StatusCode())
	require.Equal(t, http.StatusOK, again())
	require.Equal(t, []uuid.UUID{a}, unlocked(t, explorer, street).LandmarkIds)
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	fiji := geo.Point{Latitude: -17, Longitude: 179.9}
	points := slices.Repeat([]geo.Point{here}, 100)
	points = append(points, slices.Repeat([]geo.Point{fiji, {Latitude: -17, Longitude: -179.9}}, 10)...)
	scatter(t, s, creator, s.Area(creator, "Harbour").ID, points)
	require.NoError(t, s.Tiles.Count(t.Context()))
	around := func(p geo.Point, degrees float64) geo.BBox {
		return geo.BBox{West: p.Longitude - degrees, South: p.Latitude - degrees, East: p.Longitude + degrees, North: p.Latitude + degrees}
	}
	for want, boxes := range map[int][]geo.BBox{
		120: {geo.World, {West: 0, South: -90, East: -1, North: 90}},
		100: {around(here, 0.001), around(here, 0.5), around(here, 30)},
		20:  {{West: 179, South: -18, East: -179, North: -16}, {West: 100, South: -80, East: -100, North: 10}},
		10:  {around(fiji, 0.05), {West: 0, South: -90, East: 180, North: 0}},
		0:   {around(geo.Point{}, 1), {West: 10, South: 53, East: 8, North: 53.5}},
	} {
		for _, box := range boxes {
			got, err := tile.Estimate(t.Context(), s.Store, box)
			require.NoError(t, err)
			require.Equal(t, want, got, "%v", box)
		}
	}
}
