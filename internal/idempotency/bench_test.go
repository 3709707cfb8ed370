package idempotency_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// BenchmarkCreateLandmark is what a key costs: without one, with a new one for
// each, and sent again under the same.
func BenchmarkCreateLandmark(b *testing.B) {
	s := apptest.NewWithoutWorkers(b)
	ada := s.User()
	area := s.Area(ada, "Harbour")
	send := func(key *string, i int) {
		made, err := ada.CreateLandmarkWithResponse(context.Background(), &api.CreateLandmarkParams{IdempotencyKey: key}, api.LandmarkCreate{
			AreaID: area.ID, Name: fmt.Sprintf("Bench %d", i), Latitude: 1, Longitude: 2, AllowDuplicate: new(true),
		})
		require.NoError(b, err)
		require.Equal(b, http.StatusCreated, made.StatusCode(), string(made.Body))
	}
	n := 0
	next := func() int { n++; return n }
	b.Run("without key", func(b *testing.B) {
		for b.Loop() {
			send(nil, next())
		}
	})
	b.Run("with a new key", func(b *testing.B) {
		start := time.Now().UnixNano()
		for b.Loop() {
			i := next()
			send(new(fmt.Sprintf("%d-%d", start, i)), i)
		}
	})
	b.Run("sent again", func(b *testing.B) {
		key := newKey()
		for b.Loop() {
			send(key, 0)
		}
	})
}
