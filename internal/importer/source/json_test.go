package source_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/importer/source"
)

func feature(geometry, properties string) string {
	return `{"type":"Feature","geometry":` + geometry + `,"properties":` + properties + `}`
}

func point(name string) string {
	return feature(`{"type":"Point","coordinates":[8,53]}`, `{"name":"`+name+`"}`)
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		content string
		want    []string
	}{
		"features, one at a time, and what is around them": {
			`{"bbox":[1,2],"features":[` + point("A") + `,` + point("B") + `],"x":{"features":[1]}} {"features":[]}` + point("C"),
			[]string{"A", "B", "C"},
		},
		"an array of objects": {
			`[{"name":"A","lat":53},{"name":"B"},5,{"name":null}]`,
			[]string{"A", "B", "fault: it is not an object", ""},
		},
		"an array of features": {"[" + point("A") + "]", []string{"A"}},
		"an object that is a place itself": {
			`{"name":"A","lat":53,"lon":8}`, []string{"A"},
		},
		"a geometry without properties": {
			`[{"type":"Point","coordinates":[1,2]}]`, []string{"fault: it is a geometry without properties; a Feature is expected"},
		},
		"an empty collection": {`{"type":"FeatureCollection","features":[]}`, nil},
		"coordinates that are no numbers": {
			`[` + feature(`{"type":"Point","coordinates":[null,null]}`, `{}`) + `,` + feature(`{"type":"Point","coordinates":[1]}`, `{}`) + `,` +
				feature(`{"type":"Point","coordinates":[[1,2]]}`, `{}`) + `,` + feature(`{"type":"Point","coordinates":[1,2,null]}`, `{}`) + `,` +
				feature(`{"type":"Point"}`, `{}`) + `,` + feature(`{"type":"Point","coordinates":[1e999,2]}`, `{}`) + `,` +
				feature(`{"type":"Polygon","coordinates":[[1,2]]}`, `{}`) + `,` + feature(`{"type":"Point","coordinates":[]}`, `{}`) + `,` +
				feature(`{"type":"Blob"}`, `{}`) + `,` + feature(`5`, `{}`) + `]`,
			[]string{
				"fault: the Point's coordinates are malformed: null is not where a position is expected",
				"fault: the Point's coordinates are malformed: a position has less than two numbers",
				"fault: the Point's coordinates are malformed: [ is not where a position is expected",
				"fault: the Point's coordinates are malformed: null is not where a position is expected",
				"fault: the Point's coordinates are malformed: there are none",
				"fault: the Point's coordinates are malformed: 1e999 is out of range",
				"fault: the Polygon's coordinates are malformed: 1 is not where a position is expected",
				"fault: the Point's coordinates are malformed: a position has less than two numbers",
				"fault: the geometry is malformed",
				"fault: the geometry is malformed",
			},
		},
		"text that is not UTF-8": {
			`[{"name":"` + "\xff" + `"},` + point("\xff") + `,{"name":"A"}]`,
			[]string{"fault: name is not UTF-8; --encoding may help", "fault: properties is not UTF-8; --encoding may help", "A"},
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			records, err := read(t, "x.json", c.content, source.Options{})
			require.NoError(t, err)
			require.Equal(t, c.want, names(records))
		})
	}

	t.Run("skips what is too large", func(t *testing.T) {
		t.Parallel()
		large := feature(`{"type":"Polygon","coordinates":[[`+strings.Repeat("[1,2],", 2<<20)+`[1,2]]]}`, `{"name":"C"}`)
		records, err := read(t, "x.json", "{\"features\":[\n"+point("A")+",\n"+large+",\n"+point("D")+"\n]}", source.Options{})
		require.NoError(t, err)
		require.Equal(t, []string{"A", "fault: it is larger than 8 MiB", "D"}, names(records))
		require.Equal(t, []int{2, 3, 4}, []int{records[0].Line, records[1].Line, records[2].Line})
		records, err = read(t, "x.json", `[`+point("A")+`,`+point(strings.Repeat("x", 17<<20))+`]`, source.Options{})
		require.ErrorContains(t, err, "larger than 8 MiB", "a single string is not skipped")
		require.Equal(t, []string{"A"}, names(records))
	})

	t.Run("objects within objects are fields, and geometries are places", func(t *testing.T) {
		t.Parallel()
		records, err := read(t, "x.json", `[{"id":7,"name":"A","Names":{"zh":"甲","all":[1]},"on":true,"location":{"type":"Point","coordinates":[8,53]},"a":{"b":{"c":{"d":{"e":1}}}}},`+
			`{"type":"Feature","id":"f","crs":null,"bbox":[1],"geometry":null,"properties":{"type":"State","id":9,"note":null,"shape":{"type":"Point","coordinates":[1,2]}}}]`, source.Options{})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"id": "7", "name": "A", "names.zh": "甲", "on": "true"}, records[0].Fields)
		latitude, longitude := records[0].Geometry.Position()
		require.Equal(t, []float64{53, 8}, []float64{latitude, longitude})
		require.Equal(t, "f", records[1].ID)
		require.Equal(t, map[string]string{"type": "State", "id": "9", "note": ""}, records[1].Fields)
		require.Empty(t, records[1].Geometry.Type, "a feature's place is its geometry alone")
	})
}

func TestJSONThatEndsEarly(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		`{"type":"FeatureCollection","features":[` + "\n" + point("A") + ",\n":    "incomplete",
		`{"type":"FeatureCollection","features":[` + "\n" + point("A"):            "incomplete",
		`{"type":"FeatureCollection","features":[` + "\n" + point("A") + "\n]":    "incomplete",
		`{"type":"FeatureCollection","features":[` + "\n" + point("A") + `,{"a":`: "incomplete",
		`[{"name":"A"},` + "\n":      "incomplete",
		`[{"name":"A"}` + "\n":       "incomplete",
		`[{"name":"A"}` + "\n]]":     "malformed near line 2",
		`[{"name":"A"}` + "\n,oops]": "malformed near line",
		`[{"name":"A"}` + "\n] 5":    "an object or an array is expected",
		`{"osm3s":{},"elements":[{"type":"node","id":1,"lat":1,"lon":2,"tags":{"name":"A"}}],"remark":"runtime error: Query timed out"}`: "Query timed out",
	} {
		records, err := read(t, "x.json", content, source.Options{})
		require.ErrorContains(t, err, want, content)
		require.Equal(t, []string{"A"}, names(records), content)
	}
	_, err := read(t, "x.json", `{"type":"FeatureCollection"}`, source.Options{})
	require.ErrorContains(t, err, "no features")
	_, err = read(t, "x.json", `{"features":5}`, source.Options{})
	require.ErrorContains(t, err, `"features" is not an array`)
}

func TestJSONSequence(t *testing.T) {
	t.Parallel()
	pretty := strings.ReplaceAll(point("B"), ",", ",\n")
	for title, c := range map[string]struct {
		name, content string
		want          []string
		lines         []int
	}{
		"lines, of which a broken one costs no other": {
			"x", point("A") + "\n" + point("B") + "\r\n\n" + `{"type":"Feature","geo` + "\n" + `{"name":"D"}` + "\n7\n" + point("E"),
			[]string{"A", "B", "fault: the JSON is malformed", "D", "fault: it is not an object", "E"}, []int{1, 2, 4, 5, 6, 7},
		},
		"record separators": {
			"x.json", "\x1e" + point("A") + "\n\x1e" + pretty + "\n\x1e{\"cut\":\n\x1e\x1e" + point("D") + "\n",
			[]string{"A", "B", "fault: the JSON is malformed", "D"}, []int{1, 2, 2 + strings.Count(pretty, "\n") + 1, 2 + strings.Count(pretty, "\n") + 2},
		},
		"a single line of that extension": {"x.geojsonl", "5\n" + point("A"), []string{"fault: it is not an object", "A"}, []int{1, 2}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			records, err := read(t, c.name, c.content, source.Options{})
			require.NoError(t, err)
			require.Equal(t, c.want, names(records))
			var lines []int
			for _, r := range records {
				lines = append(lines, r.Line)
			}
			require.Equal(t, c.lines, lines)
		})
	}
}

func TestReferenceSystem(t *testing.T) {
	t.Parallel()
	crs := func(name string) string { return `{"type":"name","properties":{"name":"` + name + `"}}` }
	for _, name := range []string{"urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326", "epsg:4979", "OGC:CRS84", "http://www.opengis.net/def/crs/OGC/1.3/CRS84"} {
		records, err := read(t, "x.json", `{"crs":`+crs(name)+`,"features":[`+point("A")+`]}`, source.Options{})
		require.NoError(t, err, name)
		require.Equal(t, []string{"A"}, names(records))
	}
	for _, value := range []string{crs("urn:ogc:def:crs:EPSG::3857"), crs("urn:ogc:def:crs:EPSG::25832"), crs("urn:ogc:def:crs:OGC:1.3:CRS83"), crs(""), `{"type":"link","properties":{"href":"x"}}`, `5`} {
		_, err := read(t, "x.json", `{"type":"FeatureCollection","crs":`+value+`,"features":[`+point("A")+`]}`, source.Options{})
		require.ErrorContains(t, err, "not in WGS 84", value)
		_, err = read(t, "x.json", `{"features":[`+point("A")+`],"crs":`+value+`}`, source.Options{})
		require.ErrorContains(t, err, "not in WGS 84", "behind the features")
		records, err := read(t, "x.json", `[`+strings.Replace(point("A"), `{`, `{"crs":`+value+`,`, 1)+`,`+
			feature(`{"type":"Point","crs":`+value+`,"coordinates":[1,2]}`, `{}`)+`]`, source.Options{})
		require.NoError(t, err)
		for _, r := range records {
			require.Contains(t, strings.Join(r.Faults, ""), "not in WGS 84", value)
		}
	}
}

func TestOverpass(t *testing.T) {
	t.Parallel()
	records, err := read(t, "x.json", `{"version":0.6,"generator":"Overpass API","elements":[
{"type":"node","id":1,"lat":53,"lon":8,"tags":{"Name":"A","type":"x"}},
{"type":"node","id":2,"lat":53,"lon":8},
{"type":"way","id":3,"nodes":[2],"center":{"lat":54,"lon":9},"tags":{"name":"B"}},
{"type":"way","id":4,"bounds":{"minlat":1,"minlon":2,"maxlat":3,"maxlon":4},"tags":{"name":"C"}},
{"type":"relation","id":5,"tags":{"name":"D"}},
{"type":5}]}`, source.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"A", "B", "C"}, names(records)[:3])
	require.Contains(t, names(records)[3], "out center;")
	require.Contains(t, names(records)[4], "not an element")
	require.Equal(t, "node/1", records[0].ID)
	require.Equal(t, map[string]string{"name": "A", "type": "x", "@id": "node/1", "@type": "node"}, records[0].Fields)
	require.Equal(t, 4, records[1].Line)
	latitude, longitude := records[1].Geometry.Position()
	require.Equal(t, []float64{54, 9}, []float64{latitude, longitude})
	require.Equal(t, "Polygon", records[2].Geometry.Type)
	latitude, longitude = records[2].Geometry.Middle()
	require.Equal(t, []float64{2, 3}, []float64{latitude, longitude})
}

// TestMiddle has the middles of shapes that the antimeridian cuts (RFC 7946, 3.1.9).
func TestMiddle(t *testing.T) {
	t.Parallel()
	for content, want := range map[string][2]float64{
		`{"type":"MultiPolygon","coordinates":[[[[178.5,70.8],[180,70.8],[180,71.6],[178.5,70.8]]],[[[-180,70.8],[-177.4,70.8],[-177.4,71.6],[-180,70.8]]]]}`: {71.2, -179.45},
		`{"type":"MultiPolygon","coordinates":[[[[177,-19],[180,-19],[180,-16],[177,-19]]],[[[-180,-19],[-179,-19],[-179,-16],[-180,-19]]]]}`:                 {-17.5, 179},
		`{"type":"Polygon","coordinates":[[[-10,40],[10,40],[10,50],[-10,40]]]}`:                                                                              {45, 0},
		`{"type":"Polygon","coordinates":[[[-180,-90],[180,-90],[180,-60],[-180,-90]]]}`:                                                                      {-75, 0},
		`{"type":"Polygon","coordinates":[[[-180,-90],[180,-90],[180,-60],[0.2,-60],[-1,-60],[-180,-90]]]}`:                                                   {-75, 0},
		`{"type":"Polygon","coordinates":[[[-170,10],[-160,10],[-160,20],[-170,10]]]}`:                                                                        {15, -165},
	} {
		records, err := read(t, "x.json", "["+feature(content, "{}")+"]", source.Options{})
		require.NoError(t, err)
		latitude, longitude := records[0].Geometry.Middle()
		require.InDelta(t, want[0], latitude, 1e-9, content)
		require.InDelta(t, want[1], longitude, 1e-9, content)
	}
}
