package trash_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/page"
)

func pageOf(size int) page.Params { return page.Params{Size: size} }

func TestList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.User()
	start := time.Now()
	var roots []uuid.UUID // The last one that was deleted first.
	deleted := func(id uuid.UUID) { roots = slices.Insert(roots, 0, id) }

	town := b.Area(b.creator, "Town")
	harbourArea := b.Area(b.creator, "Harbour", within(town.ID))
	b.Landmark(b.creator, harbourArea.ID, "Crane", harbour(1))
	before := b.Landmark(b.creator, harbourArea.ID, "Anchor", harbour(2))
	b.deleteLandmark(b.creator, before.ID)
	deleted(before.ID)
	b.deleteArea(b.creator, town.ID)
	deleted(town.ID)
	middle := time.Now()
	forest := b.Area(other, "Forest")
	for i := range 3 {
		l := b.Landmark(other, forest.ID, fmt.Sprint("Oak ", i), harbour(10+i))
		b.deleteLandmark(b.admin, l.ID)
		deleted(l.ID)
	}
	b.deleteMe(other)
	deleted(other.ID)

	ids := func(l api.TrashList) (found []uuid.UUID) {
		for _, e := range l.Items {
			found = append(found, e.ID)
		}
		return found
	}

	t.Run("has the roots, the last one first", func(t *testing.T) {
		all := b.list(b.admin, nil)
		require.Equal(t, roots, ids(all))
		require.Equal(t, 6, *all.Total)
		area := all.Items[4]
		require.Equal(t, api.TrashEntry{
			EntityType: api.TrashKindArea, ID: town.ID, Name: "Town", DeletionID: area.DeletionID,
			DeletedAt: area.DeletedAt, DeletedBy: area.DeletedBy, PurgeAt: area.DeletedAt.Add(30 * 24 * time.Hour),
			ComesBack: api.TrashCounts{Areas: 2, Landmarks: 1},
		}, area)
		require.Equal(t, b.creator.ID, area.DeletedBy.MustGet())
		require.WithinRange(t, area.DeletedAt, start.Add(-time.Second), middle.Add(time.Second))
		require.Equal(t, api.TrashCounts{Users: 1}, all.Items[0].ComesBack)
		require.Equal(t, other.Username, all.Items[0].Name)
	})

	t.Run("says null where nobody is known to have deleted it", func(t *testing.T) {
		b := setup(t)
		area := b.Area(b.creator, "Town")
		b.deleteArea(b.creator, area.ID)
		b.exec("UPDATE areas SET deleted_by = NULL")
		require.True(t, b.list(b.admin, nil).Items[0].DeletedBy.IsNull())
	})

	t.Run("can be filtered", func(t *testing.T) {
		for name, test := range map[string]struct {
			params api.ListTrashParams
			want   []uuid.UUID
		}{
			"by kind":            {api.ListTrashParams{EntityType: ptr(api.TrashKindLandmark)}, []uuid.UUID{roots[1], roots[2], roots[3], roots[5]}},
			"by who deleted it":  {api.ListTrashParams{DeletedBy: &b.creator.ID}, roots[4:]},
			"from a time":        {api.ListTrashParams{From: &middle}, roots[:4]},
			"to a time":          {api.ListTrashParams{To: &middle}, roots[4:]},
			"between times":      {api.ListTrashParams{From: &start, To: &middle}, roots[4:]},
			"by all of these":    {api.ListTrashParams{EntityType: ptr(api.TrashKindLandmark), DeletedBy: &b.admin.ID, From: &middle, To: ptr(time.Now().Add(time.Hour))}, roots[1:4]},
			"to nothing":         {api.ListTrashParams{EntityType: ptr(api.TrashKindUnlock)}, nil},
			"by a word":          {api.ListTrashParams{Search: ptr("OAK")}, roots[1:4]},
			"by all its words":   {api.ListTrashParams{Search: ptr("1 oak")}, []uuid.UUID{roots[2]}},
			"by a user's name":   {api.ListTrashParams{Search: &other.Username}, roots[:1]},
			"by a word and more": {api.ListTrashParams{Search: ptr("anch"), EntityType: ptr(api.TrashKindLandmark), To: &middle}, roots[5:]},
			"by no word":         {api.ListTrashParams{Search: ptr("!")}, nil},
			"in the other order": {api.ListTrashParams{DeletedBy: &b.creator.ID, SortOrder: ptr(api.ListTrashParamsSortOrderAsc)}, []uuid.UUID{roots[5], roots[4]}},
		} {
			t.Run(name, func(t *testing.T) {
				require.Equal(t, test.want, ids(b.list(b.admin, &test.params)))
			})
		}
	})

	t.Run("comes in pages of either kind", func(t *testing.T) {
		for _, order := range []api.ListTrashParamsSortOrder{api.ListTrashParamsSortOrderAsc, api.ListTrashParamsSortOrderDesc} {
			want := slices.Clone(roots)
			if order == api.ListTrashParamsSortOrderAsc {
				slices.Reverse(want)
			}
			var walked []uuid.UUID
			cursor := ptr("")
			for cursor != nil {
				got := b.list(b.admin, &api.ListTrashParams{Cursor: cursor, Size: ptr(4), SortOrder: &order})
				require.LessOrEqual(t, len(got.Items), 4)
				walked, cursor = append(walked, ids(got)...), got.NextCursor
			}
			require.Equal(t, want, walked)

			walked = nil
			for n := 1; n <= 3; n++ {
				got := b.list(b.admin, &api.ListTrashParams{Page: &n, Size: ptr(2), SortOrder: &order})
				require.Equal(t, 6, *got.Total)
				require.Equal(t, 3, *got.Pages)
				walked = append(walked, ids(got)...)
			}
			require.Equal(t, want, walked)
		}
		behind := b.list(b.admin, &api.ListTrashParams{Page: ptr(9), Size: ptr(2)})
		require.Empty(t, behind.Items)
		require.Equal(t, 6, *behind.Total)
		got, err := b.admin.ListTrashWithResponse(b.ctx, &api.ListTrashParams{EntityType: ptr(api.TrashKindArea), Cursor: b.list(b.admin, &api.ListTrashParams{Cursor: ptr(""), Size: ptr(2)}).NextCursor})
		require.NoError(t, err)
		require.Equal(t, "/problems/cursor_mismatch", apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body).Type)
	})
}

// The first page of a large trash comes from indexes in its order: not all of it is read.
func TestListIsReadFromIndexes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	area := b.Area(b.creator, "Town")
	const n = 50_000
	b.exec(`INSERT INTO landmarks (id, created_at, updated_at, deleted_at, deletion_id, area_id, name, location, created_by)
SELECT gen_random_uuid(), now(), now(), now() - n * interval '1 second', gen_random_uuid(), $1, 'Stone ' || n, ST_MakePoint(8, 53)::geography, $2
FROM generate_series(1, $3::int) n`, area.ID, b.creator.ID, n)
	b.exec("ANALYZE")
	read := func() (rows int) {
		require.NoError(t, b.Store.Pool.QueryRow(b.ctx,
			"SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'landmarks'").Scan(&rows))
		return rows
	}
	before := read()
	first := b.list(b.admin, &api.ListTrashParams{Cursor: ptr(""), Size: ptr(20)})
	require.Equal(t, "Stone 1", first.Items[0].Name)
	require.Len(t, first.Items, 20)
	// Sessions tell what they have read some seconds later.
	require.Eventually(t, func() bool { return read() >= before+20 }, time.Minute, 100*time.Millisecond)
	require.Less(t, read()-before, n/10)
}
