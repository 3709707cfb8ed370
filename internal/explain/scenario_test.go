package explain_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/metrics"
	"github.com/picaspot/picaspot/internal/namecheck"
	"github.com/picaspot/picaspot/internal/reqctx"
	vocabulary "github.com/picaspot/picaspot/internal/search"
	"github.com/picaspot/picaspot/internal/sweep"
	"github.com/picaspot/picaspot/internal/tile"
	"github.com/picaspot/picaspot/internal/webhook"
)

// scenario has every statement sent that is written by hand, in the variants whose
// plans may differ. What is asked here is what EXPLAIN is asked about: the places,
// filters and users are such as matter at scale.
var scenario = []struct {
	name string
	run  func(*testing.T, *world)
}{
	{"nearby", nearby},
	{"lists", lists},
	{"search", search},
	{"tiles", tiles},
	{"tree", tree},
	{"landmarks", changeLandmarks},
	{"accounts", accounts},
	{"moderation", moderation},
	{"policy", policy},
	{"import", importFile},
	{"attempts", attempts},
	{"trash", trash},
	{"names", names},
	{"audit", audit},
	{"webhooks", webhooks},
	{"upkeep", upkeep},
}

func at(path string, w *world, more string) string {
	return fmt.Sprintf("%s?latitude=%f&longitude=%f&radius_meters=1000%s", path, w.spots[0].Latitude, w.spots[0].Longitude, more)
}

func nearby(t *testing.T, w *world) {
	const path = "/api/v1/landmarks/nearby"
	area := w.id(t, "SELECT area_id FROM landmarks WHERE deleted_at IS NULL ORDER BY location <-> $1 LIMIT 1", w.spots[0])
	for _, more := range []string{
		"", "&is_verified=true", "&unlocked=true", "&unlocked=false", "&area_id=" + area.String(),
		"&require_all_landmarks_in_radius=true", "&load_from_same_area=true", "&page=50",
	} {
		w.call(t, w.explorer, http.StatusOK, http.MethodGet, at(path, w, more), "")
	}
	w.until(t, "landmark_cells", w.explorer, at(path, w, ""))
	w.call(t, w.explorer, http.StatusOK, http.MethodGet, w.cursor(t, w.explorer, at(path, w, "&load_from_same_area=true")), "")
	nowhere := fmt.Sprintf("?latitude=%f&longitude=%f&radius_meters=50000&page=2", farSpot.Latitude, farSpot.Longitude)
	w.call(t, w.explorer, http.StatusOK, http.MethodGet, path+nowhere, "")
	for _, more := range []string{"", "&is_verified=true", "&require_all_landmarks_in_radius=true", "&page=50"} {
		w.call(t, w.explorer, http.StatusOK, http.MethodGet, at("/api/v1/areas/nearby", w, more), "")
	}
	w.call(t, w.explorer, http.StatusOK, http.MethodGet, w.cursor(t, w.explorer, at("/api/v1/areas/nearby", w, "&size=1")), "")
}

func lists(t *testing.T, w *world) {
	user := w.id(t, "SELECT id FROM users WHERE username = 'explorer-17'")
	for _, path := range []string{
		"/api/v1/admin/roles?size=2", "/api/v1/admin/permissions?size=2", "/api/v1/admin/trash?size=10",
		"/api/v1/admin/trash?entity_type=landmark", "/api/v1/admin/trash?deleted_by=" + user.String(), "/api/v1/admin/audit-logs?size=10",
		"/api/v1/admin/audit-logs?actor_id=" + user.String(), "/api/v1/admin/audit-logs?action=login&size=5",
		"/api/v1/admin/audit-logs?entity_type=user&sort_order=asc", "/api/v1/admin/audit-logs?entity_id=" + user.String(),
		"/api/v1/admin/audit-logs?request_id=4711", "/api/v1/admin/audit-logs/export?actor_id=" + user.String(),
	} {
		w.call(t, w.admin, http.StatusOK, http.MethodGet, path, "")
	}
	for _, path := range []string{"/api/v1/admin/trash?size=10", "/api/v1/admin/audit-logs?action=login&size=5"} {
		w.call(t, w.admin, http.StatusOK, http.MethodGet, w.cursor(t, w.admin, path), "")
	}
	w.call(t, w.explorer, http.StatusOK, http.MethodGet, "/api/v1/me/export", "")
	w.call(t, w.explorer, http.StatusForbidden, http.MethodGet, "/api/v1/admin/audit-logs", "")
}

func search(t *testing.T, w *world) {
	for _, path := range []string{
		// One, many, many in another order, more than there are, one that is mistyped.
		"/api/v1/landmarks?search=harbour+of+city+7,+number+1", "/api/v1/landmarks?search=harbour",
		"/api/v1/landmarks?search=harbour&sort_by=created_at", "/api/v1/landmarks?search=harbour&sort_by=created_at&page=1000&size=100",
		"/api/v1/landmarks?search=harbuor+nummber", "/api/v1/areas?search=quiet+area+17", "/api/v1/areas?search=quite+arae",
		"/api/v1/landmarks.geojson?search=harbour",
		"/api/v1/landmarks?difficulty=3",
	} {
		w.call(t, w.explorer, http.StatusOK, http.MethodGet, path, "")
	}
}

func tiles(t *testing.T, w *world) {
	ctx, service := context.Background(), tile.NewService(w.Store)
	for _, z := range []int{0, 4, 10, 14, 16} {
		x, y := column(w.spots[0], z), row(w.spots[0], z)
		at, faults := tile.New(z, x, y)
		require.Empty(t, faults)
		_, err := service.Landmarks(ctx, at)
		require.NoError(t, err)
		_, err = service.Unlocked(ctx, at, w.explorer.ID)
		require.NoError(t, err)
	}
	require.NoError(t, service.Count(ctx))
	w.exec(t, uncounted)
}

// column and row number the tile of a zoom that a point lies in.
func column(p geo.Point, z int) int {
	return int((p.Longitude + 180) / 360 * math.Exp2(float64(z)))
}

func row(p geo.Point, z int) int {
	return int((1 - math.Asinh(math.Tan(p.Latitude*math.Pi/180))/math.Pi) / 2 * math.Exp2(float64(z)))
}

func tree(t *testing.T, w *world) {
	root := w.id(t, "SELECT id FROM areas WHERE parent_area_id IS NULL AND deleted_at IS NULL ORDER BY name LIMIT 1")
	leaf := w.call(t, w.admin, http.StatusCreated, http.MethodPost, "/api/v1/areas", fmt.Sprintf(`{"name": "A leaf", "parent_area_id": %q}`, root))
	w.call(t, w.admin, http.StatusOK, http.MethodGet, "/api/v1/areas/"+root.String()+"/landmarks?include_descendants=true", "")
	w.call(t, w.admin, http.StatusOK, http.MethodPatch, "/api/v1/areas/"+leaf.String(), `{"parent_area_id": null}`)
	w.call(t, w.admin, http.StatusOK, http.MethodPatch, "/api/v1/areas/"+leaf.String(), fmt.Sprintf(`{"parent_area_id": %q}`, root))
	w.call(t, w.admin, http.StatusNoContent, http.MethodDelete, "/api/v1/areas/"+leaf.String(), "")
}

func changeLandmarks(t *testing.T, w *world) {
	area := w.id(t, "SELECT area_id FROM landmarks WHERE deleted_at IS NULL ORDER BY location <-> $1 LIMIT 1", w.spots[1])
	made := w.call(t, w.admin, http.StatusCreated, http.MethodPost, "/api/v1/landmarks",
		fmt.Sprintf(`{"area_id": %q, "name": "Something new", "latitude": %f, "longitude": %f}`, area, w.spots[1].Latitude, w.spots[1].Longitude))
	w.call(t, w.admin, http.StatusOK, http.MethodPatch, "/api/v1/landmarks/"+made.String(), `{"name": "Something else"}`)
	w.call(t, w.explorer, http.StatusOK, http.MethodGet, "/api/v1/landmarks/"+made.String(), "")
	w.call(t, w.explorer, http.StatusOK, http.MethodGet, "/api/v1/landmarks?bbox=10,10,11,11", "")
	w.call(t, w.explorer, http.StatusOK, http.MethodGet, "/api/v1/landmarks?bbox=170,-20,-170,20", "")

	keyed := func(status int, body string) {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.URL+"/api/v1/areas", strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+w.admin.Token)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", "key-1")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode)
	}
	keyed(http.StatusBadRequest, `{}`)
	keyed(http.StatusConflict, `{"name": "bench area 1"}`)
	keyed(http.StatusCreated, `{"name": "Once"}`)
	keyed(http.StatusCreated, `{"name": "Once"}`)
}

func accounts(t *testing.T, w *world) {
	w.call(t, w.Anonymous(), http.StatusCreated, http.MethodPost, "/api/v1/auth/register",
		`{"username": "newcomer", "email": "newcomer@example.org", "password": "seven maples by the quay"}`)
	// Beyond the limit it matters where somebody asks from.
	ctx := reqctx.With(context.Background(), reqctx.Request{Address: "192.0.2.17"})
	for range 4 {
		_, err := w.Accounts.Login(ctx, account.Credentials{Identifier: "explorer-17", Password: "wrong"})
		require.Error(t, err)
	}
}

func moderation(t *testing.T, w *world) {
	of := w.id(t, "SELECT id FROM landmarks WHERE deleted_at IS NULL ORDER BY name LIMIT 1")
	report := w.call(t, w.explorer, http.StatusCreated, http.MethodPost, "/api/v1/reports", fmt.Sprintf(`{"subject_type": "landmark", "subject_id": %q, "reason": "spam"}`, of))
	w.call(t, w.admin, http.StatusOK, http.MethodPatch, "/api/v1/moderation/reports/"+report.String(), `{"status": "dismissed"}`)
	unlock := w.id(t, "SELECT id FROM unlocks WHERE user_id = $1 AND deleted_at IS NULL LIMIT 1", w.explorer.ID)
	w.call(t, w.explorer, http.StatusOK, http.MethodPatch, "/api/v1/unlocks/"+unlock.String(), `{"caption": "There it is."}`)
}

func policy(t *testing.T, w *world) {
	w.call(t, w.admin, http.StatusCreated, http.MethodPost, "/api/v1/admin/roles", `{"name": "curator", "inherits": ["user"]}`)
}

// importFile takes the same file twice: the second time its rows are there.
func importFile(t *testing.T, w *world) {
	path := filepath.Join(t.TempDir(), "places.csv")
	var b strings.Builder
	b.WriteString("id,name,latitude,longitude\n")
	for i := range 500 {
		fmt.Fprintf(&b, "%d,Place %d,%f,%f\n", i, i, 10+float64(i)/100, 20.0)
	}
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	for range 2 {
		source, err := importer.Open(path, importer.SourceOptions{})
		require.NoError(t, err)
		_, err = importer.Import(context.Background(), w.Store, source, importer.Options{Namespace: "places", Area: "Places", Owner: w.admin.ID})
		require.NoError(t, err)
		require.NoError(t, source.Close())
	}
}

// attempts follows one until it is decided.
func attempts(t *testing.T, w *world) {
	area := w.Area(w.admin, "Far away")
	landmark := w.Landmark(w.admin, area.ID, "Lighthouse", farSpot)
	attempt := w.Attempt(w.explorer, landmark.ID, apptest.Photo(t, farSpot, time.Now()), farSpot)
	follower, err := w.Followers.Follow(w.explorer.ID, attempt.ID)
	require.NoError(t, err)
	defer follower.Close()
	require.NoError(t, w.Unlocks.Decide(context.Background(), attempt.ID))
	<-follower.Changed()
}

// names looks for names that the rule of names would change.
func names(t *testing.T, w *world) {
	require.NoError(t, namecheck.Find(t.Context(), w.Store.Pool, func(namecheck.Finding) error { return nil }))
}

// trash deletes, restores and purges a branch with landmarks, and an account that
// has attempts and unlocks.
func trash(t *testing.T, w *world) {
	branch := w.id(t, `SELECT id FROM areas a WHERE deleted_at IS NULL
		AND EXISTS (SELECT FROM areas c JOIN landmarks l ON l.area_id = c.id WHERE c.parent_area_id = a.id AND c.deleted_at IS NULL AND l.deleted_at IS NULL)
		ORDER BY name DESC LIMIT 1`)
	area := "/api/v1/admin/areas/" + branch.String()
	w.call(t, w.admin, http.StatusNoContent, http.MethodDelete, "/api/v1/areas/"+branch.String(), "")
	w.call(t, w.admin, http.StatusOK, http.MethodPost, area+"/restore", "")
	w.call(t, w.admin, http.StatusNoContent, http.MethodDelete, "/api/v1/areas/"+branch.String(), "")
	w.call(t, w.admin, http.StatusNoContent, http.MethodDelete, area, "")

	leaving := w.As("user")
	w.call(t, leaving, http.StatusNoContent, http.MethodDelete, "/api/v1/me", fmt.Sprintf(`{"password": %q}`, apptest.Password))
	w.call(t, w.admin, http.StatusOK, http.MethodPost, "/api/v1/admin/users/"+leaving.ID.String()+"/restore", "")
	gone := w.id(t, "SELECT id FROM users WHERE deleted_at IS NOT NULL ORDER BY username LIMIT 1")
	w.call(t, w.admin, http.StatusNoContent, http.MethodDelete, "/api/v1/admin/users/"+gone.String(), "")
	landmark := w.id(t, `SELECT l.id FROM landmarks l WHERE l.deleted_at IS NOT NULL
		AND EXISTS (SELECT FROM areas a WHERE a.id = l.area_id AND a.deleted_at IS NULL) ORDER BY name LIMIT 1`)
	w.call(t, w.admin, http.StatusOK, http.MethodPost, "/api/v1/admin/landmarks/"+landmark.String()+"/restore", "")
}

func audit(t *testing.T, w *world) {
	ctx := context.Background()
	report, err := w.Audit.Verify(ctx, nil)
	require.NoError(t, err)
	_, err = w.Audit.Verify(ctx, []auditlog.Head{report.Heads[0]})
	require.NoError(t, err)
	require.NoError(t, w.Audit.Maintain(ctx))
	_, err = w.Audit.Prune(ctx, time.Now().AddDate(-10, 0, 0))
	require.NoError(t, err)
	require.NoError(t, w.Audit.Each(ctx, auditlog.Filter{}, func([]auditlog.Entry) error { return nil }))
}

// webhooks delivers to an address that is not there, and to one that is.
func webhooks(t *testing.T, w *world) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer receiver.Close()
	for _, address := range []string{"http://127.0.0.1:1", receiver.URL} {
		to := w.call(t, w.admin, http.StatusCreated, http.MethodPost, "/api/v1/admin/webhooks", fmt.Sprintf(`{"url": %q, "events": ["area.created"]}`, address))
		made, err := w.Webhooks.Test(context.Background(), to)
		require.NoError(t, err)
		_ = w.Webhooks.Deliver(context.Background(), webhook.DeliverArgs{DeliveryID: made.ID}, 1) // One fails, on purpose.
	}
}

func upkeep(t *testing.T, w *world) {
	ctx := context.Background()
	require.NoError(t, w.Accounts.CleanUp(ctx))
	require.NoError(t, w.Trash.PurgeExpired(ctx))
	require.NoError(t, vocabulary.Forget(ctx, w.Store.Pool))
	require.NoError(t, w.Idempotency.CleanUp(ctx))
	require.NoError(t, w.Webhooks.CleanUp(ctx))
	require.Positive(t, testutil.CollectAndCount(metrics.NewJobs(w.Store.Pool)))
	_, err := w.Store.Capacity(ctx)
	require.NoError(t, err)
	_, err = w.Keys.Replace(ctx)
	require.NoError(t, err)
	report, err := w.Sweep.Check(ctx, sweep.Options{Age: sweep.DefaultAge})
	require.NoError(t, err)
	require.NotZero(t, report.MissingCount, "the files of rows that are filled in are missing")
}
