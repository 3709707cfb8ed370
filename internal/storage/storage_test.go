package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/storage"
)

func open(t *testing.T, address string) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// each runs a test on the stores that need no server.
func each(t *testing.T, test func(t *testing.T, s *storage.Store)) {
	t.Helper()
	for name, address := range map[string]string{"folder": "file://" + t.TempDir() + "/a folder/files", "memory": "mem://"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, address))
		})
	}
}

func get(t *testing.T, s *storage.Store, key string) string {
	t.Helper()
	body, size, _, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	data, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.Equal(t, int64(len(data)), size)
	return string(data)
}

func TestWhatIsPutIsGot(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *storage.Store) {
		large := strings.Repeat("0123456789", 100_000)
		require.NoError(t, s.Put(t.Context(), "attempts/0197/original", strings.NewReader(large), "image/jpeg"))
		require.NoError(t, s.Put(t.Context(), "empty", strings.NewReader(""), "image/png"))
		require.Equal(t, large, get(t, s, "attempts/0197/original"))
		require.Empty(t, get(t, s, "empty"))

		require.NoError(t, s.Put(t.Context(), "empty", strings.NewReader("no more"), "image/png"))
		require.Equal(t, "no more", get(t, s, "empty"))
		require.NoError(t, s.Check(t.Context()))
	})
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{"mem://": "image/webp", "file://" + t.TempDir(): "application/octet-stream"} {
		s := open(t, address)
		require.NoError(t, s.Put(t.Context(), "a", strings.NewReader("x"), "image/webp"))
		body, _, contentType, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		require.NoError(t, body.Close())
		require.Equal(t, want, contentType)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *storage.Store) {
		_, _, _, err := s.Get(t.Context(), "attempts/none")
		requireFault(t, err, fault.NotFound, "file_not_found")
		require.NoError(t, s.Delete(t.Context(), "attempts/none"))

		require.NoError(t, s.Put(t.Context(), "a/b", strings.NewReader("x"), "image/png"))
		require.NoError(t, s.Delete(t.Context(), "a/b"))
		require.NoError(t, s.Delete(t.Context(), "a/b"))
		_, _, _, err = s.Get(t.Context(), "a/b")
		requireFault(t, err, fault.NotFound, "file_not_found")
	})
}

// requireFault also demands that what a user reads tells nothing of the store.
func requireFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, kind, f.Kind, err)
	require.Equal(t, code, f.Code)
	require.NotContains(t, f.Message, "/")
}

func TestKeysStayInTheStore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *storage.Store) {
		for _, key := range []string{
			"", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "a/./b", "a//b", "a/", ".hidden", "a/.hidden",
			`a\b`, "a b", "a\x00b", "a\n", "ä", "a%2e%2e", "a:b", strings.Repeat("k", 513),
		} {
			require.Error(t, s.Put(t.Context(), key, strings.NewReader("x"), "image/png"), "%q", key)
			_, _, _, err := s.Get(t.Context(), key)
			require.Error(t, err, "%q", key)
			require.Equal(t, fault.Internal, fault.KindOf(err))
			require.Error(t, s.Delete(t.Context(), key), "%q", key)
		}
	})
}

// A write that breaks off leaves the old file, or none, and nothing beside it.
func TestABrokenSourceLeavesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := open(t, "file://"+folder)
	gone := errors.New("the sender is gone")
	half := func() io.Reader {
		return io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(gone))
	}
	require.Equal(t, gone, s.Put(t.Context(), "a/new", half(), "image/png"))
	_, _, _, err := s.Get(t.Context(), "a/new")
	requireFault(t, err, fault.NotFound, "file_not_found")

	require.NoError(t, s.Put(t.Context(), "a/old", strings.NewReader("still here"), "image/png"))
	require.Equal(t, gone, s.Put(t.Context(), "a/old", half(), "image/png"))
	require.Equal(t, "still here", get(t, s, "a/old"))
	require.Equal(t, []string{"a/old"}, files(t, folder))
}

func TestADoneContextLeavesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := open(t, "file://"+folder)
	ctx, cancel := context.WithCancel(t.Context())
	// The whole of the source is there; the context ends just before the commit.
	source := io.MultiReader(strings.NewReader("abc"), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, io.EOF
	}))
	require.ErrorIs(t, s.Put(ctx, "a/new", source, "image/png"), context.Canceled)
	require.Empty(t, files(t, folder))
	require.ErrorIs(t, s.Put(ctx, "a/new", strings.NewReader("x"), "image/png"), context.Canceled)
	require.Empty(t, files(t, folder))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func files(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(folder, path)
			found = append(found, filepath.ToSlash(name))
		}
		return err
	})
	require.NoError(t, err)
	return found
}

func TestOthersCannotReadTheFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "files")
	s := open(t, "file://"+folder)
	require.NoError(t, s.Put(t.Context(), "a/b", strings.NewReader("x"), "image/png"))
	for _, path := range []string{folder, filepath.Join(folder, "a")} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), path)
	}
}

// Readers see the one or the other, never a mixture.
func TestReplacingIsAtomic(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *storage.Store) {
		versions := []string{strings.Repeat("a", 100_000), strings.Repeat("b", 100_000)}
		require.NoError(t, s.Put(t.Context(), "k", strings.NewReader(versions[0]), "image/png"))
		var wait sync.WaitGroup
		for _, v := range versions {
			wait.Go(func() {
				for range 20 {
					require.NoError(t, s.Put(t.Context(), "k", strings.NewReader(v), "image/png"))
				}
			})
		}
		for range 40 {
			require.Contains(t, versions, get(t, s, "k"))
		}
		wait.Wait()
	})
}

func TestAFailingDiskIsUnavailable(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := open(t, "file://"+folder)
	// A file stands where a folder is needed.
	require.NoError(t, s.Put(t.Context(), "a", strings.NewReader("x"), "image/png"))
	requireFault(t, s.Put(t.Context(), "a/b", strings.NewReader("x"), "image/png"), fault.Unavailable, "storage_unavailable")
	_, _, _, err := s.Get(t.Context(), "a/b")
	requireFault(t, err, fault.Unavailable, "storage_unavailable")
	requireFault(t, s.Delete(t.Context(), "a/b"), fault.Unavailable, "storage_unavailable")
}

func TestCheckMissesTheFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "files")
	s := open(t, "file://"+folder)
	require.NoError(t, s.Check(t.Context()))
	require.NoError(t, os.RemoveAll(folder))
	require.Error(t, s.Check(t.Context()))
}

func TestCheckMissesTheServer(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not shown")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	// Nobody listens on the port for discarding.
	s := open(t, "s3://photos?endpoint=http://127.0.0.1:9&region=eu-central-1&use_path_style=true")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := s.Check(ctx)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "not shown")
	requireFault(t, s.Put(ctx, "a", strings.NewReader("x"), "image/png"), fault.Unavailable, "storage_unavailable")
}

func TestOpenRefusesOtherAddresses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, address := range []string{
		"", "photos", "/var/photos", "ftp://user:secret@host/photos", "gs://photos",
		"file://", "file:photos", "file://photos", "file://./photos", "file:///photos?metadata=skip",
		"file://" + file, "s3://photos?unheard_of=1", "s3://", "http://user:secret@[", "\x00secret",
	} {
		_, err := storage.Open(t.Context(), address)
		require.Error(t, err, "%q", address)
		require.NotContains(t, err.Error(), "secret", "%q", address)
	}
}
