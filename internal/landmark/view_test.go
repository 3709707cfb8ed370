package landmark_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
)

// Landmarks that are looked up together, while the database answers nobody for a while:
// each who asks gets the one that they asked for, or is told that there is none.
func TestLookedUpTogether(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour").ID
	want := map[uuid.UUID]string{uuid.New(): "", uuid.New(): ""}
	for i := range 12 {
		made := s.Landmark(creator, area, string(rune('A'+i)), geo.Point{Latitude: float64(i), Longitude: 8})
		want[made.ID] = made.Name
		switch i % 4 {
		case 1: // What one has and the next has not must not be mixed up.
			patch(t, creator, made.ID, api.LandmarkUpdate{PhotoLocation: nullable.NewNullableWithValue(api.PositionUpdate{Latitude: new(float64(i)), Longitude: new(8.0)})})
		case 2:
			deleted, err := creator.DeleteLandmarkWithResponse(ctx, made.ID, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, deleted.StatusCode())
			want[made.ID] = ""
		}
	}
	tx, err := s.Store.Pool.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "LOCK TABLE landmarks IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)

	var asking sync.WaitGroup
	for id, name := range want {
		for range 4 {
			asking.Go(func() {
				got, err := creator.GetLandmarkWithResponse(ctx, id, nil)
				switch {
				case err != nil:
					t.Error(err)
				case name == "" && got.StatusCode() != http.StatusNotFound:
					t.Errorf("%s: %d %s", id, got.StatusCode(), got.Body)
				case name != "" && (got.JSON200 == nil || got.JSON200.ID != id || got.JSON200.Name != name):
					t.Errorf("%s, %s: %d %s", id, name, got.StatusCode(), got.Body)
				case name != "" && got.JSON200.PhotoLocation.IsNull() == (int(got.JSON200.Latitude)%4 == 1):
					t.Errorf("%s, %s: %s", id, name, got.Body)
				}
			})
		}
	}
	// Two look-ups wait for the lock, and the others for them.
	require.Eventually(t, func() bool {
		var waiting int
		err := s.Store.Pool.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting)
		return err == nil && waiting == 2
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, tx.Commit(ctx))
	asking.Wait()
}
