package source

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// maxPacked is how often a file may be packed: a gzip in a zip in a gzip.
const maxPacked = 4

// unpack undoes what packed a file. It returns the unpacked file's name, too.
func (f *File) unpack(from io.Reader, name string, opts Options) (io.Reader, string, error) {
	f.read.from = from
	packed := bufio.NewReader(&f.read)
	for range maxPacked {
		head, err := packed.Peek(4)
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return nil, "", fmt.Errorf("read %s: %w", name, err)
		case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
			unpacked, err := gzip.NewReader(packed)
			if err != nil {
				return nil, "", fmt.Errorf("unpack %s: %w", name, err)
			}
			packed, name = bufio.NewReader(unpacked), trimPacker(name)
		case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
			unpacked, entry, err := f.unzip(from, packed, opts)
			if err != nil {
				return nil, "", fmt.Errorf("unpack %s: %w", name, err)
			}
			packed, name = bufio.NewReader(unpacked), entry
		default:
			return packed, name, nil
		}
		// A file that is packed twice is read from memory or disk the second time.
		from = nil
	}
	return nil, "", fmt.Errorf("%s is packed more than %d times", name, maxPacked)
}

// trimPacker cuts off the extension of what packed a file.
func trimPacker(name string) string {
	for _, extension := range []string{".gz", ".gzip", ".zip"} {
		if len(name) > len(extension) && strings.EqualFold(name[len(name)-len(extension):], extension) {
			return name[:len(name)-len(extension)]
		}
	}
	return name
}

// unzip opens the file to read within an archive. An archive that is no regular
// file is copied to disk first, since its directory is at its end.
func (f *File) unzip(from io.Reader, packed io.Reader, opts Options) (io.Reader, string, error) {
	file, ok := from.(*os.File)
	size := f.Size
	if !ok || size == 0 {
		var err error
		if file, size, err = f.spool(packed, opts.MaxBytes); err != nil {
			return nil, "", err
		}
	} else {
		f.read.n = 0
	}
	f.read.at = file
	archive, err := zip.NewReader(&f.read, size)
	if err != nil {
		return nil, "", err
	}
	entry, err := chooseEntry(archive.File, opts.Entry)
	if err != nil {
		return nil, "", err
	}
	unpacked, err := entry.Open()
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", entry.Name, err)
	}
	f.close = append(f.close, unpacked.Close)
	return unpacked, entry.Name, nil
}

// spool copies an archive into a file that is removed when f is closed.
func (f *File) spool(from io.Reader, maxBytes int64) (*os.File, int64, error) {
	file, err := os.CreateTemp("", "picaspot-import-*.zip")
	if err != nil {
		return nil, 0, err
	}
	f.close = append(f.close, file.Close, func() error { return os.Remove(file.Name()) })
	if maxBytes > 0 {
		from = &limited{from: from, left: maxBytes, err: fmt.Errorf("the archive has more than %d bytes", maxBytes)}
	}
	size, err := io.Copy(file, from)
	return file, size, err
}

// office are entries that tell what an archive is.
var office = []struct{ entry, what, advice string }{
	{"xl/workbook.xml", "an Excel workbook (.xlsx)", asCSV},
	{"word/document.xml", "a Word document (.docx)", asCSV},
	{"content.xml", "an OpenDocument file (.ods)", asCSV},
}

// chooseEntry returns the entry of that name, or the only one that may have places.
func chooseEntry(entries []*zip.File, name string) (*zip.File, error) {
	var names []string
	var found []*zip.File
	for _, entry := range entries {
		for _, o := range office {
			if entry.Name == o.entry {
				return nil, unreadable(o.what, o.advice)
			}
		}
		switch extension := strings.ToLower(path.Ext(entry.Name)); {
		case name != "" && entry.Name == name:
			found, names = []*zip.File{entry}, []string{name}
		case name != "" || entry.FileInfo().IsDir() || isAside(entry.Name):
			continue
		case extension == ".shp":
			return nil, unreadable("a shapefile", fmt.Sprintf(byOGR, "places.shp"))
		case slices.Contains(readable, extension):
			found, names = append(found, entry), append(names, entry.Name)
		}
	}
	// A KMZ may link further documents; the first one is its main one.
	if i := slices.IndexFunc(found, func(f *zip.File) bool { return strings.EqualFold(path.Ext(f.Name), ".kml") }); i >= 0 && name == "" {
		found = found[i : i+1]
	}
	switch {
	case name != "" && len(found) == 0:
		return nil, fmt.Errorf("the archive has no %q", name)
	case len(found) == 0:
		return nil, errors.New("the archive has no file of a format that is read; --entry names one")
	case len(found) > 1:
		return nil, fmt.Errorf("the archive has %d files; --entry says which one is meant: %s", len(found), strings.Join(names[:min(len(names), 20)], ", "))
	case found[0].Flags&1 != 0:
		return nil, fmt.Errorf("%s is encrypted", found[0].Name)
	default:
		return found[0], nil
	}
}

// readable are the extensions of entries that may have places.
var readable = []string{".geojson", ".json", ".geojsonseq", ".geojsonl", ".geojsons", ".ndjson", ".jsonl", ".gpx", ".kml", ".csv", ".tsv", ".tab", ".txt", ".gz"}

// isAside reports whether an entry accompanies the others: what macOS adds, and
// texts about the data.
func isAside(name string) bool {
	base := strings.ToLower(path.Base(name))
	return strings.HasPrefix(name, "__MACOSX/") || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "readme") || strings.HasPrefix(base, "license") || strings.HasPrefix(base, "licence")
}
