package storage_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/storage"
)

// TestRemoval works the job off, more than once and over what is gone already.
func TestRemoval(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store, err := storage.Open(ctx, "mem://")
	require.NoError(t, err)
	defer store.Close()
	put := func(keys ...string) {
		for _, key := range keys {
			require.NoError(t, store.Put(ctx, key, strings.NewReader("x"), "text/plain"))
		}
	}
	gone := func(key string) bool {
		body, _, _, err := store.Get(ctx, key)
		if err == nil {
			body.Close()
		}
		return err != nil
	}
	put("a/b/one", "a/b/two", "a/bc/three", "four")
	args := storage.RemovalArgs{Keys: []string{"four", "never/there", "../no/key", "a/b/one"}}
	require.ErrorContains(t, store.Remove(ctx, args), "no key", "a fault is told, and the others go all the same")
	require.True(t, gone("four") && gone("a/b/one"))
	require.NoError(t, store.Remove(ctx, storage.RemovalArgs{Keys: []string{"four", "a/b/one"}}))

	require.NoError(t, store.DeleteBeneath(ctx, "a/b"))
	require.True(t, gone("a/b/two"))
	require.False(t, gone("a/bc/three"))
	require.NoError(t, store.DeleteBeneath(ctx, "nothing/there"))
	require.Error(t, store.DeleteBeneath(ctx, "../a"))
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	require.Error(t, store.DeleteBeneath(stopped, "a/bc"))
	require.Error(t, store.Remove(stopped, storage.RemovalArgs{Keys: []string{"a/bc/three", "x"}}))
}
