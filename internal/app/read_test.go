package app

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/bench"
)

// BenchmarkRead is what is asked for most, answered from copies, with all that stands
// around it and without the network.
func BenchmarkRead(b *testing.B) {
	c := newChain(b, true)
	user, err := c.app.Store.Ent.User.Query().Only(b.Context())
	require.NoError(b, err)
	require.NoError(b, bench.Generate(b.Context(), c.app.Store.Pool, 20_000, user.ID, user.ID))
	spots, err := bench.Spots(b.Context(), c.app.Store.Pool, 1)
	require.NoError(b, err)
	ids, err := bench.IDs(b.Context(), c.app.Store.Pool, 1)
	require.NoError(b, err)
	c.handler, c.status = c.app.Handler, http.StatusOK
	for _, test := range []struct{ name, target string }{
		{"nearby", "/api/v1/landmarks/nearby?size=50&radius_meters=1000&" + query(spots[0].Latitude, spots[0].Longitude)},
		{"landmark", "/api/v1/landmarks/" + ids[0].String()},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.ask(b, test.target, c.user)
				}
			})
		})
	}
}
