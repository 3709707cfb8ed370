package storage

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWalk goes through a folder in the byte order of the keys, whatever the order of
// the names in their folders, and with fewer names in memory than a folder has.
func TestWalk(t *testing.T) {
	t.Parallel()
	keys := []string{"a-b", "a.b/c", "a/x", "a/y/z", "a0", "ab/c", "b", "c/1", "c/2", "c/3", "c/4", "c/5", "c/6", "c/7/8", "d.18af.tmp"}
	root := t.TempDir()
	for _, key := range append([]string{".hidden", "lost+found/x", "a/no key"}, keys...) {
		path := filepath.Join(root, filepath.FromSlash(key))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "empty", "folders"), 0o700))
	require.NoError(t, os.Symlink(root, filepath.Join(root, "link")))
	slices.Sort(keys)
	for _, batch := range []int{1, 2, 3, 1000} {
		var got []string
		w := walk{ctx: t.Context(), root: root, batch: batch, yield: func(file File, err error) bool {
			require.NoError(t, err)
			got = append(got, file.Key)
			return true
		}}
		require.True(t, w.folder(""))
		require.Equal(t, keys, got, "batches of %d", batch)
	}
	// It ends when the caller has enough.
	seen := 0
	w := walk{ctx: t.Context(), root: root, batch: 2, yield: func(File, error) bool { seen++; return seen < 3 }}
	require.False(t, w.folder(""))
	require.Equal(t, 3, seen)
}
