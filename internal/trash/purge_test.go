package trash_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/trash"
)

func (b *bundle) purgeArea(id uuid.UUID) *api.PurgeAreaResponse {
	b.t.Helper()
	got, err := b.admin.PurgeAreaWithResponse(b.ctx, id)
	require.NoError(b.t, err)
	return got
}

// withFiles makes a town whose areas and landmarks have images, and at whose
// landmarks somebody handed in photos that are decided. The anchor was deleted
// before the town.
func (b *bundle) withFiles(explorer *apptest.Client) (town api.Area) {
	b.t.Helper()
	town = b.Area(b.creator, "Town")
	pier := b.Area(b.creator, "Pier", within(town.ID))
	b.setAreaImage(town.ID)
	b.setAreaImage(pier.ID)
	var anchor uuid.UUID
	for i, name := range []string{"Crane", "Anchor"} {
		landmark := b.Landmark(b.creator, pier.ID, name, harbour(i))
		b.put(b.creator, "/api/v1/landmarks/"+landmark.ID.String()+"/image")
		attempt := b.Attempt(explorer, landmark.ID, apptest.Photo(b.t, harbour(i), time.Now()), harbour(i))
		b.Decided(explorer, attempt.ID)
		anchor = landmark.ID
	}
	b.deleteLandmark(b.creator, anchor)
	b.deleteArea(b.creator, town.ID)
	require.Len(b.t, b.files(), 8, "four images, two photos as they came and two to show")
	return town
}

func (b *bundle) waitForFiles(n int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return len(b.files()) == n }, 30*time.Second, 10*time.Millisecond, "%v", b.files())
}

func TestPurge(t *testing.T) {
	t.Parallel()

	t.Run("of an area takes all beneath it, whatever deleted it, files included", func(t *testing.T) {
		t.Parallel()
		b := of(t, apptest.New(t))
		explorer := b.User()
		town := b.withFiles(explorer)
		forest := b.Area(b.creator, "Forest")
		b.setAreaImage(forest.ID)
		got := b.purgeArea(town.ID)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		require.Equal(t, 1, b.count("areas"))
		for _, table := range []string{"landmarks", "attempts", "unlocks"} {
			require.Zero(t, b.count(table), table)
		}
		b.waitForFiles(1)
		require.True(t, strings.HasPrefix(b.files()[0], "areas/"+forest.ID.String()))
		require.Equal(t, 2, b.count("audit_logs WHERE action = 'purge' AND entity_type = 'landmark'"), "also the one that was deleted before")
		require.Equal(t, 2, b.count("audit_logs WHERE action = 'purge' AND entity_type = 'area'"))
		require.Empty(t, b.list(b.admin, nil).Items)
	})

	t.Run("of a user leaves what others need", func(t *testing.T) {
		t.Parallel()
		b := of(t, apptest.New(t))
		area := b.Area(b.creator, "Town")
		landmark := b.Landmark(b.creator, area.ID, "Crane", harbour(1))
		b.put(b.creator, "/api/v1/me/avatar")
		b.Decided(b.creator, b.Attempt(b.creator, landmark.ID, apptest.Photo(t, harbour(1), time.Now()), harbour(1)).ID)
		require.Len(t, b.files(), 3)
		b.deleteMe(b.creator)
		got, err := b.admin.PurgeUserWithResponse(b.ctx, b.creator.ID)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		require.Zero(t, b.count("users WHERE id = $1", b.creator.ID))
		for _, table := range []string{"sessions", "attempts", "unlocks"} {
			require.Zero(t, b.count(table+" WHERE user_id = $1", b.creator.ID), table)
		}
		b.waitForFiles(0)
		kept, err := b.admin.GetAreaWithResponse(b.ctx, area.ID, nil)
		require.NoError(t, err)
		require.Equal(t, b.creator.ID, kept.JSON200.CreatedBy)
		require.NotZero(t, b.count("audit_logs WHERE actor_id = $1", b.creator.ID))
	})

	t.Run("of a user does not put on record who it was", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.creator.UpdateMeWithApplicationMergePatchPlusJSONBodyWithResponse(b.ctx, nil, api.MeUpdate{
			DisplayName: nullable.NewNullableWithValue("Ada of the Harbour"), Bio: nullable.NewNullableWithValue("I live by the quay."),
		})
		require.NoError(t, err)
		b.put(b.creator, "/api/v1/me/avatar")
		b.deleteMe(b.creator)
		got, err := b.admin.PurgeUserWithResponse(b.ctx, b.creator.ID)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
		var recorded string
		require.NoError(t, b.Store.Pool.QueryRow(b.ctx, "SELECT changes FROM audit_logs WHERE action = 'purge' AND entity_id = $1", b.creator.ID).Scan(&recorded))
		for _, column := range []string{"username", "email", "display_name", "bio", "avatar", "password_hash"} {
			require.Contains(t, recorded, `"`+column+`": {}`)
		}
		require.Contains(t, recorded, `"role": {"before": "user"}`)
		for _, personal := range []string{b.creator.Username, b.creator.Email, "Harbour", "quay", "users/"} {
			require.NotContains(t, recorded, personal)
		}
	})

	t.Run("is for the trash only", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.Area(b.creator, "Town")
		landmark := b.Landmark(b.creator, area.ID, "Crane", harbour(1))
		living := b.purgeArea(area.ID)
		require.Equal(t, "/problems/not_in_trash", apptest.Problem(t, http.StatusConflict, living.HTTPResponse, living.Body).Type)
		unknown := b.purgeArea(uuid.New())
		apptest.Problem(t, http.StatusNotFound, unknown.HTTPResponse, unknown.Body)
		b.deleteArea(b.creator, area.ID)
		part, err := b.admin.PurgeLandmarkWithResponse(b.ctx, landmark.ID)
		require.NoError(t, err)
		p := apptest.Problem(t, http.StatusConflict, part.HTTPResponse, part.Body)
		require.Equal(t, "/problems/part_of_deletion", p.Type)
		require.Contains(t, (*p.Errors)[0].Message, area.ID.String())
		require.Equal(t, 1, b.count("landmarks"))
		require.Equal(t, http.StatusNoContent, b.purgeArea(area.ID).StatusCode())
	})

	t.Run("does not take what lives", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.Area(b.creator, "Town")
		landmark := b.Landmark(b.creator, area.ID, "Crane", harbour(1))
		b.deleteArea(b.creator, area.ID)
		b.exec("UPDATE landmarks SET deleted_at = NULL, deletion_id = NULL WHERE id = $1", landmark.ID)
		require.Equal(t, http.StatusInternalServerError, b.purgeArea(area.ID).StatusCode())
		require.Equal(t, 1, b.count("landmarks"))
	})

	t.Run("loses no file when it dies right after", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		worker := apptest.StartWorker(t, b.Config)
		town := b.withFiles(b.User())
		worker.Stop() // Its jobs are done; what comes now waits.
		require.Equal(t, http.StatusNoContent, b.purgeArea(town.ID).StatusCode())
		require.Len(t, b.files(), 8, "nobody is there to remove them")
		b.runWorker()
		require.Empty(t, b.files())
		// A worker that dies before it says that it is done leaves a job that runs again.
		b.exec("UPDATE river_job SET state = 'available', finalized_at = NULL, attempt = 0 WHERE kind = 'file_removal'")
		b.runWorker()
		require.Zero(t, b.count("river_job WHERE kind = 'file_removal' AND state <> 'completed'"))
	})

	t.Run("is not done half", func(t *testing.T) {
		t.Parallel()
		b := of(t, apptest.New(t))
		town := b.withFiles(b.User())
		relent := b.Refuse("INSERT", "river_job")
		require.Equal(t, http.StatusInternalServerError, b.purgeArea(town.ID).StatusCode())
		relent()
		require.Equal(t, 2, b.count("landmarks"))
		require.Len(t, b.files(), 8)
	})

	t.Run("of many areas has each on record", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		parent := b.Area(b.creator, "Level 0")
		top := parent.ID
		for i := 1; i < 10; i++ {
			parent = b.Area(b.creator, fmt.Sprint("Level ", i), within(parent.ID))
		}
		b.exec(`INSERT INTO areas (id, created_at, updated_at, name, created_by, parent_area_id)
SELECT gen_random_uuid(), now(), now(), 'Area ' || n, $2, $1 FROM generate_series(1, 1200) n`, top, b.creator.ID)
		b.deleteArea(b.creator, top)
		require.Equal(t, http.StatusNoContent, b.purgeArea(top).StatusCode())
		require.Equal(t, 1210, b.count("audit_logs WHERE action = 'purge'"))
		require.Zero(t, b.count("areas"))
	})
}

// TestPurgeOfAUserTakesWhatNoRowNames has a photo that a process stored and died before
// its row was committed: it may say where the user was.
func TestPurgeOfAUserTakesWhatNoRowNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	store, err := storage.Open(b.ctx, b.Config.StorageURL)
	require.NoError(t, err)
	defer store.Close()
	theirs, others := "users/"+b.creator.ID.String()+"/attempts/1/original", "users/"+b.admin.ID.String()+"/attempts/1/original"
	for _, key := range []string{theirs, theirs + ".18af3c.tmp", others} {
		require.NoError(t, store.Put(b.ctx, key, strings.NewReader("x"), "image/jpeg"))
	}
	b.put(b.creator, "/api/v1/me/avatar")
	b.deleteMe(b.creator)
	got, err := b.admin.PurgeUserWithResponse(b.ctx, b.creator.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, got.StatusCode(), string(got.Body))
	b.runWorker()
	require.Equal(t, []string{others}, b.files())
}

// TestPurgeDuringVerification purges an attempt that waits: its job finds nothing
// to decide, and nothing of its photo is left.
func TestPurgeDuringVerification(t *testing.T) {
	t.Parallel()
	b := setup(t)
	area := b.Area(b.creator, "Town")
	landmark := b.Landmark(b.creator, area.ID, "Crane", harbour(1))
	attempt := b.Attempt(b.creator, landmark.ID, apptest.Photo(t, harbour(1), time.Now()), harbour(1))
	b.deleteArea(b.creator, area.ID)
	require.NoError(t, b.Trash.Purge(as(b.admin), trash.Area, area.ID))
	// A worker died after it had stored the picture and before it recorded it.
	store, err := storage.Open(b.ctx, b.Config.StorageURL)
	require.NoError(t, err)
	defer store.Close()
	require.NoError(t, store.Put(b.ctx, "attempts/"+attempt.ID.String()+"/picture.jpg", strings.NewReader("x"), "image/jpeg"))
	require.Len(t, b.files(), 3, "the original, its picture and the one that a worker left")
	b.runWorker()
	require.Empty(t, b.files())
	require.Zero(t, b.count("river_job WHERE state <> 'completed'"))
}

// TestPurgeWhileAPhotoIsDeveloped removes an attempt between the time that its
// picture is stored and that it is recorded.
func TestPurgeWhileAPhotoIsDeveloped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	landmark := b.Landmark(b.creator, b.Area(b.creator, "Town").ID, "Crane", harbour(1))
	attempt := b.Attempt(b.creator, landmark.ID, apptest.Photo(t, harbour(1), time.Now()), harbour(1))
	// Only attempts of an earlier release have no picture yet.
	b.exec("UPDATE attempts SET image = NULL, photo = photo - 'facts' - 'perceptual_hash' WHERE id = $1", attempt.ID)
	tx, err := b.Store.Pool.Begin(b.ctx)
	require.NoError(t, err)
	defer tx.Rollback(b.ctx)
	_, err = tx.Exec(b.ctx, "SELECT FROM attempts WHERE id = $1 FOR UPDATE", attempt.ID)
	require.NoError(t, err)
	decided := make(chan error, 1)
	go func() { decided <- b.Unlocks.Decide(b.ctx, attempt.ID) }()
	b.waitForFiles(3)
	_, err = tx.Exec(b.ctx, "DELETE FROM attempts WHERE id = $1", attempt.ID)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(b.ctx))
	require.NoError(t, <-decided)
	require.Len(t, b.files(), 2, "what came with the attempt is the purge's to remove")
	require.Zero(t, b.count("unlocks"))
}

func TestPurgeExpired(t *testing.T) {
	t.Parallel()
	b := setup(t, retention(time.Hour))
	var areas []uuid.UUID
	for i := range 4 {
		area := b.Area(b.creator, fmt.Sprint("Town ", i))
		b.Landmark(b.creator, area.ID, "Crane", harbour(i))
		areas = append(areas, area.ID)
	}
	gone := b.User()
	b.deleteMe(gone)
	for _, id := range areas[:3] {
		b.deleteArea(b.creator, id)
	}
	age := func(by string, ids ...uuid.UUID) {
		for _, table := range []string{"areas", "users"} {
			b.exec("UPDATE "+table+" SET deleted_at = now() - $2::interval WHERE id = ANY($1)", ids, by)
		}
	}
	age("61 minutes", areas[0], gone.ID)
	age("30 minutes", areas[1])
	require.NoError(t, b.Store.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error { return tx.Enqueue(ctx, trash.PurgeArgs{}, nil) }))
	worker := apptest.StartWorker(t, b.Config)
	require.Eventually(t, func() bool { return b.count("river_job WHERE kind = 'trash_purge' AND state = 'completed'") >= 1 }, time.Minute, 20*time.Millisecond)
	worker.Stop()
	require.Equal(t, 3, b.count("areas"))
	require.Equal(t, 3, b.count("landmarks"))
	require.Zero(t, b.count("users WHERE id = $1", gone.ID))
	require.Len(t, b.list(b.admin, nil).Items, 2)
	require.Equal(t, 3, b.count("audit_logs WHERE action = 'purge' AND actor_id IS NULL"))

	t.Run("goes on where one fails, and tells", func(t *testing.T) {
		b.exec("UPDATE landmarks SET deleted_at = NULL, deletion_id = NULL WHERE area_id = $1", areas[1])
		age("3 hours", areas[1])
		age("2 hours", areas[2])
		require.ErrorContains(t, b.Trash.PurgeExpired(b.ctx), areas[1].String())
		require.Equal(t, 2, b.count("areas"))
		require.Zero(t, b.count("areas WHERE id = $1", areas[2]))
	})

	t.Run("takes more than one look-up", func(t *testing.T) {
		b := setup(t, retention(time.Hour))
		area := b.Area(b.creator, "Town")
		b.landmarks(area.ID, 250)
		b.exec("UPDATE landmarks SET deleted_at = now() - interval '2 hours', deletion_id = gen_random_uuid()")
		require.Len(t, b.list(b.admin, &api.ListTrashParams{Size: ptr(100)}).Items, 100)
		require.NoError(t, b.Trash.PurgeExpired(b.ctx))
		require.Zero(t, b.count("landmarks"))
		require.Equal(t, 1, b.count("areas"))
	})

	t.Run("ends with its context", func(t *testing.T) {
		stopped, cancel := context.WithCancel(b.ctx)
		cancel()
		require.Error(t, b.Trash.PurgeExpired(stopped))
	})
}
