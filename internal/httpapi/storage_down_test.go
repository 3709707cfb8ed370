package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
)

// TestStorageThatTakesNothing has a store that is full: uploads and readiness name it,
// and not the database.
func TestStorageThatTakesNothing(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	full := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusInsufficientStorage)
			return
		}
		_, _ = io.WriteString(w, `<ListBucketResult><Name>photos</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`)
	}))
	t.Cleanup(full.Close)
	s := apptest.NewWithoutWorkers(t, func(c *config.Config) {
		c.StorageURL = "s3://photos?endpoint=" + full.URL + "&region=eu-central-1&use_path_style=true"
	})
	ready, err := s.Anonymous().GetReadinessWithResponse(context.Background())
	require.NoError(t, err)
	require.NotNil(t, ready.JSON503, string(ready.Body))
	require.Equal(t, api.DependencyStateDown, ready.JSON503.Dependencies["storage"])
	require.Equal(t, api.DependencyStateUp, ready.JSON503.Dependencies["database"])
	requireUploadsNameTheStorage(t, s)
}

// TestNoRoomForTemporaryFiles has no place where uploads can be kept while they are
// looked at.
func TestNoRoomForTemporaryFiles(t *testing.T) {
	s := apptest.NewWithoutWorkers(t)
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	requireUploadsNameTheStorage(t, s)
}

func requireUploadsNameTheStorage(t *testing.T, s *apptest.Server) {
	t.Helper()
	by, at := s.User(), geo.Point{Latitude: 53.8671, Longitude: 8.7206}
	area := s.Area(by, "Harbour")
	landmark := s.Landmark(by, area.ID, "Lighthouse", at)
	picture := apptest.Photo(t, at, time.Now())
	contentType, form := apptest.Form(t, picture, apptest.Claim(at))
	for to, in := range map[string]struct {
		method, contentType string
		body                io.Reader
	}{
		"/api/v1/landmarks/" + landmark.ID.String() + "/attempts": {http.MethodPost, contentType, form},
		"/api/v1/landmarks/" + landmark.ID.String() + "/image":    {http.MethodPut, "image/jpeg", bytes.NewReader(picture)},
		"/api/v1/areas/" + area.ID.String() + "/image":            {http.MethodPut, "image/jpeg", bytes.NewReader(picture)},
		"/api/v1/me/avatar": {http.MethodPut, "image/jpeg", bytes.NewReader(picture)},
	} {
		response, body := s.Call(by, in.method, to, in.contentType, in.body)
		require.Equal(t, "storage_unavailable", path.Base(apptest.Problem(t, http.StatusServiceUnavailable, response, body).Type), to)
	}
}
