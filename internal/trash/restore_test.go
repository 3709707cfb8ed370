package trash_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// TestRestoreOfALargeArea is the case that the rules are made for: three levels and
// a thousand landmarks come back as they were, but for what was deleted before.
func TestRestoreOfALargeArea(t *testing.T) {
	t.Parallel()
	b := setup(t)
	top := b.Area(b.creator, "Town")
	middle := b.Area(b.creator, "Harbour", within(top.ID))
	bottom := b.Area(b.creator, "Pier", within(middle.ID))
	b.landmarks(bottom.ID, 999)
	alone := b.Landmark(b.creator, middle.ID, "Crane", harbour(5000))
	before := b.Landmark(b.creator, middle.ID, "Anchor", harbour(6000))
	elsewhere := b.Landmark(b.creator, b.Area(b.creator, "Forest").ID, "Oak", harbour(7000))
	b.deleteLandmark(b.creator, before.ID)

	clock := time.Now()
	b.deleteArea(b.creator, top.ID)
	deleted := time.Since(clock)
	require.Equal(t, 1, b.count("landmarks WHERE deleted_at IS NULL"))

	entry := b.list(b.admin, nil).Items[0]
	require.Equal(t, api.TrashCounts{Areas: 3, Landmarks: 1000}, entry.ComesBack)

	clock = time.Now()
	got := b.restoreArea(top.ID)
	restored := time.Since(clock)
	require.NotNil(t, got.JSON200, string(got.Body))
	require.Equal(t, api.Restoration{DeletionID: entry.DeletionID, Areas: 3, Landmarks: 1000}, *got.JSON200)

	require.Equal(t, 1001, b.count("landmarks WHERE deleted_at IS NULL AND deleted_by IS NULL AND deletion_id IS NULL"))
	require.Equal(t, 4, b.count("areas WHERE deleted_at IS NULL"))
	for id, status := range map[uuid.UUID]int{alone.ID: http.StatusOK, elsewhere.ID: http.StatusOK, before.ID: http.StatusNotFound} {
		found, err := b.creator.GetLandmarkWithResponse(b.ctx, id, nil)
		require.NoError(t, err)
		require.Equal(t, status, found.StatusCode())
	}
	require.Equal(t, 1003, b.count("audit_logs WHERE action = 'restore' AND actor_id = $1", b.admin.ID), "each is on record")
	require.Zero(t, b.count("audit_logs a WHERE action = 'restore' AND NOT (changes ? 'deleted_at' AND changes ? 'deletion_id')"))

	later := b.restoreLandmark(before.ID)
	require.NotNil(t, later.JSON200, string(later.Body))
	require.Equal(t, 1, later.JSON200.Landmarks)
	require.Empty(t, b.list(b.admin, nil).Items)

	b.deleteArea(b.creator, top.ID)
	clock = time.Now()
	purged, err := b.admin.PurgeAreaWithResponse(b.ctx, top.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, purged.StatusCode(), string(purged.Body))
	t.Logf("3 areas, 1,000 landmarks: delete %s, restore %s, purge %s", deleted.Round(time.Millisecond), restored.Round(time.Millisecond), time.Since(clock).Round(time.Millisecond))
	require.Equal(t, 1, b.count("landmarks"))
	require.Equal(t, 1004, b.count("audit_logs WHERE action = 'purge' AND actor_id = $1", b.admin.ID))
}

func TestRestore(t *testing.T) {
	t.Parallel()

	t.Run("gives a new version", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.Area(b.creator, "Harbour")
		b.deleteArea(b.creator, area.ID)
		require.NotNil(t, b.restoreArea(area.ID).JSON200)
		got, err := b.creator.GetAreaWithResponse(b.ctx, area.ID, nil)
		require.NoError(t, err)
		require.Equal(t, area.Name, got.JSON200.Name)
		require.True(t, got.JSON200.UpdatedAt.After(area.UpdatedAt))
	})

	t.Run("of what is not in the trash is not found", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.Area(b.creator, "Harbour")
		living, unknown := b.restoreArea(area.ID), b.restoreArea(uuid.New())
		apptest.Problem(t, http.StatusNotFound, living.HTTPResponse, living.Body)
		apptest.Problem(t, http.StatusNotFound, unknown.HTTPResponse, unknown.Body)
		user, landmark := b.restoreUser(b.creator.ID), b.restoreLandmark(area.ID)
		apptest.Problem(t, http.StatusNotFound, user.HTTPResponse, user.Body)
		apptest.Problem(t, http.StatusNotFound, landmark.HTTPResponse, landmark.Body)
	})

	t.Run("of a child that was deleted before leaves its siblings", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		one, two := b.Area(b.creator, "Harbour", within(top.ID)), b.Area(b.creator, "Market", within(top.ID))
		b.Landmark(b.creator, one.ID, "Crane", harbour(1))
		b.deleteArea(b.creator, one.ID)
		b.deleteArea(b.creator, two.ID)
		got := b.restoreArea(one.ID)
		require.Equal(t, 1, got.JSON200.Areas)
		require.Equal(t, 1, got.JSON200.Landmarks)
		require.Equal(t, two.ID, b.list(b.admin, nil).Items[0].ID)
	})

	t.Run("of a user", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.deleteMe(b.creator)
		got := b.restoreUser(b.creator.ID)
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, 1, got.JSON200.Users)
		b.LogIn(b.creator.ID, b.creator.Username, b.creator.Email)
		old, err := b.creator.GetMeWithResponse(b.ctx, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, old.StatusCode(), "its sessions stay ended")
	})

	t.Run("is not done half", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		b.Landmark(b.creator, top.ID, "Crane", harbour(1))
		b.deleteArea(b.creator, top.ID)
		relent := b.Refuse("UPDATE", "landmarks")
		require.Equal(t, http.StatusInternalServerError, b.restoreArea(top.ID).StatusCode())
		require.Zero(t, b.count("areas WHERE deleted_at IS NULL"))
		relent()
		require.NotNil(t, b.restoreArea(top.ID).JSON200)
	})
}
