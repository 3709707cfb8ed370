package source_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/picaspot/picaspot/internal/importer/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// read reads a file of some content to its end.
func read(t testing.TB, name, content string, opts source.Options) ([]source.Record, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	file, err := source.Open(path, opts)
	if err != nil {
		return nil, err
	}
	records, err := drain(file)
	return records, errors.Join(err, file.Close())
}

func drain(file *source.File) (records []source.Record, err error) {
	for {
		record, err := file.Next()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		records = append(records, record)
	}
}

func gzipped(t testing.TB, content string) string {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return packed.String()
}

// names are the records' field of that name, and the faults of those that have some.
func names(records []source.Record) (names []string) {
	for _, r := range records {
		if len(r.Faults) > 0 {
			names = append(names, "fault: "+strings.Join(r.Faults, "; "))
			continue
		}
		names = append(names, r.Fields["name"])
	}
	return names
}

// TestFormatIsFound opens the same place in every format, without its extension.
func TestFormatIsFound(t *testing.T) {
	t.Parallel()
	feature := `{"type":"Feature","geometry":{"type":"Point","coordinates":[8,53]},"properties":{"name":"Mill"}}`
	for _, c := range []struct {
		want          source.Format
		name, content string
	}{
		{source.GeoJSON, "x", `{"type":"FeatureCollection","features":[` + feature + `]}`},
		{source.GeoJSON, "x", "\n\t" + feature},
		{source.GeoJSON, "x.csv", feature},
		{source.GeoJSONSeq, "x", feature + "\n" + feature + "\n"},
		{source.GeoJSONSeq, "x", "\x1e" + feature + "\n"},
		{source.JSON, "x", `[{"name":"Mill"}]`},
		{source.Overpass, "x", `{"version":0.6,"osm3s":{},"elements":[{"type":"node","id":1,"lat":53,"lon":8,"tags":{"name":"Mill"}}]}`},
		{source.GPX, "x", `<?xml version="1.0"?><gpx><wpt lat="53" lon="8"><name>Mill</name></wpt></gpx>`},
		{source.KML, "x", `<!-- a --><kml><Placemark><name>Mill</name></Placemark></kml>`},
		{source.TSV, "x.tsv", "name\tlat\nMill\t53\n"},
		{source.CSV, "x", "name,lat\nMill,53\n"},
		{source.CSV, "x", "name\tlat\nMill\t53\n"},
	} {
		for _, packed := range []bool{false, true} {
			content := c.content
			if packed {
				content = gzipped(t, content)
			}
			path := filepath.Join(t.TempDir(), c.name)
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			file, err := source.Open(path, source.Options{})
			require.NoError(t, err, c.content)
			require.Equal(t, c.want, file.Format, c.content)
			record, err := file.Next()
			require.NoError(t, err, c.content)
			require.Empty(t, record.Faults, c.content)
			require.Equal(t, "Mill", record.Fields["name"], c.content)
			require.NoError(t, file.Close())
		}
	}
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		`{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[1,2],[3,4],[1,2]]]},"properties":{"a":{"b":1}}}],"crs":null}`,
		"name,lat,lon\n\"a\"\"b\nc\",1,2\n\"open,1,2\n", "a\tb\r\"c\td\r", "sep=;\na;b\n1;2\n",
		`{"osm3s":{},"elements":[{"type":"way","id":1,"center":{"lat":1,"lon":2},"tags":{"name":"x"}}],"remark":"error"}`,
		`[{"name":"x","location":{"type":"Point","coordinates":[1,2]}}]`, "\x1e{\"type\":\"Feature\"}\n\x1e{}\n",
		`<gpx><wpt lat="1" lon="2"><name>x</name></wpt><trk/></gpx>`,
		`<kml><Folder><name>f</name><Placemark id="1"><MultiGeometry><Point><coordinates>1,2</coordinates></Point></MultiGeometry></Placemark></Folder></kml>`,
		"\xff\xfen\x00,\x00l\x00\n\x00", "PK\x03\x04", "\x1f\x8b\x08",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := source.New("x", bytes.NewReader(content), source.Options{MaxBytes: 1 << 20})
		if err != nil {
			return
		}
		_, _ = drain(file) // It ends, and does not panic.
		require.NoError(t, file.Close())
	})
}
