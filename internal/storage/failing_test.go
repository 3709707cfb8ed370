package storage_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/storage"
)

// refusing is an S3 bucket that can be listed and takes no object.
func refusing(t *testing.T, status int, code string) *storage.Store {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			_, _ = io.WriteString(w, `<ListBucketResult><Name>photos</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `<Error><Code>`+code+`</Code><Message>no</Message></Error>`)
	}))
	t.Cleanup(server.Close)
	return open(t, "s3://photos?endpoint="+server.URL+"&region=eu-central-1&use_path_style=true")
}

func TestABucketThatTakesNothing(t *testing.T) {
	for code, status := range map[string]int{"AccessDenied": http.StatusForbidden, "XMinioStorageFull": http.StatusInsufficientStorage} {
		t.Run(code, func(t *testing.T) {
			s := refusing(t, status, code)
			require.Error(t, s.Check(t.Context()), "a store that can be read only is not ready")
			// A large one is sent in parts, and fails while it is copied.
			for _, size := range []int{1, 12 << 20} {
				err := s.Put(t.Context(), "a", bytes.NewReader(make([]byte, size)), "image/png")
				requireFault(t, err, fault.Unavailable, "storage_unavailable")
				require.NotContains(t, err.Error(), "context canceled", "it is the store that failed")
			}
		})
	}
}

// A store that is too slow for the time that a request has is away.
func TestABucketThatHangs(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	hanging := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hanging }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hanging) })
	s := open(t, "s3://photos?endpoint="+server.URL+"&region=eu-central-1&use_path_style=true")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	requireFault(t, s.Put(ctx, "a", strings.NewReader("x"), "image/png"), fault.Unavailable, "storage_unavailable")
}

// Many callers of the check make one write, now and then.
func TestCheckWritesRarely(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := open(t, "file://"+folder)
	require.NoError(t, s.Check(t.Context()))
	written, err := os.Stat(filepath.Join(folder, "probe"))
	require.NoError(t, err)
	for range 50 {
		require.NoError(t, s.Check(t.Context()))
	}
	again, err := os.Stat(filepath.Join(folder, "probe"))
	require.NoError(t, err)
	require.True(t, os.SameFile(written, again))
	require.Equal(t, []string{"probe"}, files(t, folder), "it is always the same file")
}
