package landmark_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/page"
)

// scatterAround makes landmarks around points, many of them at exactly a distance.
func scatterAround(t *testing.T, s *apptest.Server, area, creator uuid.UUID, points []geo.Point) {
	t.Helper()
	latitudes, longitudes := make([]float64, len(points)), make([]float64, len(points))
	for i, p := range points {
		latitudes[i], longitudes[i] = p.Latitude, p.Longitude
	}
	_, err := s.Store.Pool.Exec(t.Context(), `
INSERT INTO landmarks (id, created_at, updated_at, area_id, name, location, created_by, is_verified)
SELECT gen_random_uuid(), now(), now(), $1, 'Point ' || i, ST_SetSRID(ST_MakePoint(x, y), 4326)::geography, $2, i % 3 = 0
FROM unnest($3::float8[], $4::float8[]) WITH ORDINALITY AS p(x, y, i)`, area, creator, longitudes, latitudes)
	require.NoError(t, err)
}

// centres are where the two ways could differ: at the antimeridian, the poles, edges
// of cells, the equator, and anywhere.
func centres(r *rand.Rand) []geo.Point {
	all := []geo.Point{
		{Latitude: 0, Longitude: 0}, {Latitude: 0, Longitude: 180}, {Latitude: 0, Longitude: -180}, {Latitude: 89.999, Longitude: 12},
		{Latitude: 90, Longitude: 0}, {Latitude: -90, Longitude: 77}, {Latitude: -89.99, Longitude: -180}, {Latitude: 65, Longitude: 179.9999},
		{Latitude: -17.7, Longitude: -179.998}, {Latitude: 51.4775, Longitude: 0.0000001}, {Latitude: 80, Longitude: -0.001},
	}
	box := geo.CellOf(geo.Point{Latitude: 47.1, Longitude: 9.5}).Box()
	all = append(all, geo.Point{Latitude: box.South, Longitude: box.West}, geo.Point{Latitude: box.North, Longitude: box.East})
	for range 20 {
		all = append(all, geo.Point{Latitude: math.Asin(2*r.Float64()-1) * 180 / math.Pi, Longitude: 360*r.Float64() - 180})
	}
	return all
}

func offset(p geo.Point, meters, bearing float64) geo.Point {
	latitude := p.Latitude + meters/111_195*math.Cos(bearing)
	longitude := p.Longitude + meters/111_195*math.Sin(bearing)/math.Max(1e-9, math.Cos(p.Latitude*math.Pi/180))
	return geo.Point{Latitude: math.Max(-90, math.Min(90, latitude)), Longitude: math.Remainder(longitude, 360)}
}

// TestCopiesSayWhatPostGISSays asks the service that keeps copies and one that does
// not for the same, and wants the same answers: items, order, distances to the
// centimetre, totals, cursors.
func TestCopiesSayWhatPostGISSays(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	area, other := s.Area(admin, "One").ID, s.Area(admin, "Other").ID
	user := s.User()
	r := rand.New(rand.NewPCG(11, 12))
	for i, c := range centres(r) {
		var points []geo.Point
		for range 60 {
			points = append(points, offset(c, 3000*math.Sqrt(r.Float64()), 2*math.Pi*r.Float64()))
		}
		in := []uuid.UUID{area, other}[i%2]
		scatterAround(t, s, in, admin.ID, append(points, c, c))
	}
	_, err := s.Store.Pool.Exec(t.Context(), `INSERT INTO unlocks (id, created_at, updated_at, user_id, landmark_id)
SELECT gen_random_uuid(), now(), now(), $1, id FROM landmarks WHERE abs(hashtext(id::text)) % 4 = 0`, user.ID)
	require.NoError(t, err)
	ctx := authz.WithCaller(t.Context(), authz.Caller{UserID: user.ID})
	plain := withoutCopies(t, s)
	yes, no := true, false
	inCells := 0
	for n, c := range centres(rand.New(rand.NewPCG(11, 12))) {
		for _, radius := range []float64{1, 99.5, 1000, 2500, 5000, 50_000} {
			in := landmark.Nearby{Center: offset(c, 200*r.Float64(), 2*math.Pi*r.Float64()), RadiusMeters: radius}
			if n%2 == 0 {
				in.Center = c
			}
			switch n % 6 {
			case 1:
				in.IsVerified = &yes
			case 2:
				in.Unlocked = &yes
			case 3:
				in.Unlocked, in.IsVerified = &no, &no
			case 4:
				in.AreaID = &other
			}
			want := all(ctx, t, plain, in)
			for range 3 {
				require.Equal(t, want, all(ctx, t, s.Landmarks, in), "%v within %g m, case %d", in.Center, radius, n%6)
			}
			if s.Landmarks.NearbyWords(in, user.ID) != nil {
				inCells++
			}
		}
	}
	require.Greater(t, inCells, 100, "most were answered from copies")
}

// realPlaces are where real places are: those of a dense city, and of all the world.
func realPlaces(t *testing.T) []geo.Point {
	t.Helper()
	var places []geo.Point
	add := func(latitude, longitude float64) {
		at, err := geo.New(latitude, longitude)
		require.NoError(t, err)
		places = append(places, at)
	}
	for line := range strings.Lines(string(apptest.Data(t, "places", "geonames_singapore", "SG.txt"))) {
		fields := strings.Split(line, "\t")
		latitude, err := strconv.ParseFloat(fields[4], 64)
		require.NoError(t, err)
		longitude, err := strconv.ParseFloat(fields[5], 64)
		require.NoError(t, err)
		add(latitude, longitude)
	}
	for _, path := range [][]string{
		{"places", "unesco_whs_2024", "coordinates.geojson"}, {"places", "osm", "liechtenstein-latest.pois.geojson"},
		{"places", "osm", "bayfront_singapore.pois.geojson"},
	} {
		data := apptest.Data(t, path...)
		if data == nil {
			continue
		}
		var all struct {
			Features []struct {
				Geometry struct {
					Type        string
					Coordinates json.RawMessage
				}
			}
		}
		require.NoError(t, json.Unmarshal(data, &all))
		for _, f := range all.Features {
			if f.Geometry.Type != "Point" {
				continue
			}
			var at []float64
			require.NoError(t, json.Unmarshal(f.Geometry.Coordinates, &at))
			add(at[1], at[0])
		}
	}
	return places
}

func TestCopiesSayWhatPostGISSaysOfRealPlaces(t *testing.T) {
	t.Parallel()
	places := realPlaces(t)
	if places == nil {
		t.Skip("there is no real data on this machine")
	}
	require.Greater(t, len(places), 3000)
	s := apptest.NewWithoutWorkers(t)
	admin, user := s.As("admin"), s.User()
	scatterAround(t, s, s.Area(admin, "Earth").ID, admin.ID, places)
	_, err := s.Store.Pool.Exec(t.Context(), `INSERT INTO unlocks (id, created_at, updated_at, user_id, landmark_id)
SELECT gen_random_uuid(), now(), now(), $1, id FROM landmarks WHERE abs(hashtext(id::text)) % 4 = 0`, user.ID)
	require.NoError(t, err)
	ctx := authz.WithCaller(t.Context(), authz.Caller{UserID: user.ID})
	plain := withoutCopies(t, s)
	r := rand.New(rand.NewPCG(21, 22))
	found := 0
	for range 60 {
		center := offset(places[r.IntN(len(places))], 300*r.Float64(), 2*math.Pi*r.Float64())
		for _, radius := range []float64{150, 1000, 4000} {
			in := landmark.Nearby{Center: center, RadiusMeters: radius}
			want := all(ctx, t, plain, in)
			found += len(want)
			for range 2 {
				require.Equal(t, want, all(ctx, t, s.Landmarks, in), "%v within %g m", center, radius)
			}
		}
	}
	require.Greater(t, found, 1000)
}

// withoutCopies is the service on the same database, asking PostGIS each time.
func withoutCopies(t *testing.T, s *apptest.Server) *landmark.Service {
	t.Helper()
	c := s.Config
	c.CacheMemory = 0
	plain, err := app.New(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(plain.Close)
	return plain.Landmarks
}

// all walks a list by page and by cursor, and holds the two against each other.
func all(ctx context.Context, t *testing.T, service *landmark.Service, in landmark.Nearby) []string {
	t.Helper()
	describe := func(n landmark.Near) string {
		var body map[string]any
		require.NoError(t, json.Unmarshal(n.Body, &body))
		require.Equal(t, n.ID.String(), body["id"])
		return fmt.Sprintf("%s %.2f %t %v", n.ID, n.DistanceMeters, n.Unlocked, body["name"])
	}
	var byPage, byCursor []string
	for number := 1; ; number++ {
		result, err := service.Nearby(ctx, in, page.Params{Page: number, Size: 23})
		require.NoError(t, err)
		for _, n := range result.Items() {
			byPage = append(byPage, describe(n))
		}
		if number >= result.Offset.Pages {
			require.Len(t, byPage, result.Offset.Total)
			break
		}
	}
	cursor := ""
	for {
		result, err := service.Nearby(ctx, in, page.Params{Cursor: &cursor, Size: 17})
		require.NoError(t, err)
		for _, n := range result.Items() {
			byCursor = append(byCursor, describe(n))
		}
		if result.Keyset.NextCursor == nil {
			break
		}
		cursor = *result.Keyset.NextCursor
	}
	require.Equal(t, byPage, byCursor)
	return byPage
}

// TestTheEdgeOfTheRadius asks for radii that are a thousandth of a millimetre beside a
// distance, and some more.
func TestTheEdgeOfTheRadius(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	center := geo.Point{Latitude: 47.1410, Longitude: 9.5209}
	r := rand.New(rand.NewPCG(5, 5))
	var points []geo.Point
	for range 200 {
		points = append(points, offset(center, 1500*r.Float64(), 2*math.Pi*r.Float64()))
	}
	scatterAround(t, s, s.Area(admin, "Edge").ID, admin.ID, points)
	ctx := authz.WithCaller(t.Context(), authz.Caller{UserID: admin.ID})
	plain := withoutCopies(t, s)
	for _, p := range points {
		distance := center.DistanceMeters(p)
		for _, radius := range []float64{distance - 1e-6, distance + 1e-6, distance - 0.02, distance + 0.02} {
			if radius < 1 {
				continue
			}
			in := landmark.Nearby{Center: center, RadiusMeters: radius}
			want, err := plain.Nearby(ctx, in, page.Params{Size: 1})
			require.NoError(t, err)
			for range 2 {
				got, err := s.Landmarks.Nearby(ctx, in, page.Params{Size: 1})
				require.NoError(t, err)
				require.Equal(t, want.Offset.Total, got.Offset.Total, "a radius of %v m, and one at %v m", radius, distance)
			}
		}
	}
}

// TestAWriteShowsInTheNextRead goes through each way in which a landmark changes.
func TestAWriteShowsInTheNextRead(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	area := s.Area(admin, "Bennelong Point").ID
	at := geo.Point{Latitude: -33.8568, Longitude: 151.2153}
	nearby := func() []api.NearbyLandmark {
		var items []api.NearbyLandmark
		for range 3 { // The third comes from a copy.
			response, err := admin.ListNearbyLandmarksWithResponse(t.Context(), &api.ListNearbyLandmarksParams{
				Latitude: at.Latitude, Longitude: at.Longitude, RadiusMeters: 500,
			})
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, response.StatusCode(), "%s", response.Body)
			items = response.JSON200.Items
		}
		return items
	}
	require.Empty(t, nearby())
	created := s.Landmark(admin, area, "Opera House", at)
	require.Equal(t, created.ID, nearby()[0].ID)

	name := "Renamed <&> \" \U0001F5FC"
	updated, err := admin.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(t.Context(), created.ID, nil, api.LandmarkUpdate{Name: &name})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, updated.StatusCode(), "%s", updated.Body)
	name = updated.JSON200.Name // The separator of lines became a space.
	require.Equal(t, name, nearby()[0].Name)

	away := at.Longitude + 0.1
	_, err = admin.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(t.Context(), created.ID, nil, api.LandmarkUpdate{Longitude: &away})
	require.NoError(t, err)
	require.Empty(t, nearby(), "it moved to another cell")
	back := at.Longitude
	_, err = admin.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(t.Context(), created.ID, nil, api.LandmarkUpdate{Longitude: &back})
	require.NoError(t, err)
	require.Len(t, nearby(), 1)

	deleted, err := admin.DeleteAreaWithResponse(t.Context(), area, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	require.Empty(t, nearby(), "its area took it along")
	restored, err := admin.RestoreAreaWithResponse(t.Context(), area)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, restored.StatusCode())
	require.Equal(t, name, nearby()[0].Name)
	require.WithinDuration(t, time.Now(), nearby()[0].UpdatedAt, time.Hour)
}

// TestACrowdedCell has more landmarks in one place than a copy holds.
func TestACrowdedCell(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	at := geo.Point{Latitude: 35.6595, Longitude: 139.7005}
	_, err := s.Store.Pool.Exec(t.Context(), `
INSERT INTO landmarks (id, created_at, updated_at, area_id, name, location, created_by)
SELECT gen_random_uuid(), now(), now(), $1, 'Shop ' || i, ST_SetSRID(ST_MakePoint($3 + i * 1e-8, $2), 4326)::geography, $4
FROM generate_series(1, 10001) i`, s.Area(admin, "Shibuya").ID, at.Latitude, at.Longitude, admin.ID)
	require.NoError(t, err)
	ctx := authz.WithCaller(t.Context(), authz.Caller{UserID: admin.ID})
	for range 3 {
		got, err := s.Landmarks.Nearby(ctx, landmark.Nearby{Center: at, RadiusMeters: 200}, page.Params{Size: 5})
		require.NoError(t, err)
		require.Equal(t, 10_001, got.Offset.Total)
		require.Len(t, got.Items(), 5)
	}
}
