package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/importer"
)

// ids are the values of an export that another installation gives out itself.
var ids = regexp.MustCompile(`"(id|area_id|created_by)":"[0-9a-f-]{36}"`)

func exportText(t *testing.T, by *apptest.Client) string {
	t.Helper()
	got, err := by.ExportLandmarksWithResponse(context.Background(), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), string(got.Body))
	return string(got.Body)
}

func importText(t *testing.T, to *apptest.Server, content string, opts importer.Options) importer.Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "landmarks.geojson")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	src, err := importer.Open(path, importer.SourceOptions{})
	require.NoError(t, err)
	defer src.Close()
	opts.Namespace, opts.Area = "export", "Imported"
	opts.Rejected = func(r importer.Rejected) { t.Errorf("%+v", r) }
	report, err := importer.Import(t.Context(), to.Store, src, opts)
	require.NoError(t, err)
	return report
}

// What is exported, imported into an empty installation and exported again is the same
// but for ids: all values, the areas above, and the order.
func TestAnExportIsTheSameAfterAnImport(t *testing.T) {
	t.Parallel()
	from, to := apptest.NewWithoutWorkers(t), apptest.NewWithoutWorkers(t)
	creator, moderator, owner := from.User(), from.As("moderator"), to.User()
	coast := from.Area(creator, "Coast")
	harbour := from.Area(creator, "Old „Harbour“, 港", func(in *api.AreaCreate) { in.ParentAreaID = nullable.NewNullableWithValue(coast.ID) })
	// Another of the same name elsewhere.
	pier := from.Area(creator, "Coast", func(in *api.AreaCreate) { in.ParentAreaID = nullable.NewNullableWithValue(harbour.ID) })
	from.Landmark(creator, coast.ID, "Stone", home)
	from.Landmark(moderator, pier.ID, "Beacon", geo.Point{Latitude: -17.123456789012345, Longitude: 180}, func(in *api.LandmarkCreate) {
		in.Difficulty, in.Hint, in.Description = new(5), new("Look\nup."), new("Tall & <old>.")
		in.UnlockRadiusMeters, in.PhotoRadiusMeters = new(12.25), new(9999.5)
		in.PhotoLocation = nullable.NewNullableWithValue(api.Position{Latitude: -17.1, Longitude: -179.99999})
	})
	from.Landmark(creator, harbour.ID, "Quay", geo.Point{})
	// Of one moment, so that only the ids tell their order.
	_, err := from.Store.Pool.Exec(t.Context(), `
INSERT INTO landmarks (id, created_at, updated_at, area_id, name, location, created_by, difficulty)
SELECT gen_random_uuid(), '2026-01-02 03:04:05.678901Z', now(), $1, 'many ' || i, 'POINT(1 2)', $2, 1 + i % 5 FROM generate_series(1, 1200) i`, pier.ID, creator.ID)
	require.NoError(t, err)

	before := exportText(t, creator)
	for _, want := range []importer.Report{{Read: 1203, Created: 1203}, {Read: 1203, Unchanged: 1203}} {
		require.Equal(t, want, importText(t, to, before, importer.Options{Owner: owner.ID, MayVerify: true, IsRooted: true}))
		after := exportText(t, owner)
		require.Equal(t, ids.ReplaceAllString(before, `"$1"`), ids.ReplaceAllString(after, `"$1"`))
	}
	require.Equal(t, 3, to.Store.Ent.Area.Query().CountX(t.Context()))

	t.Run("a row that changed wins, and what people changed stays", func(t *testing.T) {
		changed := strings.NewReplacer(`"difficulty":5,"hint":"Look\nup."`, `"difficulty":4,"hint":"Look\nup."`).Replace(before)
		changed = strings.Replace(changed, `"photo_location":{"latitude":-17.1,"longitude":-179.99999}`, `"photo_location":null`, 1)
		require.NotEqual(t, before, changed)
		_, err := to.Store.Pool.Exec(t.Context(), "UPDATE landmarks SET unlock_radius_meters = 77 WHERE name = 'Beacon'")
		require.NoError(t, err)
		report := importText(t, to, changed, importer.Options{Owner: owner.ID, MayVerify: true, IsRooted: true})
		require.Equal(t, importer.Report{Read: 1203, Updated: 1, Unchanged: 1202}, report)
		features := export(t, owner, api.ExportLandmarksParams{})
		i := slices.IndexFunc(features, func(f api.LandmarkFeature) bool { return f.Properties.Name == "Beacon" })
		require.True(t, features[i].Properties.PhotoLocation.IsNull())
		require.InDelta(t, 77, features[i].Properties.UnlockRadiusMeters, 0)
		require.True(t, features[i].Properties.IsVerified)
	})

	t.Run("only who may verify takes what is verified", func(t *testing.T) {
		other := apptest.NewWithoutWorkers(t)
		by := other.User()
		importText(t, other, before, importer.Options{Owner: by.ID})
		for _, f := range export(t, by, api.ExportLandmarksParams{}) {
			require.False(t, f.Properties.IsVerified)
			require.Equal(t, "Imported", f.Properties.AreaPath[0], "paths lie beneath the import's area unless they begin at the top")
		}
		_, err := other.Store.Pool.Exec(t.Context(), "UPDATE landmarks SET is_verified = TRUE")
		require.NoError(t, err)
		importText(t, other, strings.ReplaceAll(before, `"Stone"`, `"Rock"`), importer.Options{Owner: by.ID})
		for _, f := range export(t, by, api.ExportLandmarksParams{}) {
			require.Equal(t, f.Properties.Name != "Rock", f.Properties.IsVerified, f.Properties.Name)
		}
	})
}

// Each property of the export but the ids is one that an import takes.
func TestAnImportKnowsTheExportsProperties(t *testing.T) {
	t.Parallel()
	columns := importer.UsualColumns()
	properties := reflect.TypeFor[api.LandmarkProperties]()
	for i := range properties.NumField() {
		called, _, _ := strings.Cut(properties.Field(i).Tag.Get("json"), ",")
		if called == "area_id" || called == "created_by" {
			continue
		}
		require.Regexp(t, fmt.Sprintf(`[(, ]%s[).,]`, called), columns)
	}
}
