package importer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/importer/source"
)

func TestColumns(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		name, content string
		opts          importer.SourceOptions
		want          []string // parts of the error; none means that there is no error
	}{
		"unknown names are listed, with the likely flags": {
			name: "x.csv", content: "Ort,Breitengrad,Laengengrad,nr\nA,1,2,3\n",
			want: []string{
				`no column is known as the name: --name-field names it (perhaps --name-field "ort")`, `(perhaps --latitude-field "breitengrad")`, `(perhaps --longitude-field "laengengrad")`,
				"The file has the columns ort, breitengrad, laengengrad, nr", "--columns",
			},
		},
		"a table without a header": {name: "x.txt", content: "1880131\tTanjong Pagar\t1.28\t103.8\n", want: []string{"--columns", "1880131, tanjong pagar"}},
		"a column that is named and not there": {
			name: "x.csv", content: "name,lat,lon\nA,1,2\n", opts: importer.SourceOptions{Mapping: importer.Mapping{Name: "title", Hint: "tip"}},
			want: []string{`no column is "tip" (--hint-field); no column is "title" (--name-field). The file has the columns name, lat, lon`},
		},
		"a property that is named and not there": {
			name: "x.json", content: collection, opts: importer.SourceOptions{Mapping: importer.Mapping{Area: "Country"}},
			want: []string{`no column is "country" (--area-field)`, "description, name, other.a"},
		},
		"names without a place": {
			name: "x.json", content: `[{"code":"AD.06","name":"Sant"}]`,
			want: []string{"no column is known as the latitude", "no column is known as the longitude", "code, name"},
		},
		"a position within an object":   {name: "x.json", content: `[{"name":"A","location":{"lat":1,"lng":2}}]`},
		"a collection without features": {name: "x.json", content: `{"type":"FeatureCollection","features":[]}`},
		"a geometry without properties": {name: "x.json", content: `{"type":"Point","coordinates":[1,2]}`},
		"a header alone":                {name: "x.csv", content: "name,lat,lon\n"},
		"a text that is no table":       {name: "x", content: "Dear all,\nplease find attached.\n", want: []string{"no column is known as the name"}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			if c.name == "x.json" && c.content == collection {
				c.content = strings.ReplaceAll(collection, `{"a": [1]}`, `{"a": 1}`)
			}
			src, err := importer.Open(file(t, c.name, c.content), c.opts)
			if len(c.want) == 0 {
				require.NoError(t, err)
				require.NoError(t, src.Close())
				return
			}
			for _, part := range c.want {
				require.ErrorContains(t, err, part)
			}
		})
	}

	t.Run("a property that is named and first seen late is there", func(t *testing.T) {
		t.Parallel()
		var content strings.Builder
		for i := range 500 {
			fmt.Fprintf(&content, "{\"name\":\"A%d\",\"lat\":1,\"lon\":2}\n", i)
		}
		opts := importer.SourceOptions{Mapping: importer.Mapping{Hint: "tip"}}
		rows, _, err := read(t, file(t, "x.jsonl", content.String()), opts)
		require.ErrorContains(t, err, `no column is "tip" (--hint-field)`)
		require.Len(t, rows, 500)
		content.WriteString(`{"name":"B","lat":1,"lon":2,"tip":"x"}`)
		rows, _, err = read(t, file(t, "x.jsonl", content.String()), opts)
		require.NoError(t, err)
		require.Equal(t, "x", rows[500].Hint)
	})
}

// TestPositions has positions that are none, which became 0, 0 once.
func TestPositions(t *testing.T) {
	t.Parallel()
	rows, rejected, err := read(t, file(t, "x.csv", "name,lat,lon\nA,null,null\nB,,\nC,NULL,2\nD,\"48,1\",2\nE,0,0\nF,48.1N,2.5W\n"), importer.SourceOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"E", "F"}, []string{rows[0].Name, rows[1].Name})
	require.InDelta(t, -2.5, rows[1].Location.Longitude, 0)
	require.Len(t, rejected, 4)
	require.Equal(t, []string{`the latitude "null" is not a number of degrees`, `the longitude "null" is not a number of degrees`}, rejected[0].Reasons)
	require.Equal(t, []string{"the latitude is missing", "the longitude is missing"}, rejected[1].Reasons)

	rows, rejected, err = read(t, file(t, "x.json", `[{"name":"A","lat":null,"lon":null},{"name":"B","lat":"48,5","lon":2},{"name":"C","lat":true,"lon":{}}]`), importer.SourceOptions{})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.InDelta(t, 48.5, rows[0].Location.Latitude, 0)
	require.Len(t, rejected, 2)

	rows, rejected, err = read(t, file(t, "x.csv", "name;lat;lon\nA;48,1;2,5\nB;1.000,5;2\n"), importer.SourceOptions{})
	require.NoError(t, err)
	require.Len(t, rejected, 1)
	require.InDelta(t, 2.5, rows[0].Location.Longitude, 0)

	rows, _, err = read(t, file(t, "x.kml", `<kml><Placemark id="7"><name>A</name><Point><coordinates>8,53</coordinates></Point></Placemark></kml>`), importer.SourceOptions{Options: source.Options{}})
	require.NoError(t, err)
	require.Equal(t, "7", rows[0].ExternalID)
	require.InDelta(t, 53, rows[0].Location.Latitude, 0)
}

// TestIDOfOpenStreetMap has a node and a way of one number.
func TestIDOfOpenStreetMap(t *testing.T) {
	t.Parallel()
	one := `{"type":"Feature","id":"%s1","geometry":{"type":"Point","coordinates":[1,2]},"properties":{"@type":"x","@id":1,"name":"A","wikidata":"Q1"}}`
	rows, _, err := read(t, file(t, "x.json", "["+fmt.Sprintf(one, "n")+","+fmt.Sprintf(one, "w")+"]"), importer.SourceOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"n1", "w1"}, []string{rows[0].ExternalID, rows[1].ExternalID})
	rows, _, err = read(t, file(t, "x.json", `{"osm3s":{},"elements":[{"type":"node","id":1,"lat":1,"lon":2,"tags":{"name":"A","wikidata":"Q1"}}]}`), importer.SourceOptions{})
	require.NoError(t, err)
	require.Equal(t, "node/1", rows[0].ExternalID)
}

// area=yes says that a closed line is a polygon (https://wiki.openstreetmap.org/wiki/Key:area).
func TestTheTagAreaOfOpenStreetMapNamesNoArea(t *testing.T) {
	t.Parallel()
	rows, rejected, err := read(t, file(t, "x.csv", "name,lat,lon,area\nPier,1,2,yes\nQuay,1,3,no\nMole,1,4,Harbour\n"), importer.SourceOptions{})
	require.NoError(t, err)
	require.Empty(t, rejected)
	require.Equal(t, []string{"", "", "Harbour"}, []string{rows[0].Area, rows[1].Area, rows[2].Area})
}
