package source_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/importer/source"
)

func TestGPX(t *testing.T) {
	t.Parallel()
	records, err := read(t, "x.gpx", `<?xml version="1.0" encoding="ISO-8859-1"?>
<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1" xmlns:gpxx="x">
 <metadata><name>All</name><bounds minlat="1"/></metadata>
 <wpt lat="53.8" lon="8.7"><ele>3</ele><name>M`+"\xfc"+`hle &amp; Hof</name><desc><![CDATA[Old <b>mill</b>]]></desc><link href="https://example.org"><text>more</text></link>
  <extensions><gpxx:WaypointExtension><gpxx:Proximity>5</gpxx:Proximity></gpxx:WaypointExtension></extensions></wpt>
 <wpt lat="x" lon="8.7"><name>B</name></wpt>
 <wpt lat="1"><name>C</name></wpt>
 <rte><rtept lat="1" lon="2"><name>R</name></rtept></rte>
 <trk><name>T</name><trkseg><trkpt lat="1" lon="2"/></trkseg></trk>
 <wpt lat="-1" lon="-2"/>
</gpx>`, source.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{
		"Mühle & Hof", `fault: the position lat="x" lon="8.7" is not in degrees`, `fault: the position lat="1" lon="" is not in degrees`,
		"fault: it is a track or a route; only waypoints become landmarks", "fault: it is a track or a route; only waypoints become landmarks", "",
	}, names(records))
	require.Equal(t, "T", records[4].Fields["name"])
	require.Equal(t, map[string]string{"ele": "3", "name": "Mühle & Hof", "desc": "Old <b>mill</b>", "link": "https://example.org", "extensions.proximity": "5"}, records[0].Fields)
	require.Equal(t, []int{4, 6, 7, 8, 9, 10}, []int{records[0].Line, records[1].Line, records[2].Line, records[3].Line, records[4].Line, records[5].Line})
	latitude, longitude := records[0].Geometry.Position()
	require.Equal(t, []float64{53.8, 8.7}, []float64{latitude, longitude})
}

func TestKML(t *testing.T) {
	t.Parallel()
	placemark := func(name, geometry string) string {
		return "\n<Placemark id=\"p-" + name + "\"><name>" + name + "</name>" + geometry + "</Placemark>"
	}
	records, err := read(t, "x.kml", `<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>All</name><Style id="s"><name>no</name><IconStyle/></Style>`+
		placemark("A", `<description>a&nbsp;b</description><Point><coordinates> 8.7,53.8,2 </coordinates></Point><ExtendedData><Data name="Height"><displayName>h</displayName><value>5</value></Data><SchemaData><SimpleData name="kind">x</SimpleData></SchemaData></ExtendedData>`)+
		`<Folder><name>Outer</name><Folder><name>Inner</name>`+
		placemark("B", `<Point><coordinates>8.7, 53.8, 0</coordinates></Point>`)+
		`</Folder>`+
		placemark("C", `<LineString><coordinates>1,2 3,4</coordinates></LineString>`)+
		placemark("D", `<MultiGeometry><Polygon><outerBoundaryIs><LinearRing><coordinates>1,2 3,2 3,4 1,2</coordinates></LinearRing></outerBoundaryIs></Polygon><Point><coordinates>2,3</coordinates></Point></MultiGeometry>`)+
		placemark("E", `<MultiGeometry><Polygon><outerBoundaryIs><LinearRing><coordinates>1,2 3,2 3,4 1,2</coordinates></LinearRing></outerBoundaryIs></Polygon><Polygon><outerBoundaryIs><LinearRing><coordinates>5,2 7,2 7,4 5,2</coordinates></LinearRing></outerBoundaryIs></Polygon></MultiGeometry>`)+
		placemark("F", `<Point><coordinates>null,null</coordinates></Point>`)+
		placemark("G", ``)+
		placemark("H", `<gx:Track xmlns:gx="x"><gx:coord>1 2 3</gx:coord></gx:Track>`)+
		placemark("I", `<MultiGeometry><Point><coordinates>2,3</coordinates></Point><Point><coordinates>2,4</coordinates></Point></MultiGeometry>`)+
		`</Folder><NetworkLink><name>N</name><Link><href>https://example.org/more.kml</href></Link></NetworkLink></Document></kml>`, source.Options{})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"name": "A", "description": "a\u00a0b", "height": "5", "kind": "x"}, records[0].Fields)
	require.Equal(t, "p-A", records[0].ID)
	require.Equal(t, 3, records[0].Line)
	require.Equal(t, "Inner", records[1].Fields["folder"])
	require.Equal(t, "Outer", records[2].Fields["folder"])
	var types []string
	for _, r := range records {
		if len(r.Faults) == 0 {
			types = append(types, r.Fields["name"]+" "+r.Geometry.Type)
		}
	}
	require.Equal(t, []string{"A Point", "B Point", "C LineString", "D Point", "E Polygon", "G ", "H Track", "I MultiPoint"}, types)
	latitude, longitude := records[1].Geometry.Position()
	require.Equal(t, []float64{53.8, 8.7}, []float64{latitude, longitude})
	latitude, longitude = records[4].Geometry.Middle()
	require.Equal(t, []float64{3, 4}, []float64{latitude, longitude})
	require.Contains(t, records[5].Faults[0], `"null,null" is not a longitude and a latitude`)
	require.Contains(t, records[9].Faults[0], "https://example.org/more.kml")
}

func TestXMLThatIsBroken(t *testing.T) {
	t.Parallel()
	waypoint := `<gpx><wpt lat="1" lon="2"><name>A</name></wpt>`
	for content, want := range map[string]string{
		waypoint:                                                      "malformed near line 1",
		waypoint + "\n<wpt lat=\"1\"":                                 "malformed near line 2",
		waypoint + "\n</wpt></gpx>":                                   "malformed near line 2",
		waypoint + strings.Repeat("<a>", 1000):                        "nested deeper than 256",
		waypoint + strings.Repeat("x", 9<<20):                         "larger than 8 MiB",
		waypoint + "<wpt>" + strings.Repeat("\n<name/>", 5) + "&lol;": "malformed near line 6",
	} {
		records, err := read(t, "x.gpx", content, source.Options{})
		require.ErrorContains(t, err, want)
		require.Equal(t, []string{"A"}, names(records))
	}
	records, err := read(t, "x.gpx", waypoint+`<wpt lat="1" lon="2"><name>B</name>`+strings.Repeat("<desc>"+strings.Repeat("x", 1<<20)+"</desc>", 9)+"</wpt>"+strings.TrimPrefix(waypoint, "<gpx>")+"</gpx>", source.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"A", "fault: it is larger than 8 MiB", "A"}, names(records))
}
