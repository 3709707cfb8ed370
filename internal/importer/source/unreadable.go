package source

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// Advice on formats that are not read.
const (
	asCSV     = "save it as CSV (UTF-8) and import that"
	byOGR     = "convert it, for example with: ogr2ogr -t_srs EPSG:4326 -f GeoJSONSeq places.geojsonl %s"
	byOsmium  = "convert it, for example with: osmium export -f geojsonseq -o places.geojsonl %s"
	unpackIt  = "unpack it first"
	isNoTable = "it has no places that can be read"
)

// unreadable says what a file is, and what to do instead.
func unreadable(what, advice string) error {
	return fmt.Errorf("this is %s, which is not read: %s", what, advice)
}

// magic are the beginnings of binary formats that mimetype does not know, or says
// less of.
var magic = []struct {
	offset      int
	bytes, what string
	advice      string
}{
	{4, "\x0a\x09OSMHeader", "OSM PBF", fmt.Sprintf(byOsmium, "places.osm.pbf")},
	{0, "\x00\x00\x27\x0a", "a shapefile", fmt.Sprintf(byOGR, "places.shp")},
	{0, "fgb\x03", "FlatGeobuf", fmt.Sprintf(byOGR, "places.fgb")},
	{0, "SQLite format 3\x00", "SQLite (a GeoPackage, MBTiles or SpatiaLite)", fmt.Sprintf(byOGR, "places.gpkg")},
	{0, "PAR1", "Parquet", fmt.Sprintf(byOGR, "places.parquet")},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document of before 2007 (as .xls)", asCSV},
	{0, "BZh", "packed by bzip2", unpackIt},
	{0, "\xfd7zXZ\x00", "packed by xz", unpackIt},
	{0, "\x28\xb5\x2f\xfd", "packed by zstd", unpackIt},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive", unpackIt},
	{0, "Rar!\x1a\x07", "a RAR archive", unpackIt},
	{257, "ustar", "a tar archive", unpackIt},
}

// unreadableBinary returns an error if a file is no text.
func unreadableBinary(head []byte) error {
	for _, m := range magic {
		if len(head) > m.offset && bytes.HasPrefix(head[m.offset:], []byte(m.bytes)) {
			return unreadable(m.what, m.advice)
		}
	}
	// Text has no NUL, but for single ones in files of which each row is looked at.
	if found := mimetype.Detect(head); !isText(found) && found.String() != "application/octet-stream" {
		return unreadable(found.String(), isNoTable)
	}
	if n := bytes.Count(head, []byte{0}); n > len(head)/100 {
		return unreadable("a binary file", isNoTable+"; text in UTF-16 needs --encoding utf-16le or utf-16be, if it has no byte order mark")
	}
	return nil
}

func isText(m *mimetype.MIME) bool {
	for ; m != nil; m = m.Parent() {
		if m.Is("text/plain") {
			return true
		}
	}
	return false
}

// unreadableText returns an error if a text is of a format that is not read.
func unreadableText(head []byte) error {
	switch root := rootElement(head); root {
	case "":
	case "osm", "osmchange":
		return unreadable("OSM XML", fmt.Sprintf(byOsmium, "places.osm"))
	case "html":
		return unreadable("a web page", "look whether the download was answered by a form or an error")
	case "trainingcenterdatabase":
		return unreadable("TCX", "export it as GPX")
	case "rss", "feed":
		return unreadable("a news feed", isNoTable)
	case "featurecollection", "wfs_featurecollection":
		return unreadable("GML", fmt.Sprintf(byOGR, "places.gml"))
	default:
		return unreadable(fmt.Sprintf("XML with the root <%s>", root), "convert it to CSV or GeoJSON; of XML, GPX and KML are read")
	}
	if head = trimLeft(head); bytes.HasPrefix(bytes.ToLower(head[:min(len(head), 14)]), []byte("<!doctype html")) {
		return unreadable("a web page", "look whether the download was answered by a form or an error")
	}
	if strings.HasPrefix(string(head[:min(len(head), 15)]), "{\\rtf") {
		return unreadable("RTF", asCSV)
	}
	return nil
}
