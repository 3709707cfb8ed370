package main

import (
	"bytes"
	"errors"
	"fmt"
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
