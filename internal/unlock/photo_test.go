package unlock_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

func requirePhoto(t *testing.T, by *apptest.Client, attempt uuid.UUID) {
	t.Helper()
	shown, err := by.GetAttemptPhotoWithResponse(context.Background(), attempt, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, shown.StatusCode(), string(shown.Body))
	require.NotContains(t, string(shown.Body), "Exif")
}

// A photo is decoded when it is handed in and not again: the verification does
// without the file.
func TestAPhotoIsDecodedOnce(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	landmark, explorer := landmarkAt(s, lighthouse), s.User()
	attempt := s.Attempt(explorer, landmark.ID, apptest.Photo(t, lighthouse, time.Now()), lighthouse)
	requirePhoto(t, explorer, attempt.ID)
	var hash string
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(),
		"SELECT photo->>'perceptual_hash' FROM attempts WHERE id = $1", attempt.ID).Scan(&hash))
	require.Len(t, hash, 16)

	folder, err := url.Parse(s.Config.StorageURL)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(folder.Path))
	require.NoError(t, s.Unlocks.Decide(context.Background(), attempt.ID))
	decided := s.Decided(explorer, attempt.ID)
	require.Equal(t, api.AttemptStatusSucceeded, decided.Status, "%+v", decided.Checks)
	for _, c := range decided.Checks {
		require.Equal(t, api.CheckOutcomePass, c.Outcome, "%+v", c)
	}
}

// An earlier release left facts and picture to the job.
func TestAnAttemptOfAnEarlierReleaseIsDecodedByTheJob(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	landmark, explorer := landmarkAt(s, lighthouse), s.User()
	attempt := s.Attempt(explorer, landmark.ID, apptest.Photo(t, lighthouse, time.Now()), lighthouse)
	_, err := s.Store.Pool.Exec(context.Background(),
		"UPDATE attempts SET image = NULL, photo = photo - 'facts' - 'perceptual_hash' WHERE id = $1", attempt.ID)
	require.NoError(t, err)
	early, err := explorer.GetAttemptPhotoWithResponse(context.Background(), attempt.ID, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, early.StatusCode())
	require.NoError(t, s.Unlocks.Decide(context.Background(), attempt.ID))
	decided := s.Decided(explorer, attempt.ID)
	require.Equal(t, api.AttemptStatusSucceeded, decided.Status, "%+v", decided.Checks)
	requirePhoto(t, explorer, attempt.ID)
}
