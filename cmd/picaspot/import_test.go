package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/importer/source"
)

func TestImportOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		report importer.Report
		err    error
		want   int
	}{
		{importer.Report{Read: 2, Created: 1, Unchanged: 1}, nil, 0},
		{importer.Report{Read: 2, Created: 1, Rejected: 1}, nil, 3},
		{importer.Report{Read: 2, Unchanged: 1, Rejected: 1}, nil, 3},
		{importer.Report{Read: 2, Rejected: 2}, nil, 1},
		{importer.Report{}, nil, 1},
		{importer.Report{Read: 2, Created: 2}, errors.New("the file ends early"), 1},
		{importer.Report{Read: 2, Created: 1, Rejected: 1}, fmt.Errorf("x: %w", importer.ErrRejected), 3},
		{importer.Report{Read: 1, Rejected: 1}, importer.ErrRejected, 3},
	} {
		err := outcome(c.report, c.err)
		if c.want == 0 {
			require.NoError(t, err)
			continue
		}
		var coded kong.ExitCoder
		require.ErrorAs(t, err, &coded)
		require.Equal(t, c.want, coded.ExitCode(), "%+v", c)
	}
}

func TestImportHelp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	parser, err := kong.New(&cli{}, importVars(), kong.Writers(&out, &out), kong.Exit(func(int) {}))
	require.NoError(t, err)
	_, _ = parser.Parse([]string{"import", "--help"})
	for _, want := range []string{"geojsonseq", "KMZ", "short_description", "Exit codes: 0", "--dry-run", "--strict"} {
		require.Contains(t, out.String(), want)
	}
}

func TestPrintRows(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printRows(&out, source.CSV, "Places", []importer.Row{
		{Line: 2, ExternalID: "places:1", Name: "Stone\nof the very long name that does not end here", Area: "Coast", Location: geo.Point{Latitude: 53.8, Longitude: 8.7}},
	})
	require.Contains(t, out.String(), "places:1     Stone of the very long name that does n…  53.8      8.7        Places / Coast")
}

// Each --…-field flag names the column that it says: a column that is not there is an
// error which names the flag.
func TestImportFieldFlags(t *testing.T) {
	t.Parallel()
	for _, field := range []string{
		"id", "name", "description", "hint", "area", "latitude", "longitude", "area-path", "difficulty", "unlock-radius",
		"photo-latitude", "photo-longitude", "photo-radius", "verified", "created-at", "updated-at",
	} {
		var parsed cli
		parser, err := kong.New(&parsed, importVars())
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "places.csv")
		require.NoError(t, os.WriteFile(path, []byte("name,latitude,longitude\nStone,1,2\n"), 0o600))
		_, err = parser.Parse([]string{"import", path, "--" + field + "-field", "Missing"})
		require.NoError(t, err, field)
		_, err = importer.Open(path, parsed.Import.sourceOptions())
		require.ErrorContains(t, err, "(--"+field+"-field)")
	}
}
