package trash_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/trash"
)

// TestUnlock says what the deletion of an unlock means: its user can earn it
// again, and it comes back only as long as they have not.
func TestUnlock(t *testing.T) {
	t.Parallel()
	b := of(t, apptest.New(t))
	at := harbour(1)
	landmark := b.Landmark(b.creator, b.Area(b.creator, "Town").ID, "Crane", at)
	explorer := b.User()
	earn := func() uuid.UUID {
		t.Helper()
		decided := b.Decided(explorer, b.Attempt(explorer, landmark.ID, apptest.Photo(t, at, time.Now()), at).ID)
		require.Equal(t, api.AttemptStatusSucceeded, decided.Status)
		return decided.UnlockID.MustGet()
	}
	revoke := func(id uuid.UUID) {
		t.Helper()
		require.NoError(t, b.Store.InTx(mixin.WithDeletion(as(b.admin)), func(ctx context.Context, tx *store.Tx) error {
			return tx.Unlock.DeleteOneID(id).Exec(ctx)
		}))
	}
	unlocked := func() bool {
		t.Helper()
		near, err := explorer.ListNearbyLandmarksWithResponse(b.ctx, &api.ListNearbyLandmarksParams{Latitude: at.Latitude, Longitude: at.Longitude, RadiusMeters: 10})
		require.NoError(t, err)
		mine, err := explorer.ListUnlocksWithResponse(b.ctx, nil)
		require.NoError(t, err)
		require.Equal(t, near.JSON200.Items[0].Unlocked, len(mine.JSON200.Items) == 1)
		return near.JSON200.Items[0].Unlocked
	}
	first := earn()
	revoke(first)
	require.False(t, unlocked())
	entry := b.list(b.admin, &api.ListTrashParams{EntityType: ptr(api.TrashKindUnlock)}).Items[0]
	require.Equal(t, "Crane", entry.Name)
	require.Equal(t, api.TrashCounts{Unlocks: 1}, entry.ComesBack)

	_, err := b.Trash.Restore(as(b.admin), trash.Unlock, first)
	require.NoError(t, err)
	require.True(t, unlocked())

	revoke(first)
	second := earn()
	require.NotEqual(t, first, second)
	_, err = b.Trash.Restore(as(b.admin), trash.Unlock, first)
	require.ErrorContains(t, err, "restore_conflict")
	require.NoError(t, b.Trash.Purge(as(b.admin), trash.Unlock, first))
	require.True(t, unlocked())
	require.Equal(t, 2, b.count("attempts"), "attempts are evidence and stay")

	t.Run("stays when the landmark is deleted, and goes when that is purged", func(t *testing.T) {
		b.deleteLandmark(b.creator, landmark.ID)
		mine, err := explorer.ListUnlocksWithResponse(b.ctx, nil)
		require.NoError(t, err)
		require.Len(t, mine.JSON200.Items, 1)
		require.NoError(t, b.Trash.Purge(as(b.admin), trash.Landmark, landmark.ID))
		require.Zero(t, b.count("unlocks"))
	})

	_, err = b.Trash.Restore(as(b.admin), "badge", first)
	require.Error(t, err)
	require.Error(t, b.Trash.Purge(as(b.admin), "badge", first))
}
