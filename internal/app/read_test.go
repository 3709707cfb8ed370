package app

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/bench"
)

// BenchmarkRead is what is asked for most, answered from copies, with all that stands
// around it and without the network; beside it the same way with an operation at its end
// that writes fixed bytes, which is the least that an answer can cost.
func BenchmarkRead(b *testing.B) {
	c := newChain(b, true)
	user, err := c.app.Store.Ent.User.Query().Only(b.Context())
	require.NoError(b, err)
	require.NoError(b, bench.Generate(b.Context(), c.app.Store.Pool, 20_000, user.ID, user.ID))
	spots, err := bench.Spots(b.Context(), c.app.Store.Pool, 1)
	require.NoError(b, err)
	ids, err := bench.IDs(b.Context(), c.app.Store.Pool, 1)
	require.NoError(b, err)
	landmark := "/api/v1/landmarks/" + ids[0].String()
	fixed := bytes.Repeat([]byte("x"), 546) // As many as a landmark has.
	require.NoError(b, c.mount(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(fixed) // It takes everything.
	}))
	c.status = http.StatusOK
	for _, test := range []struct {
		name, target string
		handler      http.Handler
	}{
		{"fixed bytes", landmark, c.handler},
		{"landmark", landmark, c.app.Handler},
		{"nearby", "/api/v1/landmarks/nearby?size=50&radius_meters=1000&" + query(spots[0].Latitude, spots[0].Longitude), c.app.Handler},
	} {
		b.Run(test.name, func(b *testing.B) {
			c.handler = test.handler
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
