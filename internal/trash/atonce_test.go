package trash_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
)

func TestAtOnce(t *testing.T) {
	t.Parallel()

	t.Run("of two restorations one wins", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		b.landmarks(top.ID, 50)
		for range 5 {
			b.deleteArea(b.creator, top.ID)
			statuses := make([]int, 4)
			var wg sync.WaitGroup
			for i := range statuses {
				wg.Go(func() {
					if got, err := b.admin.RestoreAreaWithResponse(b.ctx, top.ID); err == nil {
						statuses[i] = got.StatusCode()
					}
				})
			}
			wg.Wait()
			require.ElementsMatch(t, []int{http.StatusOK, http.StatusNotFound, http.StatusNotFound, http.StatusNotFound}, statuses)
		}
		require.Equal(t, 5*51, b.count("audit_logs WHERE action = 'restore'"))
	})

	t.Run("of a restoration and a purge one wins", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 8 {
			top := b.Area(b.creator, "Town")
			b.landmarks(top.ID, 20)
			b.deleteArea(b.creator, top.ID)
			var restored, purged int
			var wg sync.WaitGroup
			wg.Go(func() {
				if got, err := b.admin.RestoreAreaWithResponse(b.ctx, top.ID); err == nil {
					restored = got.StatusCode()
				}
			})
			wg.Go(func() {
				if got, err := b.admin.PurgeAreaWithResponse(b.ctx, top.ID); err == nil {
					purged = got.StatusCode()
				}
			})
			wg.Wait()
			if restored == http.StatusOK {
				require.Equal(t, http.StatusConflict, purged)
				require.Equal(t, 20, b.count("landmarks WHERE deleted_at IS NULL"))
				b.deleteArea(b.creator, top.ID)
				got, err := b.admin.PurgeAreaWithResponse(b.ctx, top.ID)
				require.NoError(t, err)
				require.Equal(t, http.StatusNoContent, got.StatusCode())
			} else {
				require.Equal(t, http.StatusNotFound, restored)
				require.Equal(t, http.StatusNoContent, purged)
			}
			require.Zero(t, b.count("landmarks"))
		}
	})

	t.Run("a restoration while the parent is deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for i := range 10 {
			top := b.Area(b.creator, fmt.Sprint("Town ", i))
			beneath := b.Area(b.creator, "Harbour", within(top.ID))
			landmark := b.Landmark(b.creator, top.ID, "Crane", harbour(i))
			b.deleteArea(b.creator, beneath.ID)
			b.deleteLandmark(b.creator, landmark.ID)
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = b.creator.DeleteAreaWithResponse(b.ctx, top.ID, nil) })
			wg.Go(func() { _, _ = b.admin.RestoreAreaWithResponse(b.ctx, beneath.ID) })
			wg.Go(func() { _, _ = b.admin.RestoreLandmarkWithResponse(b.ctx, landmark.ID) })
			wg.Wait()
		}
		require.Zero(t, b.count("areas c JOIN areas p ON p.id = c.parent_area_id WHERE c.deleted_at IS NULL AND p.deleted_at IS NOT NULL"))
		require.Zero(t, b.count("landmarks l JOIN areas p ON p.id = l.area_id WHERE l.deleted_at IS NULL AND p.deleted_at IS NOT NULL"))
	})

	t.Run("a name that is taken meanwhile", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for i := range 10 {
			name := fmt.Sprint("Town ", i)
			top := b.Area(b.creator, name)
			b.deleteArea(b.creator, top.ID)
			var created, restored int
			var wg sync.WaitGroup
			wg.Go(func() {
				if got, err := b.creator.CreateAreaWithResponse(b.ctx, nil, api.AreaCreate{Name: name}); err == nil {
					created = got.StatusCode()
				}
			})
			wg.Go(func() {
				if got, err := b.admin.RestoreAreaWithResponse(b.ctx, top.ID); err == nil {
					restored = got.StatusCode()
				}
			})
			wg.Wait()
			require.Contains(t, [][2]int{{http.StatusCreated, http.StatusConflict}, {http.StatusConflict, http.StatusOK}}, [2]int{created, restored})
		}
	})
}
