package importer_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/importer/source"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Main(m, testenv.WithMigrator(testenv.Migrator{Fingerprint: store.Fingerprint(), Up: store.Migrate}))
}

func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func read(t *testing.T, path string, opts importer.SourceOptions) (rows []importer.Row, rejected []importer.Rejected, err error) {
	t.Helper()
	src, err := importer.Open(path, opts)
	if err != nil {
		return nil, nil, err
	}
	defer src.Close()
	for {
		row, no, err := src.Next()
		if err == io.EOF {
			return rows, rejected, nil
		}
		if err != nil {
			return rows, rejected, err
		}
		if no != nil {
			rejected = append(rejected, *no)
			continue
		}
		rows = append(rows, row)
	}
}

const collection = `{"type": "FeatureCollection", "name": "x", "features": [
  {"type": "Feature", "id": 7, "geometry": {"type": "Point", "coordinates": [8.7, 53.8, 12]}, "properties": {"NAME": "Stone", "description": "Old.", "other": {"a": [1]}}},
  {"type": "Feature", "geometry": {"type": "Point", "coordinates": [8.8, 53.9]}, "properties": {"name": "Tower", "wikidata": "Q1"}},
  {"type": "Feature", "geometry": null, "properties": {"name": "Nowhere"}},
  {"type": "Feature", "geometry": {"type": "Point", "coordinates": [531000, 5400000]}, "properties": {"name": "Projected"}},
  {"type": "Feature", "geometry": {"type": "Point", "coordinates": ["8"]}, "properties": null},
  {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}, "properties": {"name": "Path"}},
  {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[1, 2], [3, 2], [3, 4], [1, 2]]]}, "properties": {"name": "Park"}},
  {"type": "Feature", "geometry": 5, "properties": {"name": "Odd"}}
], "bbox": [1, 2, 3, 4]}
`

func TestGeoJSON(t *testing.T) {
	t.Parallel()

	t.Run("reads a collection and rejects what is no point", func(t *testing.T) {
		t.Parallel()
		rows, rejected, err := read(t, file(t, "x.geojson", collection), importer.SourceOptions{})
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.Equal(t, "Stone", rows[0].Name)
		require.Equal(t, "Old.", rows[0].Description)
		require.Equal(t, "7", rows[0].ExternalID)
		require.Equal(t, 2, rows[0].Line)
		require.InDelta(t, 53.8, rows[0].Location.Latitude, 0)
		require.Equal(t, "Q1", rows[1].ExternalID)
		require.Len(t, rejected, 6)
		require.Equal(t, 4, rejected[0].Line)
		require.Equal(t, "Nowhere", rejected[0].Name)
		require.Equal(t, []string{"it has no geometry"}, rejected[0].Reasons)
		require.Contains(t, rejected[1].Reasons[0], "beyond the globe")
		require.Len(t, rejected[2].Reasons, 2)
		require.Contains(t, rejected[4].Reasons[0], "Polygon")
	})

	t.Run("takes the middle of polygons where it is told to", func(t *testing.T) {
		t.Parallel()
		rows, rejected, err := read(t, file(t, "x.json", collection), importer.SourceOptions{Polygons: true})
		require.NoError(t, err)
		require.Len(t, rows, 3)
		require.InDelta(t, 3, rows[2].Location.Latitude, 0)
		require.InDelta(t, 2, rows[2].Location.Longitude, 0)
		require.Len(t, rejected, 5)
		broken := `{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[["a",1]]]},"properties":{"name":"x"}}`
		_, rejected, err = read(t, file(t, "y.json", broken), importer.SourceOptions{Polygons: true})
		require.NoError(t, err)
		require.Len(t, rejected, 1)
	})

	t.Run("reads a feature a line, and the separators of RFC 8142", func(t *testing.T) {
		t.Parallel()
		line := "\x1e" + `{"type":"Feature","geometry":{"type":"Point","coordinates":[8,53]},"properties":{"name":"%s"}}` + "\n"
		rows, _, err := read(t, file(t, "x.geojsons", fmt.Sprintf(line, "a")+fmt.Sprintf(line, "b")), importer.SourceOptions{})
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.Equal(t, 2, rows[1].Line)
	})

	t.Run("says where it is broken", func(t *testing.T) {
		t.Parallel()
		for _, content := range []string{`{"type":"FeatureCollection","features":[` + "\n{\"type\":", `{"features":5}`, `{"a"`, `{"features":[]`} {
			_, _, err := read(t, file(t, "x.geojson", content), importer.SourceOptions{})
			require.ErrorContains(t, err, "malformed near line", content)
		}
	})
}

func TestCSV(t *testing.T) {
	t.Parallel()

	t.Run("finds the columns and names every fault of a row", func(t *testing.T) {
		t.Parallel()
		content := "\xef\xbb\xbfname;lat;lng;area\r\nStone;53.8;8.7;Coast\r\n;91;x;Coast\r\nShort;1\r\n\"Two\nlines\";1;2;\r\nNull\x00;1;2;\r\n" +
			strings.Repeat("x", 201) + ";1;2;\r\n\xff;1;2;\r\nEnd;1;2;\r\n"
		rows, rejected, err := read(t, file(t, "x.csv", content), importer.SourceOptions{})
		require.NoError(t, err)
		require.Len(t, rows, 3)
		require.Equal(t, "Coast", rows[0].Area)
		require.Equal(t, 2, rows[0].Line)
		require.Equal(t, "Two lines", rows[1].Name)
		require.Equal(t, []int{3, 4, 7, 8, 9}, func() (lines []int) {
			for _, r := range rejected {
				lines = append(lines, r.Line)
			}
			return lines
		}())
		require.Equal(t, []string{"it has no name", "the longitude \"x\" is not a number of degrees"}, rejected[0].Reasons)
		require.Contains(t, rejected[1].Reasons[0], "2 fields")
		require.Contains(t, rejected[2].Reasons[0], "control character")
		require.Contains(t, rejected[3].Reasons[0], "200 characters")
		require.Contains(t, rejected[4].Reasons[0], "UTF-8")
	})

	t.Run("reads files without a header, and quotes that are quotes", func(t *testing.T) {
		t.Parallel()
		rows, rejected, err := read(t, file(t, "x.txt", "1\tThe \"Rock\"\t53\t8\n2\tTwo\t53\t9\n"),
			importer.SourceOptions{Options: source.Options{Columns: []string{"geonameid", "name", "latitude", "longitude"}, Format: source.TSV}})
		require.NoError(t, err)
		require.Empty(t, rejected)
		require.Equal(t, `The "Rock"`, rows[0].Name)
		require.Equal(t, "1", rows[0].ExternalID)
	})

	t.Run("reads what is packed, encoded or named otherwise", func(t *testing.T) {
		t.Parallel()
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err := w.Write([]byte("Ort,breite,laenge,nr\nM\xfcnchen,48.1,11.6,5\n"))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		rows, _, err := read(t, file(t, "x.csv.gz", packed.String()), importer.SourceOptions{
			Options: source.Options{Encoding: "iso-8859-1"}, Mapping: importer.Mapping{Name: "Ort", Latitude: "Breite", Longitude: "Laenge", ID: "nr"},
		})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, "München", rows[0].Name)
	})

	t.Run("rejects a row that is malformed and goes on", func(t *testing.T) {
		t.Parallel()
		rows, rejected, err := read(t, file(t, "x.csv", "name,lat,lon\na\"b,1,2\nc,1,2\n"), importer.SourceOptions{})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Len(t, rejected, 1)
		require.Equal(t, 2, rejected[0].Line)
	})

	t.Run("can't be opened when it is not there, empty or in no known encoding", func(t *testing.T) {
		t.Parallel()
		_, err := importer.Open("/does/not/exist.csv", importer.SourceOptions{})
		require.Error(t, err)
		_, err = importer.Open(file(t, "x.csv", ""), importer.SourceOptions{})
		require.ErrorContains(t, err, "empty")
		_, err = importer.Open(file(t, "x.csv", "a,b"), importer.SourceOptions{Options: source.Options{Encoding: "klingon"}})
		require.ErrorContains(t, err, "klingon")
		_, err = importer.Open(file(t, "x.csv.gz", "\x1f\x8bnothing"), importer.SourceOptions{})
		require.Error(t, err)
	})
}

func open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t), store.Options{MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestImport(t *testing.T) {
	t.Parallel()
	owner := uuid.New()
	run := func(t *testing.T, s *store.Store, content string, opts importer.Options) (importer.Report, []importer.Rejected) {
		t.Helper()
		src, err := importer.Open(file(t, "places.csv", content), importer.SourceOptions{})
		require.NoError(t, err)
		defer src.Close()
		var rejected []importer.Rejected
		opts.Namespace, opts.Area, opts.Owner, opts.BatchSize = "places", "Places", owner, 2
		opts.Rejected = func(r importer.Rejected) { rejected = append(rejected, r) }
		batches := 0
		opts.Progress = func(importer.Report) { batches++ }
		report, err := importer.Import(context.Background(), s, src, opts)
		require.NoError(t, err)
		require.Positive(t, batches)
		require.Positive(t, src.BytesRead())
		require.Positive(t, src.Size)
		return report, rejected
	}
	const header = "id,name,lat,lon,area\n"
	const first = header + "1,Stone,53.8,8.7,Coast\n2,Tower,53.9,8.8,\n3,Mill,54,8.9,Coast\n,Nameless id,1,2,\n4,,1,2,\n1,Twice,1,2,\n"

	t.Run("creates, and changes nothing the second time", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		report, rejected := run(t, s, first, importer.Options{IsVerified: true})
		require.Equal(t, importer.Report{Read: 6, Created: 4, Rejected: 2}, report)
		require.Len(t, rejected, 2)
		stone := s.Ent.Landmark.Query().Where(entlandmark.ExternalID("places:1")).WithArea().OnlyX(t.Context())
		require.Equal(t, "Coast", stone.Edges.Area.Name)
		require.Equal(t, owner, stone.CreatedBy)
		require.True(t, stone.IsVerified)
		top := s.Ent.Area.Query().Where(entarea.Name("Places")).OnlyX(t.Context())
		require.Equal(t, top.ID, *stone.Edges.Area.ParentAreaID)

		audited := func() (n int) {
			require.NoError(t, s.Pool.QueryRow(t.Context(), "SELECT count(*) FROM audit_logs WHERE actor_id = $1", owner).Scan(&n))
			return n
		}
		require.Equal(t, 6, audited(), "four landmarks and two areas")
		report, _ = run(t, s, first, importer.Options{})
		require.Equal(t, importer.Report{Read: 6, Unchanged: 4, Rejected: 2}, report)
		require.Equal(t, 6, audited())
		require.Equal(t, stone.UpdatedAt, s.Ent.Landmark.GetX(t.Context(), stone.ID).UpdatedAt)
	})

	t.Run("updates what differs, with before and after on record", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		run(t, s, first, importer.Options{})
		report, _ := run(t, s, strings.Replace(first, "Tower,53.9", "Old Tower,53.95", 1), importer.Options{})
		require.Equal(t, importer.Report{Read: 6, Updated: 1, Unchanged: 3, Rejected: 2}, report)
		var before, after string
		require.NoError(t, s.Pool.QueryRow(t.Context(), `SELECT changes->'name'->>'before', changes->'name'->>'after' FROM audit_logs
			WHERE action = 'update' AND entity_type = 'landmark'`).Scan(&before, &after))
		require.Equal(t, []string{"Tower", "Old Tower"}, []string{before, after})
	})

	t.Run("leaves alone what was deleted since", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		run(t, s, first, importer.Options{})
		require.NoError(t, s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return tx.Landmark.DeleteOneID(tx.Landmark.Query().Where(entlandmark.ExternalID("places:2")).OnlyIDX(ctx)).Exec(ctx)
		}))
		report, rejected := run(t, s, first, importer.Options{})
		require.Equal(t, importer.Report{Read: 6, Unchanged: 3, Rejected: 3}, report)
		require.Contains(t, fmt.Sprint(rejected), "deleted after an earlier import")
		_, err := s.Ent.Landmark.Query().Where(entlandmark.ExternalID("places:2")).Only(t.Context())
		require.True(t, ent.IsNotFound(err))
	})

	t.Run("takes what was read before a fault", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		src, err := importer.Open(file(t, "x.geojson", strings.Replace(collection, `{"type": "Feature", "geometry": null`, `{"type": oops`, 1)), importer.SourceOptions{})
		require.NoError(t, err)
		defer src.Close()
		report, err := importer.Import(t.Context(), s, src, importer.Options{Namespace: "x", Area: "X", Owner: owner})
		require.ErrorContains(t, err, "malformed near line")
		require.Equal(t, 2, report.Created)
	})

	t.Run("writes nothing in a dry run, and reports what a run would do", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var accepted []string
		dry := importer.Options{IsDryRun: true, Accepted: func(row importer.Row) { accepted = append(accepted, row.Name) }}
		report, _ := run(t, s, first, dry)
		require.Equal(t, importer.Report{Read: 6, Created: 4, Rejected: 2}, report)
		require.Equal(t, []string{"Stone", "Tower", "Mill", "Nameless id"}, accepted)
		require.Zero(t, s.Ent.Landmark.Query().CountX(t.Context())+s.Ent.Area.Query().CountX(t.Context()))
		run(t, s, first, importer.Options{})
		report, _ = run(t, s, strings.Replace(first, "Tower,53.9", "Old Tower,53.95", 1), dry)
		require.Equal(t, importer.Report{Read: 6, Updated: 1, Unchanged: 3, Rejected: 2}, report)
		require.Equal(t, "Tower", s.Ent.Landmark.Query().Where(entlandmark.ExternalID("places:2")).OnlyX(t.Context()).Name)
	})

	t.Run("that is strict ends at the first row that can't be taken, without its batch", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		strict := func(content string) (importer.Report, []importer.Rejected, error) {
			src, err := importer.Open(file(t, "places.csv", content), importer.SourceOptions{})
			require.NoError(t, err)
			defer src.Close()
			var rejected []importer.Rejected
			report, err := importer.Import(t.Context(), s, src, importer.Options{
				Namespace: "places", Area: "Places", Owner: owner, BatchSize: 2, IsStrict: true,
				Rejected: func(r importer.Rejected) { rejected = append(rejected, r) },
			})
			return report, rejected, err
		}
		report, rejected, err := strict(header + "1,A,1,1,\n2,B,1,2,\n3,C,1,3,\n4,,1,2,\n5,E,1,5,\n6,,1,6,\n")
		require.ErrorIs(t, err, importer.ErrRejected)
		require.Equal(t, importer.Report{Read: 4, Created: 2, Rejected: 1}, report)
		require.Len(t, rejected, 1)
		require.Equal(t, 2, s.Ent.Landmark.Query().CountX(t.Context()))
		require.NoError(t, s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return tx.Landmark.DeleteOneID(tx.Landmark.Query().Where(entlandmark.ExternalID("places:2")).OnlyIDX(ctx)).Exec(ctx)
		}))
		report, rejected, err = strict(header + "1,Another A,1,1,\n2,B,1,2,\n")
		require.ErrorIs(t, err, importer.ErrRejected)
		require.Equal(t, importer.Report{Read: 2, Rejected: 1}, report)
		require.Contains(t, rejected[0].Reasons[0], "deleted after an earlier import")
		require.Equal(t, "A", s.Ent.Landmark.Query().Where(entlandmark.ExternalID("places:1")).OnlyX(t.Context()).Name)
	})

	t.Run("takes nothing of a batch behind which another reference system is named", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		content := `{"features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[8,53]},"properties":{"name":"A"}}],` +
			`"crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::4230"}}}`
		src, err := importer.Open(file(t, "x.geojson", content), importer.SourceOptions{})
		if err == nil {
			defer src.Close()
			_, err = importer.Import(t.Context(), s, src, importer.Options{Namespace: "x", Area: "X", Owner: owner})
		}
		require.ErrorIs(t, err, source.ErrReferenceSystem)
		require.Zero(t, s.Ent.Landmark.Query().CountX(t.Context()))
	})

	t.Run("of long ids and without any stays the same", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		content := header + strings.Repeat("x", 199) + ",Long,1,2,\n,None,3,4,\n"
		report, _ := run(t, s, content, importer.Options{})
		require.Equal(t, 2, report.Created)
		report, _ = run(t, s, content, importer.Options{})
		require.Equal(t, 2, report.Unchanged)
	})
}

func FuzzSource(f *testing.F) {
	f.Add([]byte(collection))
	f.Add([]byte("name,lat,lon\na,1,2\n"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "x")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		_, _, _ = read(t, path, importer.SourceOptions{Polygons: true}) // It ends, and does not panic.
	})
}
