package trash_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
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
			// What a running server writes belongs to no row.
			if key := filepath.ToSlash(relative); key != storage.ProbeKey && !strings.HasPrefix(key, "installations/") {
				keys = append(keys, key)
			}
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

func retention(d time.Duration) apptest.Option {
	return func(c *config.Config) { c.TrashRetention = d }
}

func ptr[T any](value T) *T { return &value }
