package storage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/storage"
)

func list(t *testing.T, s *storage.Store) (keys []string) {
	t.Helper()
	for file, err := range s.List(t.Context()) {
		require.NoError(t, err)
		keys = append(keys, file.Key)
		written, err := s.ModTime(t.Context(), file.Key)
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), written, time.Minute)
	}
	return keys
}

func TestList(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *storage.Store) {
		require.Empty(t, list(t, s))
		for _, key := range []string{"users/2/a", "users/1/a", "users-of-old", "attempts/1/original"} {
			require.NoError(t, s.Put(t.Context(), key, strings.NewReader("x"), "image/png"))
		}
		require.Equal(t, []string{"attempts/1/original", "users-of-old", "users/1/a", "users/2/a"}, list(t, s))
		_, err := s.ModTime(t.Context(), "users/3/a")
		requireFault(t, err, fault.NotFound, "file_not_found")
		_, err = s.ModTime(t.Context(), "../a")
		require.Error(t, err)

		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		var last error
		for _, err := range s.List(stopped) {
			last = err
		}
		require.ErrorIs(t, last, context.Canceled)
	})
}

func TestListOfAFolderThatIsGone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir() + "/files"
	s := open(t, "file://"+folder)
	require.NoError(t, os.Remove(folder))
	var last error
	for _, err := range s.List(t.Context()) {
		last = err
	}
	requireFault(t, last, fault.Unavailable, "storage_unavailable")
}

// childVariable names a folder, and makes a test run its part of a process that is killed
// or has limits.
const childVariable = "PICASPOT_TEST_CHILD"

// TestAKilledWrite kills a process in the middle of a file: what it leaves is listed,
// and so can be removed.
func TestAKilledWrite(t *testing.T) {
	if folder := os.Getenv(childVariable); folder != "" {
		s := open(t, "file://"+folder)
		require.NoError(t, s.Put(t.Context(), "attempts/1/original", readerFunc(func(p []byte) (int, error) {
			time.Sleep(10 * time.Millisecond)
			return copy(p, "x"), nil
		}), "image/png"))
		return
	}
	t.Parallel()
	folder := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAKilledWrite$", "-test.count=1")
	child.Env = append(os.Environ(), childVariable+"="+folder)
	require.NoError(t, child.Start())
	require.Eventually(t, func() bool { return len(files(t, folder)) == 1 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	s := open(t, "file://"+folder)
	left := list(t, s)
	require.Len(t, left, 1)
	require.Regexp(t, `^attempts/1/original\.[0-9a-f]+\.tmp$`, left[0])
	require.NoError(t, s.DeleteBeneath(t.Context(), "attempts/1"))
	require.Empty(t, files(t, folder))
}

// TestUnfinishedUploads is about parts that a bucket keeps for an upload that a killed
// process began.
func TestUnfinishedUploads(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	upload := func(key string, age time.Duration) string {
		return fmt.Sprintf("<Upload><Key>%s</Key><UploadId>id-%s</UploadId><Initiated>%s</Initiated></Upload>", key, key, time.Now().Add(-age).UTC().Format(time.RFC3339))
	}
	var ended []string
	implemented := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case !implemented:
			w.WriteHeader(http.StatusNotImplemented)
			fmt.Fprint(w, "<Error><Code>NotImplemented</Code></Error>")
		case r.Method == http.MethodDelete:
			ended = append(ended, r.URL.Path+" "+q.Get("uploadId"))
			w.WriteHeader(http.StatusNoContent)
		case q.Has("uploads") && q.Get("prefix") == "photos/" && q.Get("key-marker") == "":
			fmt.Fprint(w, "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker><NextUploadIdMarker>id-b</NextUploadIdMarker>",
				upload("photos/a", 25*time.Hour), upload("photos/b", time.Hour), "</ListMultipartUploadsResult>")
		case q.Has("uploads") && q.Get("key-marker") == "b" && q.Get("upload-id-marker") == "id-b":
			fmt.Fprint(w, "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>", upload("photos/c", 48*time.Hour), "</ListMultipartUploadsResult>")
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	s := open(t, "s3://bucket?endpoint="+server.URL+"&region=eu-central-1&use_path_style=true&prefix=photos/")
	before := time.Now().Add(-24 * time.Hour)
	count, err := s.UnfinishedUploads(t.Context(), before, false)
	require.NoError(t, err)
	require.Equal(t, 2, count)
	require.Empty(t, ended)
	count, err = s.UnfinishedUploads(t.Context(), before, true)
	require.NoError(t, err)
	require.Equal(t, 2, count)
	require.Equal(t, []string{"/bucket/photos/a id-photos/a", "/bucket/photos/c id-photos/c"}, ended)

	implemented = false
	count, err = s.UnfinishedUploads(t.Context(), before, true)
	require.NoError(t, err)
	require.Zero(t, count)
	server.Close()
	_, err = s.UnfinishedUploads(t.Context(), before, true)
	var f *fault.Error
	require.True(t, errors.As(err, &f) && f.Kind == fault.Unavailable, "%v", err)

	count, err = open(t, "mem://").UnfinishedUploads(t.Context(), before, true)
	require.NoError(t, err)
	require.Zero(t, count)
}
