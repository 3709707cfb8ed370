package trash_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
)

func TestRestoreConflicts(t *testing.T) {
	t.Parallel()

	t.Run("names that are taken beneath the same parent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		beneath := b.Area(b.creator, "Harbour", within(top.ID))
		b.deleteArea(b.creator, beneath.ID)
		other := b.Area(b.creator, "HÁRBOUR", within(top.ID))
		got := b.restoreArea(beneath.ID)
		codes, p := b.conflicts(got.HTTPResponse, got.Body)
		require.Equal(t, []string{"name_taken"}, codes)
		require.Contains(t, (*p.Errors)[0].Message, other.ID.String())

		b.deleteArea(b.creator, top.ID)
		b.Area(b.creator, "town")
		got = b.restoreArea(top.ID)
		codes, _ = b.conflicts(got.HTTPResponse, got.Body)
		require.Equal(t, []string{"name_taken"}, codes)
	})

	t.Run("a parent that is deleted, and by which deletion", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		middle := b.Area(b.creator, "Harbour", within(top.ID))
		bottom := b.Area(b.creator, "Pier", within(middle.ID))
		landmark := b.Landmark(b.creator, middle.ID, "Crane", harbour(1))
		b.deleteArea(b.creator, bottom.ID)
		b.deleteLandmark(b.creator, landmark.ID)
		b.deleteArea(b.creator, top.ID)
		deletion := b.list(b.admin, &api.ListTrashParams{EntityType: ptr(api.TrashKindArea)}).Items[0].DeletionID

		area := b.restoreArea(bottom.ID)
		codes, p := b.conflicts(area.HTTPResponse, area.Body)
		require.Equal(t, []string{"parent_deleted"}, codes)
		for _, told := range []string{"Harbour", deletion.String(), `the area "Town"`, top.ID.String()} {
			require.Contains(t, (*p.Errors)[0].Message, told)
		}
		of := b.restoreLandmark(landmark.ID)
		codes, _ = b.conflicts(of.HTTPResponse, of.Body)
		require.Equal(t, []string{"parent_deleted"}, codes)

		require.NotNil(t, b.restoreArea(top.ID).JSON200)
		require.NotNil(t, b.restoreArea(bottom.ID).JSON200)
		require.NotNil(t, b.restoreLandmark(landmark.ID).JSON200)
	})

	t.Run("something that went along names what it went along with", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		beneath := b.Area(b.creator, "Harbour", within(top.ID))
		landmark := b.Landmark(b.creator, beneath.ID, "Crane", harbour(1))
		b.deleteArea(b.creator, top.ID)
		area, of := b.restoreArea(beneath.ID), b.restoreLandmark(landmark.ID)
		for _, got := range []struct {
			response *http.Response
			body     []byte
		}{{area.HTTPResponse, area.Body}, {of.HTTPResponse, of.Body}} {
			codes, p := b.conflicts(got.response, got.body)
			require.Equal(t, []string{"part_of_deletion"}, codes)
			require.Contains(t, (*p.Errors)[0].Message, top.ID.String())
		}
	})

	t.Run("names and addresses of users", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		gone := b.User()
		b.deleteMe(gone)
		one, two := b.User(), b.User()
		b.exec("UPDATE users SET username = $2 WHERE id = $1", one.ID, "USER"+gone.Username[4:])
		b.exec("UPDATE users SET email = $2 WHERE id = $1", two.ID, gone.Email)
		got := b.restoreUser(gone.ID)
		codes, p := b.conflicts(got.HTTPResponse, got.Body)
		require.Equal(t, []string{"username_taken", "email_taken"}, codes)
		require.Contains(t, (*p.Errors)[0].Message, one.ID.String())
		require.Contains(t, (*p.Errors)[1].Message, two.ID.String())
	})

	t.Run("everything at once, and then nothing is restored", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		beneath := b.Area(b.creator, "Harbour", within(top.ID))
		landmark := b.Landmark(b.creator, beneath.ID, "Crane", harbour(1))
		b.exec("UPDATE areas SET external_id = 'town' WHERE id = $1", top.ID)
		b.exec("UPDATE landmarks SET external_id = 'crane' WHERE id = $1", landmark.ID)
		b.deleteArea(b.creator, top.ID)
		other := b.Area(b.creator, "town") // Names tell cases apart.
		b.exec("UPDATE areas SET name = 'Town', external_id = 'town' WHERE id = $1", other.ID)
		twin := b.Landmark(b.creator, other.ID, "Crane", harbour(1))
		b.exec("UPDATE landmarks SET external_id = 'crane' WHERE id = $1", twin.ID)
		got := b.restoreArea(top.ID)
		codes, _ := b.conflicts(got.HTTPResponse, got.Body)
		require.ElementsMatch(t, []string{"name_taken", "external_id_taken", "external_id_taken"}, codes)
		require.Equal(t, 1, b.count("areas WHERE deleted_at IS NULL"))
		require.Equal(t, 1, b.count("landmarks WHERE deleted_at IS NULL"))
	})

	t.Run("very many are counted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		b.landmarks(top.ID, 150)
		b.exec("UPDATE landmarks SET external_id = name")
		b.deleteArea(b.creator, top.ID)
		b.landmarks(b.Area(b.creator, "City").ID, 150)
		b.exec("UPDATE landmarks SET external_id = name WHERE deleted_at IS NULL")
		got := b.restoreArea(top.ID)
		codes, p := b.conflicts(got.HTTPResponse, got.Body)
		require.Len(t, codes, 100)
		require.Contains(t, *p.Detail, "150 things are in the way")
	})

	t.Run("depth", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		parent := top
		for i := range 5 {
			parent = b.Area(b.creator, fmt.Sprint("Level ", i), within(parent.ID))
		}
		branch := b.Area(b.creator, "Branch", within(parent.ID))
		b.Area(b.creator, "Twig", within(branch.ID))
		b.deleteArea(b.creator, branch.ID)
		above := b.Area(b.creator, "Country")
		for i := range 2 {
			above = b.Area(b.creator, fmt.Sprint("Region ", i), within(above.ID))
		}
		move := func(to uuid.UUID) {
			t.Helper()
			change := api.AreaUpdate{}
			change.ParentAreaID.Set(to)
			moved, err := b.creator.UpdateAreaWithApplicationMergePatchPlusJSONBodyWithResponse(b.ctx, top.ID, nil, change)
			require.NoError(t, err)
			require.NotNil(t, moved.JSON200, string(moved.Body))
		}
		move(above.ID)
		got := b.restoreArea(branch.ID)
		codes, p := b.conflicts(got.HTTPResponse, got.Body)
		require.Equal(t, []string{"area_too_deep"}, codes)
		require.Contains(t, (*p.Errors)[0].Message, "11 levels")
		b.exec("UPDATE areas SET parent_area_id = NULL WHERE id = $1", top.ID)
		require.NotNil(t, b.restoreArea(branch.ID).JSON200)
	})

	t.Run("a circle, which only a fault could make", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		beneath := b.Area(b.creator, "Harbour", within(top.ID))
		b.deleteArea(b.creator, beneath.ID)
		b.exec("UPDATE areas SET parent_area_id = $2 WHERE id = $1", top.ID, beneath.ID)
		got := b.restoreArea(beneath.ID)
		codes, _ := b.conflicts(got.HTTPResponse, got.Body)
		require.Equal(t, []string{"area_circle"}, codes)
	})
}
