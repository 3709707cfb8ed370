package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	entarea "github.com/picaspot/picaspot/ent/area"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/store"
)

// Whoever writes at once, and whatever is rolled back: totals are what counting gives.
func TestTotalsAreWhatCountingGives(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	check := func(want int, having map[string]any) {
		t.Helper()
		got, err := s.Total(ctx, "areas", having)
		require.NoError(t, err)
		require.Equal(t, want, got)
		var counted int
		require.NoError(t, s.Pool.QueryRow(ctx, "SELECT count(*) FROM areas WHERE deleted_at IS NULL AND ($1::boolean IS NULL OR is_verified = $1)",
			having["is_verified"]).Scan(&counted))
		require.Equal(t, counted, got)
	}
	change := func(fn func(context.Context, *store.Tx) error) error {
		return s.InTx(context.Background(), fn)
	}
	check(0, nil)

	const writers, each = 8, 5
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				errs[w] = change(func(ctx context.Context, tx *store.Tx) error {
					for half := range 2 {
						create := tx.Area.Create().SetName(fmt.Sprint(w, " ", i, " ", half)).SetCreatedBy(uuid.New()).SetIsVerified(half == 0)
						if err := create.Exec(ctx); err != nil {
							return err
						}
					}
					return nil
				})
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	check(2*writers*each, nil)
	check(writers*each, map[string]any{"is_verified": true})
	var rows int
	require.NoError(t, s.Pool.QueryRow(ctx, "SELECT count(*) FROM row_totals WHERE table_name = 'areas'").Scan(&rows))
	require.LessOrEqual(t, rows, 2*writers, "as many rows as writers at once")

	require.Error(t, change(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Area.Create().SetName("never").SetCreatedBy(uuid.New()).Exec(ctx); err != nil {
			return err
		}
		return context.Canceled
	}))
	check(80, nil)

	for _, fn := range []func(context.Context, *store.Tx) error{
		func(ctx context.Context, tx *store.Tx) error {
			return tx.Area.Update().Where(entarea.NameHasPrefix("0 ")).SetIsVerified(true).Exec(ctx)
		},
		func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Area.Delete().Where(entarea.NameHasPrefix("1 ")).Exec(ctx)
			return err
		},
		func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Area.Delete().Where(entarea.NameHasPrefix("2 ")).Exec(mixin.WithDeleted(ctx))
			return err
		},
	} {
		require.NoError(t, change(fn))
	}
	check(60, nil)
	check(35, map[string]any{"is_verified": true})
	require.NoError(t, change(func(ctx context.Context, tx *store.Tx) error {
		return tx.Area.Update().Where(entarea.DeletedAtNotNil()).ClearDeletedAt().ClearDeletionID().ClearDeletedBy().Exec(mixin.WithDeleted(ctx))
	}))
	check(70, nil)
	_, err := s.Pool.Exec(ctx, "TRUNCATE areas CASCADE")
	require.NoError(t, err)
	check(0, nil)
	other, err := s.Total(ctx, "landmarks", map[string]any{"is_verified": false, "difficulty": 3})
	require.NoError(t, err)
	require.Zero(t, other)
}
