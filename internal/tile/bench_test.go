package tile_test

import (
	"context"
	"flag"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/bench"
)

var rows = flag.Int("landmarks", 100_000, "how many landmarks the benchmarks have")

// What a tile costs where people live, by zoom, and how large it is.
func BenchmarkTiles(b *testing.B) {
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(b)
	creator, explorer := s.User(), s.User()
	require.NoError(b, bench.Generate(ctx, s.Store.Pool, *rows, creator.ID, explorer.ID))
	require.NoError(b, s.Tiles.Count(ctx))
	spots, err := bench.Spots(ctx, s.Store.Pool, 200)
	require.NoError(b, err)
	for _, zoom := range []int{0, 4, 10, 13, 14, 17} {
		b.Run(fmt.Sprintf("landmarks/z=%d", zoom), func(b *testing.B) {
			bytes, i := 0, 0
			for ; b.Loop(); i++ {
				data, err := s.Tiles.Landmarks(ctx, at(spots[i%len(spots)], zoom))
				if err != nil {
					b.Fatal(err)
				}
				bytes += len(data)
			}
			b.ReportMetric(float64(bytes)/float64(i), "bytes/tile")
		})
		b.Run(fmt.Sprintf("unlocks/z=%d", zoom), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := s.Tiles.Unlocked(ctx, at(spots[i%len(spots)], zoom), explorer.ID); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
