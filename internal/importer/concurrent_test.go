package importer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/picaspot/picaspot/internal/importer"
)

// TestImportsAtOnce has several imports of one file, none of whose areas is there: each
// row is created by one of them, and each area once.
func TestImportsAtOnce(t *testing.T) {
	t.Parallel()
	const imports, rows = 4, 60
	var content strings.Builder
	content.WriteString("id,name,lat,lon,area\n")
	for i := range rows {
		fmt.Fprintf(&content, "%d,Place %d,%d,2,Area %d\n", i, i, i, (7*i)%20)
	}
	path := file(t, "places.csv", content.String())
	s := open(t)
	var all errgroup.Group
	reports := make([]importer.Report, imports)
	for i := range imports {
		all.Go(func() error {
			src, err := importer.Open(path, importer.SourceOptions{})
			if err != nil {
				return err
			}
			defer src.Close()
			reports[i], err = importer.Import(context.Background(), s, src, importer.Options{
				Namespace: "places", Area: "Places", Owner: uuid.New(), BatchSize: 15,
			})
			return err
		})
	}
	require.NoError(t, all.Wait())
	created := 0
	for _, report := range reports {
		created += report.Created
		require.Equal(t, rows, report.Created+report.Unchanged)
	}
	require.Equal(t, rows, created)
	require.Equal(t, rows, s.Ent.Landmark.Query().CountX(t.Context()))
	require.Equal(t, 21, s.Ent.Area.Query().CountX(t.Context()))
}
