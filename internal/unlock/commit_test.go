package unlock_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/testenv"
)

// TestACommitWithoutAnAnswer cuts the connection between COMMIT and its answer. What
// was committed has its file, whatever the client was told.
func TestACommitWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	var cutter *testenv.Cutter
	// Workers would commit as well.
	s := apptest.NewWithoutWorkers(t, func(c *config.Config) { c.DatabaseURL, cutter = testenv.NewCutter(t, c.DatabaseURL) })
	ctx := context.Background()
	spot := geo.Point{Latitude: 53.8671, Longitude: 8.7206}
	landmark := s.Landmark(s.User(), s.Area(s.User(), "Harbour").ID, "Lighthouse", spot)

	for name, key := range map[string]*string{"an attempt": nil, "an attempt under a key": new(uuid.NewString())} {
		t.Run(name, func(t *testing.T) {
			explorer := s.User()
			photo := apptest.Photo(t, spot, time.Now())
			send := func() *api.CreateAttemptResponse {
				contentType, body := apptest.Form(t, photo, apptest.Claim(spot))
				made, err := explorer.CreateAttemptWithBodyWithResponse(ctx, landmark.ID, &api.CreateAttemptParams{IdempotencyKey: key}, contentType, body)
				require.NoError(t, err)
				return made
			}
			cuts := cutter.Cuts()
			cutter.CutNext()
			made := send()
			require.Equal(t, cuts+1, cutter.Cuts())
			apptest.Problem(t, http.StatusServiceUnavailable, made.HTTPResponse, made.Body)
			var id uuid.UUID
			require.NoError(t, s.Store.Pool.QueryRow(ctx, "SELECT id FROM attempts WHERE user_id = $1", explorer.ID).Scan(&id))
			var jobs int
			require.NoError(t, s.Store.Pool.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE kind = 'verify_attempt' AND args->>'attempt_id' = $1", id.String()).Scan(&jobs))
			require.Equal(t, 1, jobs)
			require.NoError(t, s.Unlocks.Decide(ctx, id))
			require.Equal(t, api.AttemptStatusSucceeded, s.Decided(explorer, id).Status)
			if key != nil {
				again := send()
				require.NotNil(t, again.JSON202, string(again.Body))
				require.Equal(t, id, again.JSON202.ID, "the answer was committed too")
			}
		})
	}

	owner := s.User()
	area := s.Area(owner, "Town")
	for name, path := range map[string]string{
		"an avatar":          "/api/v1/me/avatar",
		"an area's image":    "/api/v1/areas/" + area.ID.String() + "/image",
		"a landmark's image": "/api/v1/landmarks/" + s.Landmark(owner, area.ID, "Crane", spot, allowDuplicate).ID.String() + "/image",
	} {
		t.Run(name, func(t *testing.T) {
			photo := apptest.Photo(t, spot, time.Now())
			cuts := cutter.Cuts()
			cutter.CutNext()
			response, body := s.Call(owner, http.MethodPut, path, "image/jpeg", bytes.NewReader(photo))
			require.Equal(t, cuts+1, cutter.Cuts())
			apptest.Problem(t, http.StatusServiceUnavailable, response, body)
			shown := path
			if path == "/api/v1/me/avatar" {
				shown = "/api/v1/users/" + owner.ID.String() + "/avatar"
			}
			response, body = s.Call(owner, http.MethodGet, shown, "", io.Reader(nil))
			require.Equal(t, http.StatusOK, response.StatusCode, string(body))
		})
	}
}

func allowDuplicate(in *api.LandmarkCreate) { in.AllowDuplicate = new(true) }
