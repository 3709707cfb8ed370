package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/store"
)

func TestHold(t *testing.T) {
	t.Parallel()
	add := func(name string) func(context.Context, *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error { return createArea(ctx, tx, name) }
	}
	areas := func(t *testing.T, s *store.Store) []string {
		t.Helper()
		names, err := s.Ent.Area.Query().Select("name").Strings(t.Context())
		require.NoError(t, err)
		return names
	}

	t.Run("makes one transaction of all", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		ctx, held := store.Hold(t.Context())
		require.False(t, held.Began())
		after := 0
		require.NoError(t, s.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			tx.AfterCommit(func(ctx context.Context) {
				after++
				require.NoError(t, s.InTx(ctx, add("after")))
			})
			return createArea(ctx, tx, "one")
		}))
		require.True(t, held.Began())
		require.NoError(t, s.InTx(ctx, add("two")))
		require.Empty(t, areas(t, s))
		require.Zero(t, after)
		require.NoError(t, held.Commit(t.Context(), add("last")))
		require.ElementsMatch(t, []string{"one", "two", "last", "after"}, areas(t, s))
		require.Equal(t, 1, after)
		held.Rollback()
		require.Len(t, areas(t, s), 4)
	})

	t.Run("commits nothing after an error", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		no := errors.New("no")
		ctx, held := store.Hold(t.Context())
		require.NoError(t, s.InTx(ctx, add("one")))
		require.ErrorIs(t, s.InTx(ctx, func(context.Context, *store.Tx) error { return no }), no)
		require.ErrorIs(t, held.Commit(t.Context(), add("last")), no)
		require.Empty(t, areas(t, s))
	})

	t.Run("commits nothing when the last fails", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		no := errors.New("no")
		ctx, held := store.Hold(t.Context())
		require.NoError(t, s.InTx(ctx, add("one")))
		require.ErrorIs(t, held.Commit(t.Context(), func(context.Context, *store.Tx) error { return no }), no)
		require.Empty(t, areas(t, s))
	})

	t.Run("lets a first try that failed be repeated", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		no := errors.New("no")
		ctx, held := store.Hold(t.Context())
		require.ErrorIs(t, s.InTx(ctx, func(context.Context, *store.Tx) error { return no }), no)
		require.False(t, held.Began())
		require.NoError(t, s.InTx(ctx, add("one")))
		held.Rollback()
		require.Empty(t, areas(t, s))
	})
}
