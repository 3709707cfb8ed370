package source_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/importer/source"
)

// zipped is an archive of files, given as name and content by turns.
func zipped(t testing.TB, files ...string) string {
	t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for i := 0; i < len(files); i += 2 {
		entry, err := w.Create(files[i])
		require.NoError(t, err)
		_, err = entry.Write([]byte(files[i+1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return packed.String()
}

const (
	aCSV = "name\nA\n"
	bCSV = "name\nB\n"
	aKML = "<kml><Placemark><name>A</name></Placemark></kml>"
)

func TestUnpack(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		content string
		opts    source.Options
		want    string
		err     string
	}{
		"the only file":                        {content: zipped(t, "x/", "", "x/places.csv", aCSV, "readme.txt", "text", "__MACOSX/x/._places.csv", "?", "x/photo.jpg", "?"), want: "A"},
		"the main document of a KMZ":           {content: zipped(t, "images/a.png", "?", "doc.kml", aKML, "files/more.kml", "<kml/>"), want: "A"},
		"a file that is named":                 {content: zipped(t, "a.csv", aCSV, "b.csv", bCSV), opts: source.Options{Entry: "b.csv"}, want: "B"},
		"several files":                        {content: zipped(t, "a.csv", aCSV, "b.csv", bCSV), err: "2 files; --entry says which one is meant: a.csv, b.csv"},
		"a file that is not there":             {content: zipped(t, "a.csv", aCSV), opts: source.Options{Entry: "c.csv"}, err: `no "c.csv"`},
		"no file that is read":                 {content: zipped(t, "a.jpg", "?"), err: "no file of a format that is read"},
		"an empty archive":                     {content: zipped(t), err: "no file of a format that is read"},
		"a gzip in a zip in a gzip":            {content: gzipped(t, zipped(t, "a.csv.gz", gzipped(t, aCSV))), want: "A"},
		"too many of them":                     {content: gzipped(t, gzipped(t, gzipped(t, gzipped(t, gzipped(t, aCSV))))), err: "packed more than"},
		"a shapefile":                          {content: zipped(t, "x/a.dbf", "?", "x/a.shp", "?"), err: "this is a shapefile, which is not read: convert it"},
		"an Excel workbook":                    {content: zipped(t, "[Content_Types].xml", "?", "xl/workbook.xml", "?"), err: "an Excel workbook (.xlsx), which is not read: save it as CSV"},
		"an archive that is cut off":           {content: zipped(t, "a.csv", aCSV)[:60], err: "not a valid zip file"},
		"a gzip that is cut off":               {content: gzipped(t, "name\n"+strings.Repeat("A\n", 9))[:25], err: "unexpected EOF"},
		"more than is allowed":                 {content: gzipped(t, "name\n"+strings.Repeat("A\n", 1<<20)), opts: source.Options{MaxBytes: 1 << 10}, err: "unpacks to more than 1024 bytes"},
		"an archive with more than is allowed": {content: zipped(t, "a.csv", "name\n"+strings.Repeat("A\n", 1<<20)), opts: source.Options{MaxBytes: 1 << 19}, err: "unpacks to more than"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			check := func(records []source.Record, err error) {
				t.Helper()
				if c.err != "" {
					require.ErrorContains(t, err, c.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, c.want, records[0].Fields["name"])
			}
			check(read(t, "x.zip", c.content, c.opts))
			// Of what is no file, an archive is copied to disk, and removed.
			file, err := source.New("x", strings.NewReader(c.content), c.opts)
			if err != nil {
				check(nil, err)
				return
			}
			records, err := drain(file)
			check(records, err)
			require.NoError(t, file.Close())
		})
	}
}

func TestUnpackLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, content := range []string{zipped(t, "a.csv", aCSV), zipped(t, "a.jpg", "?"), "PK\x03\x04broken"} {
		if file, err := source.New("x", strings.NewReader(content), source.Options{}); err == nil {
			left, _ := filepath.Glob(os.TempDir() + "/*")
			require.Len(t, left, 1)
			require.NoError(t, file.Close())
		}
		left, err := filepath.Glob(os.TempDir() + "/*")
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	tar := "places.csv" + strings.Repeat("\x00", 247) + "ustar\x0000" + strings.Repeat("\x00", 300)
	for content, want := range map[string]string{
		"\x00\x00\x00\x0d\x0a\x09OSMHeader\x18\x7c":                    "OSM PBF",
		`<?xml version="1.0"?><osm version="0.6"><node id="1"/></osm>`: "OSM XML, which is not read: convert it, for example with: osmium export",
		"<osmChange/>": "OSM XML",
		"\x00\x00\x27\x0a" + strings.Repeat("\x00", 90):    "shapefile",
		"SQLite format 3\x00" + strings.Repeat("\x00", 90): "GeoPackage",
		"PAR1\x15\x04":                          "Parquet",
		"fgb\x03fgb\x00":                        "FlatGeobuf",
		"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00":  "(as .xls), which is not read: save it as CSV",
		"BZh91AY&SY":                            "bzip2",
		"\xfd7zXZ\x00\x00":                      "xz",
		"\x28\xb5\x2f\xfd\x04":                  "zstd",
		tar:                                     "tar archive",
		"%PDF-1.7\n":                            "application/pdf",
		"\x89PNG\r\n\x1a\n\x00":                 "image/png",
		"\x01\x02\x00\x00\x00\x00":              "a binary file",
		"n\x00a\x00m\x00e\x00\n\x00":            "--encoding utf-16le",
		"<!DOCTYPE html><html><head>":           "a web page",
		"<html>":                                "a web page",
		`<query columns="2"><row/></query>`:     "XML with the root <query>",
		`<wfs:FeatureCollection xmlns:wfs="x">`: "GML",
		`<TrainingCenterDatabase>`:              "TCX, which is not read: export it as GPX",
		`<rss version="2.0">`:                   "a news feed",
		`{"type":"Topology","arcs":[]}`:         "TopoJSON",
		`{"arcs":[],"type":"Topology"}`:         "TopoJSON",
		`{"geometryType":"esriGeometryPoint","features":[{"attributes":{"name":"A"},"geometry":{"x":1,"y":2}}]}`: "Esri JSON",
		" \n\t": "empty",
		"":      "empty",
	} {
		for _, content := range []string{content, gzipped(t, content)} {
			_, err := read(t, "places", content, source.Options{})
			require.ErrorContains(t, err, want, "%.60q", content)
		}
	}
}
