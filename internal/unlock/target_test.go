package unlock_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// TestAttemptsAreJudgedByTheLandmarkOfTheirSubmission changes a landmark while an
// attempt waits to be decided.
func TestAttemptsAreJudgedByTheLandmarkOfTheirSubmission(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour")
	for name, c := range map[string]struct {
		change  api.LandmarkUpdate
		forgets bool
		want    api.AttemptStatus
	}{
		"moved":                               {change: api.LandmarkUpdate{Latitude: new(farAway.Latitude)}, want: api.AttemptStatusSucceeded},
		"given a photo spot":                  {change: api.LandmarkUpdate{PhotoLocation: nullable.NewNullableWithValue(api.PositionUpdate{Latitude: &farAway.Latitude, Longitude: &farAway.Longitude})}, want: api.AttemptStatusSucceeded},
		"stored by the release before, moved": {change: api.LandmarkUpdate{Latitude: new(farAway.Latitude)}, forgets: true, want: api.AttemptStatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			explorer := s.User()
			landmark := s.Landmark(creator, area.ID, "Lighthouse "+name, lighthouse, func(in *api.LandmarkCreate) { in.AllowDuplicate = new(true) })
			attempt := s.Attempt(explorer, landmark.ID, apptest.Photo(t, lighthouse, time.Now()), lighthouse)
			changed, err := creator.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, landmark.ID, nil, c.change)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, changed.StatusCode(), string(changed.Body))
			if c.forgets {
				_, err := s.Store.Pool.Exec(ctx, "UPDATE attempts SET target = NULL WHERE id = $1", attempt.ID)
				require.NoError(t, err)
			}
			require.NoError(t, s.Unlocks.Decide(ctx, attempt.ID))
			decided := s.Decided(explorer, attempt.ID)
			require.Equal(t, c.want, decided.Status, "%+v", decided.Checks)
		})
	}
}
