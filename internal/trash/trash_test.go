package trash_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/trash"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// harbour is where the landmarks of tests stand, each a bit further north.
func harbour(n int) geo.Point {
	return geo.Point{Latitude: 53.5 + float64(n)/1000, Longitude: 8.1}
}

func within(parent uuid.UUID) func(*api.AreaCreate) {
	return func(in *api.AreaCreate) { in.ParentAreaID.Set(parent) }
}

// bundle is a server with the three who meet in most tests.
type bundle struct {
	*apptest.Server
	t              *testing.T
	ctx            context.Context
	admin, creator *apptest.Client
}

func setup(t *testing.T, options ...apptest.Option) *bundle {
	t.Helper()
	return of(t, apptest.NewWithoutWorkers(t, options...))
}

func of(t *testing.T, s *apptest.Server) *bundle {
	t.Helper()
	return &bundle{Server: s, t: t, ctx: context.Background(), admin: s.As("admin"), creator: s.User()}
}

func (b *bundle) deleteArea(by *apptest.Client, id uuid.UUID) {
	b.t.Helper()
	got, err := by.DeleteAreaWithResponse(b.ctx, id, nil)
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusNoContent, got.StatusCode(), string(got.Body))
}

func (b *bundle) deleteLandmark(by *apptest.Client, id uuid.UUID) {
	b.t.Helper()
	got, err := by.DeleteLandmarkWithResponse(b.ctx, id, nil)
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusNoContent, got.StatusCode(), string(got.Body))
}

func (b *bundle) deleteMe(user *apptest.Client) {
	b.t.Helper()
	got, err := user.DeleteMeWithResponse(b.ctx, api.PasswordConfirmation{Password: apptest.Password})
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusNoContent, got.StatusCode(), string(got.Body))
}

func (b *bundle) restoreArea(id uuid.UUID) *api.RestoreAreaResponse {
	b.t.Helper()
	got, err := b.admin.RestoreAreaWithResponse(b.ctx, id)
	require.NoError(b.t, err)
	return got
}

func (b *bundle) restoreLandmark(id uuid.UUID) *api.RestoreLandmarkResponse {
	b.t.Helper()
	got, err := b.admin.RestoreLandmarkWithResponse(b.ctx, id)
	require.NoError(b.t, err)
	return got
}

func (b *bundle) restoreUser(id uuid.UUID) *api.RestoreUserResponse {
	b.t.Helper()
	got, err := b.admin.RestoreUserWithResponse(b.ctx, id)
	require.NoError(b.t, err)
	return got
}

// conflicts checks that nothing was restored, and returns the codes of what is in
// the way.
func (b *bundle) conflicts(response *http.Response, body []byte) (codes []string, p api.Problem) {
	b.t.Helper()
	p = apptest.Problem(b.t, http.StatusConflict, response, body)
	require.Equal(b.t, "/problems/restore_conflict", p.Type)
	require.NotNil(b.t, p.Errors)
	for _, e := range *p.Errors {
		require.NotNil(b.t, e.Parameter)
		codes = append(codes, e.Code)
	}
	return codes, p
}

func (b *bundle) list(by *apptest.Client, p *api.ListTrashParams) api.TrashList {
	b.t.Helper()
	got, err := by.ListTrashWithResponse(b.ctx, p)
	require.NoError(b.t, err)
	require.NotNil(b.t, got.JSON200, string(got.Body))
	return *got.JSON200
}

func (b *bundle) exec(statement string, args ...any) {
	b.t.Helper()
	_, err := b.Store.Pool.Exec(b.ctx, statement, args...)
	require.NoError(b.t, err)
}

func (b *bundle) count(statement string, args ...any) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.Store.Pool.QueryRow(b.ctx, "SELECT count(*) FROM "+statement, args...).Scan(&n))
	return n
}

// landmarks adds many landmarks to an area.
func (b *bundle) landmarks(area uuid.UUID, n int) {
	b.t.Helper()
	const at = 1000
	require.NoError(b.t, b.Store.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
		for from := 0; from < n; from += at {
			builders := make([]*ent.LandmarkCreate, min(at, n-from))
			for i := range builders {
				builders[i] = tx.Landmark.Create().SetAreaID(area).SetCreatedBy(b.creator.ID).SetName(fmt.Sprintf("Stone %d", from+i)).SetLocation(harbour(i))
			}
			if err := tx.Landmark.CreateBulk(builders...).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	}))
}

// as is a context of a caller, for what has no operation.
func as(user *apptest.Client) context.Context {
	return authz.WithCaller(context.Background(), authz.Caller{UserID: user.ID, Scope: authz.Any})
}

// files are the keys of what is in the storage.
func (b *bundle) files() (keys []string) {
	b.t.Helper()
	at, err := url.Parse(b.Config.StorageURL)
	require.NoError(b.t, err)
	require.NoError(b.t, filepath.WalkDir(at.Path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			relative, _ := filepath.Rel(at.Path, path)
			keys = append(keys, filepath.ToSlash(relative))
		}
		return err
	}))
	return keys
}

// runWorker runs the jobs of a server that has none, until there are no more.
func (b *bundle) runWorker() {
	b.t.Helper()
	worker := apptest.StartWorker(b.t, b.Config)
	require.Eventually(b.t, func() bool {
		return b.count("river_job WHERE state NOT IN ('completed', 'discarded', 'cancelled')") == 0
	}, time.Minute, 20*time.Millisecond, "the jobs are not done")
	worker.Stop()
}

func (b *bundle) setAreaImage(area uuid.UUID) {
	b.t.Helper()
	b.put(b.creator, "/api/v1/areas/"+area.String()+"/image")
}

func (b *bundle) put(by *apptest.Client, path string) {
	b.t.Helper()
	file, err := os.CreateTemp(b.t.TempDir(), "")
	require.NoError(b.t, err)
	defer file.Close()
	_, err = file.Write(apptest.Photo(b.t, harbour(0), time.Now()))
	require.NoError(b.t, err)
	_, err = file.Seek(0, 0)
	require.NoError(b.t, err)
	response, body := b.Call(by, http.MethodPut, path, "image/jpeg", file)
	require.Equal(b.t, http.StatusOK, response.StatusCode, string(body))
}

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
	require.Less(t, restored, 20*time.Second)

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

func TestRestoreConflicts(t *testing.T) {
	t.Parallel()

	t.Run("names that are taken beneath the same parent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		top := b.Area(b.creator, "Town")
		beneath := b.Area(b.creator, "Harbour", within(top.ID))
		b.deleteArea(b.creator, beneath.ID)
		other := b.Area(b.creator, "Harbour", within(top.ID))
		got := b.restoreArea(beneath.ID)
		codes, p := b.conflicts(got.HTTPResponse, got.Body)
		require.Equal(t, []string{"name_taken"}, codes)
		require.Contains(t, (*p.Errors)[0].Message, other.ID.String())

		b.deleteArea(b.creator, top.ID)
		b.Area(b.creator, "Town")
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

func TestPermissions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	moderator := b.As("moderator")
	area := b.Area(b.creator, "Town")
	landmark := b.Landmark(b.creator, area.ID, "Crane", harbour(1))
	gone := b.User()
	b.deleteMe(gone)
	b.deleteLandmark(b.creator, landmark.ID)
	b.deleteArea(b.creator, area.ID)
	for path, method := range map[string]string{
		"/api/v1/admin/trash": http.MethodGet,
		"/api/v1/admin/areas/" + area.ID.String() + "/restore":         http.MethodPost,
		"/api/v1/admin/landmarks/" + landmark.ID.String() + "/restore": http.MethodPost,
		"/api/v1/admin/users/" + gone.ID.String() + "/restore":         http.MethodPost,
		"/api/v1/admin/areas/" + area.ID.String():                      http.MethodDelete,
		"/api/v1/admin/landmarks/" + landmark.ID.String():              http.MethodDelete,
		"/api/v1/admin/users/" + gone.ID.String():                      http.MethodDelete,
	} {
		for _, who := range []*apptest.Client{moderator, b.creator} {
			response, body := b.Call(who, method, path, "", nil)
			apptest.Problem(t, http.StatusForbidden, response, body)
		}
		response, body := b.Call(nil, method, path, "", nil)
		apptest.Problem(t, http.StatusUnauthorized, response, body)
	}
	require.Len(t, b.list(b.admin, nil).Items, 3)

	t.Run("of what is one's own, where a policy says so", func(t *testing.T) {
		own := authz.WithCaller(b.ctx, authz.Caller{UserID: b.creator.ID, Scope: authz.Own})
		other := authz.WithCaller(b.ctx, authz.Caller{UserID: moderator.ID, Scope: authz.Own})
		mine, err := b.Trash.List(own, trash.Filter{}, pageOf(0))
		require.NoError(t, err)
		require.Len(t, mine.Items(), 2)
		theirs, err := b.Trash.List(other, trash.Filter{}, pageOf(0))
		require.NoError(t, err)
		require.Empty(t, theirs.Items())
		_, err = b.Trash.Restore(other, trash.Area, area.ID)
		require.ErrorContains(t, err, "not_found")
		require.ErrorContains(t, b.Trash.Purge(other, trash.Area, area.ID), "not_found")
		_, err = b.Trash.Restore(own, trash.Area, area.ID)
		require.NoError(t, err)
	})
}

func retention(d time.Duration) apptest.Option {
	return func(c *config.Config) { c.TrashRetention = d }
}

func ptr[T any](value T) *T { return &value }
