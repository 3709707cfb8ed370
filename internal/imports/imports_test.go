package imports_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/imports"
)

func TestMain(m *testing.M) { apptest.Main(m) }

const patience = time.Minute

var ctx = context.Background()

const castles = "id,name,latitude,longitude\n1,Keep,48.1,11.1\n2,Tower,48.2,11.2\n3,Nowhere,91,11\n4,Wall,48.4,11.4\n"

// form is an import as it is sent.
func form(t *testing.T, name, content string, fields map[string]string) (contentType string, body io.Reader) {
	t.Helper()
	var buffer bytes.Buffer
	w := multipart.NewWriter(&buffer)
	for name, value := range fields {
		require.NoError(t, w.WriteField(name, value))
	}
	if name != "" {
		part, err := w.CreateFormFile("file", name)
		require.NoError(t, err)
		_, err = io.WriteString(part, content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return w.FormDataContentType(), &buffer
}

func send(t *testing.T, by *apptest.Client, key *string, name, content string, fields map[string]string) *api.ImportLandmarksResponse {
	t.Helper()
	contentType, body := form(t, name, content, fields)
	got, err := by.ImportLandmarksWithBodyWithResponse(ctx, &api.ImportLandmarksParams{IdempotencyKey: key}, contentType, body)
	require.NoError(t, err)
	return got
}

func taken(t *testing.T, got *api.ImportLandmarksResponse) api.Import {
	t.Helper()
	require.NotNil(t, got.JSON202, string(got.Body))
	return *got.JSON202
}

func get(t *testing.T, by *apptest.Client, id uuid.UUID) api.Import {
	t.Helper()
	got, err := by.GetImportWithResponse(ctx, id)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

// finished waits for the end of an import.
func finished(t *testing.T, by *apptest.Client, id uuid.UUID) (run api.Import) {
	t.Helper()
	require.Eventually(t, func() bool {
		run = get(t, by, id)
		return !run.FinishedAt.IsNull()
	}, patience, 50*time.Millisecond)
	return run
}

func counts(run api.Import) string {
	return fmt.Sprintf("%s read %d created %d updated %d unchanged %d rejected %d", run.Status, run.RowsRead, run.Created, run.Updated, run.Unchanged, run.Rejected)
}

func landmarks(t *testing.T, s *apptest.Server) (n int) {
	t.Helper()
	require.NoError(t, s.Store.Pool.QueryRow(ctx, "SELECT count(*) FROM landmarks").Scan(&n))
	return n
}

func TestImport(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	moderator := s.As("moderator")
	key := new("castles-1")
	sent := taken(t, send(t, moderator, key, "castles.csv", castles, nil))
	require.Equal(t, "castles", sent.Area)
	require.Equal(t, int64(len(castles)), sent.Bytes)
	require.Equal(t, sent.ID, taken(t, send(t, moderator, key, "castles.csv", castles, nil)).ID, "the same request is one import")
	run := finished(t, moderator, sent.ID)
	require.Equal(t, "succeeded read 4 created 3 updated 0 unchanged 0 rejected 1", counts(run))
	require.Equal(t, run.Bytes, run.BytesRead)

	listed, err := moderator.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{})
	require.NoError(t, err)
	require.Len(t, listed.JSON200.Items, 3)
	for _, l := range listed.JSON200.Items {
		require.Equal(t, moderator.ID, l.CreatedBy)
		require.True(t, l.IsVerified, "the caller may verify landmarks")
	}
	report, err := moderator.GetImportReportWithResponse(ctx, run.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, report.StatusCode(), string(report.Body))
	rows := strings.Split(strings.TrimSpace(string(report.Body)), "\n")
	require.Len(t, rows, 2)
	require.Equal(t, "line,reason", rows[0])
	require.True(t, strings.HasPrefix(rows[1], "4,"), rows[1])

	again := finished(t, moderator, taken(t, send(t, moderator, nil, "castles.csv", castles, nil)).ID)
	require.Equal(t, "succeeded read 4 created 0 updated 0 unchanged 3 rejected 1", counts(again))
	changed := finished(t, s.As("admin"), taken(t, send(t, s.As("admin"), nil, "castles.csv", strings.Replace(castles, "Tower", "Old Tower", 1), nil)).ID)
	require.Equal(t, "succeeded read 4 created 0 updated 1 unchanged 2 rejected 1", counts(changed), "the namespace is that of all who may update any landmark")
	dry := finished(t, moderator, taken(t, send(t, moderator, nil, "other.csv", castles, map[string]string{"dry_run": "true"})).ID)
	require.Equal(t, "succeeded read 4 created 3 updated 0 unchanged 0 rejected 1", counts(dry))
	require.Equal(t, 3, landmarks(t, s))

	failed := finished(t, moderator, taken(t, send(t, moderator, nil, "other.csv", castles, map[string]string{"strict": "true"})).ID)
	require.Equal(t, api.ImportStatusFailed, failed.Status)
	require.Contains(t, failed.Error.MustGet(), "strict")
	all, err := moderator.ListImportsWithResponse(ctx, &api.ListImportsParams{})
	require.NoError(t, err)
	require.Len(t, all.JSON200.Items, 5, string(all.Body))
	require.Equal(t, failed.ID, all.JSON200.Items[0].ID)

	// Neither files nor reports stay for ever.
	require.Eventually(t, func() bool {
		var files int
		require.NoError(t, s.Store.Pool.QueryRow(ctx, "SELECT count(*) FROM import_runs WHERE file IS NOT NULL").Scan(&files))
		return files == 0
	}, patience, 50*time.Millisecond)
	_, err = s.Store.Pool.Exec(ctx, "UPDATE import_runs SET finished_at = finished_at - interval '8 days'")
	require.NoError(t, err)
	require.NoError(t, s.Imports.Maintain(ctx))
	report, err = moderator.GetImportReportWithResponse(ctx, run.ID)
	require.NoError(t, err)
	apptest.Problem(t, http.StatusNotFound, report.HTTPResponse, report.Body)
}

func TestImportIsRefused(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	moderator, user := s.As("moderator"), s.User()
	refuse := func(status int, code string, got *api.ImportLandmarksResponse) api.Problem {
		t.Helper()
		p := apptest.Problem(t, status, got.HTTPResponse, got.Body)
		require.True(t, strings.HasSuffix(p.Type, "/"+code), p.Type)
		return p
	}
	refuse(http.StatusForbidden, "forbidden", send(t, user, nil, "castles.csv", castles, nil))
	p := refuse(http.StatusBadRequest, "invalid_request", send(t, moderator, nil, "", "", map[string]string{
		"strict": "yes", "format": "xlsx", "colour": "red", "area": strings.Repeat("a", 101), "encoding": "\xff",
	}))
	require.Len(t, *p.Errors, 6, "%v", *p.Errors)
	p = refuse(http.StatusUnprocessableEntity, "import_unreadable", send(t, moderator, nil, "a.csv", "a,b\n1,2\n", nil))
	require.NotContains(t, (*p.Errors)[0].Message, "--", "no flags of the command line")
	refuse(http.StatusUnprocessableEntity, "import_unreadable", send(t, moderator, nil, "a.csv", "PK\x03\x04no archive", nil))

	first := taken(t, send(t, moderator, nil, "castles.csv", castles, nil))
	refuse(http.StatusConflict, "import_running", send(t, moderator, nil, "castles.csv", castles, nil))
	hidden, err := user.GetImportWithResponse(ctx, first.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, hidden.StatusCode())
	cancelled, err := moderator.CancelImportWithResponse(ctx, first.ID)
	require.NoError(t, err)
	require.Equal(t, api.ImportStatusCancelled, cancelled.JSON200.Status, string(cancelled.Body))
	cancelled, err = moderator.CancelImportWithResponse(ctx, first.ID)
	require.NoError(t, err)
	apptest.Problem(t, http.StatusConflict, cancelled.HTTPResponse, cancelled.Body)
	require.NoError(t, s.Imports.Run(ctx, first.ID, false))
	require.Equal(t, 0, landmarks(t, s), "what was cancelled is not imported")
	taken(t, send(t, moderator, nil, "castles.csv", castles, nil))
}

// many is a file that takes some seconds to import.
func many(rows int) string {
	var b strings.Builder
	b.WriteString("id,name,latitude,longitude\n")
	for i := range rows {
		fmt.Fprintf(&b, "%d,Stone %d,%f,%f\n", i, i, float64(i%80), float64(i%170))
	}
	return b.String()
}

func TestARunningImportIsCancelled(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	moderator := s.As("moderator")
	run := taken(t, send(t, moderator, nil, "stones.csv", many(60_000), nil))
	require.Eventually(t, func() bool { return get(t, moderator, run.ID).Created > 0 }, patience, 20*time.Millisecond, "progress is written")
	cancelled, err := moderator.CancelImportWithResponse(ctx, run.ID)
	require.NoError(t, err)
	require.NotNil(t, cancelled.JSON200, string(cancelled.Body))
	require.Eventually(t, func() bool {
		before := landmarks(t, s)
		time.Sleep(2 * time.Second)
		return landmarks(t, s) == before
	}, patience, time.Millisecond, "it stops")
	n := landmarks(t, s)
	require.Positive(t, n)
	require.Less(t, n, 60_000)
	end := get(t, moderator, run.ID)
	require.Equal(t, api.ImportStatusCancelled, end.Status)
	require.Equal(t, n, end.Created, "what was taken is counted")
}

// A worker that was killed leaves an import that says it is running.
func TestAnImportGoesOnAfterItsWorkerWasKilled(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	moderator := s.As("moderator")
	const rows = 20_000
	run := taken(t, send(t, moderator, nil, "stones.csv", many(rows), nil))
	worker := apptest.StartWorker(t, s.Config)
	require.Eventually(t, func() bool { return landmarks(t, s) > 0 }, patience, 5*time.Millisecond)
	worker.Kill()
	require.Equal(t, api.ImportStatusRunning, get(t, moderator, run.ID).Status)
	taken := landmarks(t, s)
	require.Less(t, taken, rows)

	require.NoError(t, s.Imports.Run(ctx, run.ID, false))
	require.Equal(t, api.ImportStatusRunning, get(t, moderator, run.ID).Status, "the worker may live")
	require.NoError(t, s.Imports.Maintain(ctx))
	require.Equal(t, api.ImportStatusRunning, get(t, moderator, run.ID).Status, "the worker may live")
	_, err := s.Store.Pool.Exec(ctx, "UPDATE import_runs SET updated_at = updated_at - interval '2 minutes'")
	require.NoError(t, err)
	require.NoError(t, s.Imports.Maintain(ctx))
	var waiting int
	require.NoError(t, s.Store.Pool.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE kind = $1 AND state = 'available'", imports.Args{}.Kind()).Scan(&waiting))
	require.Equal(t, 1, waiting)
	require.NoError(t, s.Imports.Run(ctx, run.ID, false))
	end := get(t, moderator, run.ID)
	require.Equal(t, api.ImportStatusSucceeded, end.Status)
	require.Equal(t, rows, end.Created+end.Unchanged)
	require.GreaterOrEqual(t, end.Unchanged, taken, "what was taken is not taken again")
	require.Equal(t, rows, landmarks(t, s))
}

// What an export says of areas and verification is taken as from the command line.
func TestAnExportIsTakenIn(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	moderator := s.As("moderator")
	const content = `id,name,latitude,longitude,area_path,is_verified
1,Keep,48.1,11.1,"[""Bavaria"",""Munich""]",true
2,Tower,48.2,11.2,"[""Bavaria""]",false
`
	for _, area := range []string{"", "Castles"} {
		fields := map[string]string{"namespace": "of " + area}
		if area != "" {
			fields["area"] = area
		}
		run := finished(t, moderator, taken(t, send(t, moderator, nil, "castles.csv", content, fields)).ID)
		require.Equal(t, "succeeded read 2 created 2 updated 0 unchanged 0 rejected 0", counts(run))
		verified := map[string]bool{}
		listed, err := moderator.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{})
		require.NoError(t, err)
		for _, l := range listed.JSON200.Items {
			verified[l.Name] = l.IsVerified
		}
		require.Equal(t, map[string]bool{"Keep": true, "Tower": false}, verified)
	}
	var tops []string
	require.NoError(t, s.Store.Pool.QueryRow(ctx, "SELECT array_agg(name ORDER BY name) FROM areas WHERE parent_area_id IS NULL").Scan(&tops))
	require.Equal(t, []string{"Bavaria", "Castles"}, tops)
}

// Each property can have a column of another name.
func TestColumnsCanBeNamed(t *testing.T) {
	t.Parallel()
	s := apptest.New(t)
	moderator := s.As("moderator")
	const header = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o\n"
	const row = `7,Keep,Old.,Look up.,48.1,11.1,"[""Bavaria""]",4,250,48.2,11.2,30,false,2026-01-02T03:04:05Z,2026-01-03T03:04:05Z` + "\n"
	fields := map[string]string{
		"id_field": "a", "name_field": "b", "description_field": "c", "hint_field": "d", "latitude_field": "e", "longitude_field": "f",
		"area_path_field": "g", "difficulty_field": "h", "unlock_radius_field": "i", "photo_latitude_field": "j", "photo_longitude_field": "k",
		"photo_radius_field": "l", "verified_field": "m", "created_at_field": "n", "updated_at_field": "o", "area_field": "-",
		// As Swagger UI sends what was left empty.
		"entry": "", "columns": "", "encoding": "",
	}
	spec, err := api.GetSpec()
	require.NoError(t, err)
	for name := range spec.Components.Schemas["ImportCreate"].Value.Properties {
		if strings.HasSuffix(name, "_field") {
			require.Contains(t, fields, name, "this test names the column of each property")
		}
	}
	run := finished(t, moderator, taken(t, send(t, moderator, nil, "x.csv", header+row, fields)).ID)
	require.Equal(t, "succeeded read 1 created 1 updated 0 unchanged 0 rejected 0", counts(run))
	listed, err := moderator.ListLandmarksWithResponse(ctx, nil)
	require.NoError(t, err)
	require.Len(t, listed.JSON200.Items, 1)
	got := listed.JSON200.Items[0]
	require.Equal(t, "Keep 4 250 30 false 2026-01-02T03:04:05Z", fmt.Sprint(got.Name, " ", got.Difficulty, " ", got.UnlockRadiusMeters, " ",
		got.PhotoRadiusMeters, " ", got.IsVerified, " ", got.CreatedAt.Format(time.RFC3339)))
}

func TestTwoImportsAtOnce(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	moderator := s.As("moderator")
	status := make(chan int, 8)
	for range cap(status) {
		go func() {
			contentType, body := form(t, "castles.csv", castles, nil)
			got, err := moderator.ImportLandmarksWithBodyWithResponse(ctx, nil, contentType, body)
			if err != nil {
				t.Error(err)
				status <- 0
				return
			}
			status <- got.StatusCode()
		}()
	}
	seen := map[int]int{}
	for range cap(status) {
		seen[<-status]++
	}
	require.Equal(t, map[int]int{http.StatusAccepted: 1, http.StatusConflict: cap(status) - 1}, seen)
}

func TestFilesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, func(c *config.Config) { c.ImportMaxSize = 1 })
	moderator := s.As("moderator")
	got := send(t, moderator, nil, "stones.csv", many(50_000), nil)
	apptest.Problem(t, http.StatusRequestEntityTooLarge, got.HTTPResponse, got.Body)

	// 50 MB of one character become some 50 kB.
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, err := io.WriteString(w, "id,name,latitude,longitude\n")
	require.NoError(t, err)
	for range 50 {
		_, err := w.Write(bytes.Repeat([]byte("\n"), 1_000_000))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.Less(t, bomb.Len(), 1<<20)
	run := finished(t, moderator, taken(t, send(t, moderator, nil, "bomb.csv.gz", bomb.String(), nil)).ID)
	require.Equal(t, api.ImportStatusFailed, run.Status)
	require.Contains(t, run.Error.MustGet(), "unpacks to more than 20971520 bytes")
}
