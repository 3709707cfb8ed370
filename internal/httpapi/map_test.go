package httpapi_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	entarea "github.com/picaspot/picaspot/ent/area"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/importer"
	rule "github.com/picaspot/picaspot/internal/name"
	"github.com/picaspot/picaspot/internal/store"
)

func export(t *testing.T, by *apptest.Client, params api.ExportLandmarksParams) []api.LandmarkFeature {
	t.Helper()
	got, err := by.ExportLandmarksWithResponse(context.Background(), &params)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), string(got.Body))
	require.Equal(t, "application/geo+json", got.HTTPResponse.Header.Get("Content-Type"))
	require.Equal(t, "no-store", got.HTTPResponse.Header.Get("Cache-Control"))
	require.Regexp(t, `^attachment; filename="picaspot-landmarks-[0-9-]{10}\.geojson"$`, got.HTTPResponse.Header.Get("Content-Disposition"))
	var document api.LandmarkFeatureCollection
	decoder := json.NewDecoder(bytes.NewReader(got.Body))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&document), string(got.Body))
	require.Equal(t, api.LandmarkFeatureCollectionTypeFeatureCollection, document.Type)
	return document.Features
}

func TestLandmarkExport(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	t.Run("has what the filters leave, the oldest first", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator, moderator := s.User(), s.As("moderator")
		require.Empty(t, export(t, creator, api.ExportLandmarksParams{}))
		area := s.Area(creator, "Harbour")
		pier := s.Area(creator, "Pier", func(in *api.AreaCreate) { in.ParentAreaID = nullable.NewNullableWithValue(area.ID) })
		light := s.Landmark(creator, area.ID, "Lighthouse", home, func(in *api.LandmarkCreate) {
			in.Difficulty, in.Hint = new(4), new("Look\nup.")
			in.PhotoLocation = nullable.NewNullableWithValue(api.Position{Latitude: 53.86, Longitude: 8.7})
		})
		beacon := s.Landmark(moderator, pier.ID, "Beacon", geo.Point{Latitude: -17, Longitude: 180})
		gone := s.Landmark(creator, area.ID, "Gone", home)
		deleted, err := creator.DeleteLandmarkWithResponse(ctx, gone.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, deleted.StatusCode())
		all := export(t, creator, api.ExportLandmarksParams{})
		require.Equal(t, api.LandmarkFeature{
			Type: api.LandmarkFeatureTypeFeature, ID: light.ID,
			Geometry: api.PointGeometry{Type: api.PointGeometryTypePoint, Coordinates: []float64{home.Longitude, home.Latitude}},
			Properties: api.LandmarkProperties{
				Name: "Lighthouse", Hint: "Look\nup.", Difficulty: 4, Area: "Harbour", AreaID: area.ID,
				UnlockRadiusMeters: 100, PhotoLocation: light.PhotoLocation, PhotoRadiusMeters: 50,
				AreaPath: []string{"Harbour"}, CreatedBy: creator.ID, CreatedAt: light.CreatedAt, UpdatedAt: light.UpdatedAt,
			},
		}, all[0])
		for name, test := range map[string]struct {
			params api.ExportLandmarksParams
			want   []uuid.UUID
		}{
			"nothing":          {api.ExportLandmarksParams{}, []uuid.UUID{light.ID, beacon.ID}},
			"the area":         {api.ExportLandmarksParams{AreaID: &area.ID}, []uuid.UUID{light.ID}},
			"the area's areas": {api.ExportLandmarksParams{AreaID: &area.ID, IncludeDescendants: new(true)}, []uuid.UUID{light.ID, beacon.ID}},
			"the difficulty":   {api.ExportLandmarksParams{Difficulty: new(4)}, []uuid.UUID{light.ID}},
			"the verified":     {api.ExportLandmarksParams{IsVerified: new(true)}, []uuid.UUID{beacon.ID}},
			"the creator":      {api.ExportLandmarksParams{CreatedBy: &creator.ID}, []uuid.UUID{light.ID}},
			"the box":          {api.ExportLandmarksParams{Bbox: new("170,-20,-170,0")}, []uuid.UUID{beacon.ID}},
			"the words":        {api.ExportLandmarksParams{Search: new("lighthuose")}, []uuid.UUID{light.ID}},
			"nobody's":         {api.ExportLandmarksParams{CreatedBy: new(uuid.New())}, nil},
		} {
			var ids []uuid.UUID
			for _, f := range export(t, creator, test.params) {
				ids = append(ids, f.ID)
			}
			require.Equal(t, test.want, ids, name)
		}
		refused, err := creator.ExportLandmarksWithResponse(ctx, &api.ExportLandmarksParams{Bbox: new("1,2,3,x")})
		require.NoError(t, err)
		p := apptest.Problem(t, http.StatusBadRequest, refused.HTTPResponse, refused.Body)
		require.Equal(t, "bbox", *(*p.Errors)[0].Parameter)
		unknown, err := s.Anonymous().ExportLandmarksWithResponse(ctx, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusUnauthorized, unknown.HTTPResponse, unknown.Body)
	})

	t.Run("has every one of many once", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		creator := s.User()
		area := s.Area(creator, "Harbour")
		_, err := s.Store.Pool.Exec(ctx, `
INSERT INTO landmarks (id, created_at, updated_at, area_id, name, location, created_by)
SELECT gen_random_uuid(), now() - (i / 700) * interval '1 second', now(), $1, 'stone', 'POINT(1 2)', $2 FROM generate_series(1, 2500) i`, area.ID, creator.ID)
		require.NoError(t, err)
		for name, params := range map[string]api.ExportLandmarksParams{"all": {}, "found": {Search: new("stone")}, "in a box": {Bbox: new("1,2,1,2")}} {
			features := export(t, creator, params)
			require.Len(t, features, 2500, name)
			require.True(t, slices.IsSortedFunc(features, func(a, b api.LandmarkFeature) int {
				return cmp.Or(a.Properties.CreatedAt.Compare(b.Properties.CreatedAt), bytes.Compare(a.ID[:], b.ID[:]))
			}), name)
			seen := map[uuid.UUID]bool{}
			for _, f := range features {
				seen[f.ID] = true
			}
			require.Len(t, seen, 2500, name)
		}
	})
}

// What an export has, an import takes: names byte for byte, places to the last digit.
func TestLandmarkExportComesBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	from, to := apptest.NewWithoutWorkers(t), apptest.NewWithoutWorkers(t)
	creator, owner := from.User(), to.User()
	names := []string{
		"東京都", "Ōsaka-jō 大阪城", "Ħal Saflieni", "بغداد", "תל אביב", "ประตูท่าแพ", "ʻIolani", "%_\\\"'", "<script>&amp;</script>", "a\u2028b", "\u202etest\u202e",
		"👩‍👩‍👧 🏳️‍🌈", "null", "-1", "1e5", "{}", "Z͑ͫ̓ͪ̂A̴̵̜̰͔ͫ͗", "\ufeffmark", "two\nlines\tand a tab", "ring \a bell", "\x7f\u0085",
	}
	if data := apptest.Data(t, "input", "blns", "blns.json"); data != nil {
		var naughty []string
		require.NoError(t, json.Unmarshal(data, &naughty))
		names = append(names, naughty...)
	}
	var real struct {
		Features []struct{ Properties map[string]any }
	}
	if data := apptest.Data(t, "places", "osm", "bayfront_singapore.pois.geojson"); data != nil {
		require.NoError(t, json.Unmarshal(data, &real))
	}
	for _, f := range real.Features {
		for _, key := range []string{"name", "name:zh", "name:ja", "name:ta"} {
			if name, ok := f.Properties[key].(string); ok {
				names = append(names, name)
			}
		}
	}
	area := from.Area(creator, "Old „Harbour“, 港")
	want := map[string]geo.Point{}
	for i, name := range names {
		// The API takes none that the rule of names changes or refuses.
		clean, err := rule.Clean("/name", name, 200)
		if err != nil {
			continue
		}
		name = clean
		// Numbers that take all their digits.
		want[name] = geo.Point{Latitude: -90 + 180*float64(i+1)/float64(len(names)+7), Longitude: 1e-7 / float64(i+3)}
	}
	require.NoError(t, from.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for name, at := range want {
			err := tx.Landmark.Create().SetAreaID(area.ID).SetName(name).SetDescription("About: " + name).SetLocation(at).SetCreatedBy(creator.ID).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	}))
	got, err := creator.ExportLandmarksWithResponse(ctx, nil)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "landmarks.geojson")
	require.NoError(t, os.WriteFile(path, got.Body, 0o600))
	for _, want := range []importer.Report{{Read: len(want), Created: len(want)}, {Read: len(want), Unchanged: len(want)}} {
		src, err := importer.Open(path, importer.SourceOptions{})
		require.NoError(t, err)
		report, err := importer.Import(ctx, to.Store, src, importer.Options{
			Namespace: "export", Area: "Imported", Owner: owner.ID, Rejected: func(r importer.Rejected) { t.Errorf("%+v", r) },
		})
		require.NoError(t, err)
		require.NoError(t, src.Close())
		require.Equal(t, want, report)
	}
	found := map[string]geo.Point{}
	for _, l := range to.Store.Ent.Landmark.Query().AllX(ctx) {
		found[l.Name] = l.Location
		require.Equal(t, "About: "+l.Name, l.Description)
	}
	require.Equal(t, want, found)
	require.Equal(t, 1, to.Store.Ent.Area.Query().Where(entarea.Name(area.Name), entarea.HasParentWith(entarea.Name("Imported"))).CountX(ctx))
}
