package sweep_test

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

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/sweep"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var spot = geo.Point{Latitude: 53.8671, Longitude: 8.7206}

// world is a server with a file of each kind, of which each has a row.
type world struct {
	*apptest.Server
	t       *testing.T
	ctx     context.Context
	folder  string
	files   *storage.Store
	owner   *apptest.Client
	attempt uuid.UUID
	// named are the keys of all files.
	named []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Server: apptest.NewWithoutWorkers(t), t: t, ctx: context.Background()}
	address, err := url.Parse(w.Config.StorageURL)
	require.NoError(t, err)
	w.folder = address.Path
	w.files, err = storage.Open(w.ctx, w.Config.StorageURL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.files.Close()) })
	w.owner = w.User()
	area := w.Area(w.owner, "Harbour")
	landmark := w.Landmark(w.owner, area.ID, "Lighthouse", spot)
	for _, path := range []string{"/api/v1/me/avatar", "/api/v1/areas/" + area.ID.String() + "/image", "/api/v1/landmarks/" + landmark.ID.String() + "/image"} {
		response, body := w.Call(w.owner, http.MethodPut, path, "image/jpeg", strings.NewReader(string(apptest.Photo(t, spot, time.Now()))))
		require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	}
	w.attempt = w.Attempt(w.owner, landmark.ID, apptest.Photo(t, spot, time.Now()), spot).ID
	require.NoError(t, w.Unlocks.Decide(w.ctx, w.attempt))
	w.named = w.keys()
	require.Len(t, w.named, 5, "%v", w.named)
	w.age(48*time.Hour, w.named...)
	return w
}

// keys are those of all files but of those that a running server writes.
func (w *world) keys() (keys []string) {
	w.t.Helper()
	require.NoError(w.t, filepath.WalkDir(w.folder, func(path string, entry fs.DirEntry, err error) error {
		relative, _ := filepath.Rel(w.folder, path)
		if key := filepath.ToSlash(relative); err == nil && !entry.IsDir() && key != storage.ProbeKey && !strings.HasPrefix(key, "installations/") {
			keys = append(keys, key)
		}
		return err
	}))
	return keys
}

func (w *world) put(age time.Duration, keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		require.NoError(w.t, w.files.Put(w.ctx, key, strings.NewReader("x"), "image/jpeg"))
	}
	w.age(age, keys...)
}

// age makes files older.
func (w *world) age(by time.Duration, keys ...string) {
	w.t.Helper()
	at := time.Now().Add(-by)
	for _, key := range keys {
		require.NoError(w.t, os.Chtimes(filepath.Join(w.folder, filepath.FromSlash(key)), at, at))
	}
}

func (w *world) check(o sweep.Options) sweep.Report {
	w.t.Helper()
	report, err := w.Sweep.Check(w.ctx, o)
	require.NoError(w.t, err)
	return report
}

var day = sweep.Options{Age: sweep.DefaultAge}

func TestCheck(t *testing.T) {
	t.Parallel()

	t.Run("finds nothing where each file has its row", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		require.Equal(t, sweep.Report{Files: 5, Rows: 5}, w.check(day))
	})

	t.Run("removes files without a row, and only old ones", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		old := []string{
			"attempts-of-old/x", "attempts/0197/original", "attempts/0197/original.18af3c.tmp", "first", "users/" + w.owner.ID.String() + "/attempts/1/original",
			"zoo/last",
		}
		young := []string{"attempts/0198/original", "users/1/new"}
		w.put(25*time.Hour, old...)
		w.put(23*time.Hour, young...)
		found := sweep.Report{Files: 13, Rows: 5, OrphanCount: 6, Orphans: old, Young: 2}
		require.Equal(t, found, w.check(day))
		require.Len(t, w.keys(), 13, "a check changes nothing")

		found.Removed = 6
		require.Equal(t, found, w.check(sweep.Options{Age: sweep.DefaultAge, Remove: true}))
		require.ElementsMatch(t, append(young, w.named...), w.keys())
		require.Equal(t, sweep.Report{Files: 7, Rows: 5, Young: 2}, w.check(sweep.Options{Age: sweep.DefaultAge, Remove: true}))
	})

	t.Run("reports rows whose file is missing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		require.NoError(t, os.RemoveAll(filepath.Join(w.folder, "users", w.owner.ID.String(), "attempts")))
		report := w.check(day)
		require.Equal(t, 2, report.MissingCount)
		columns := map[string]bool{}
		for _, row := range report.Missing {
			require.Equal(t, sweep.Row{Table: "attempts", Column: row.Column, ID: w.attempt, Key: row.Key}, row)
			columns[row.Column] = true
		}
		require.Equal(t, map[string]bool{"photo": true, "image": true}, columns)
		require.NoError(t, os.RemoveAll(w.folder))
		require.NoError(t, os.Mkdir(w.folder, 0o700))
		require.Equal(t, 5, w.check(day).MissingCount)
	})

	t.Run("does not touch what was never put into the storage", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for _, foreign := range []string{"lost+found/x", ".nfs0001", "a b", "attempts/.hidden"} {
			path := filepath.Join(w.folder, filepath.FromSlash(foreign))
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			w.age(48*time.Hour, foreign)
		}
		require.Zero(t, w.check(sweep.Options{Age: sweep.DefaultAge, Remove: true}).OrphanCount)
		require.Len(t, w.keys(), 9)
	})

	t.Run("refuses an age that a request may have", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, err := w.Sweep.Check(w.ctx, sweep.Options{Age: time.Minute})
		require.Error(t, err)
	})

	t.Run("removes nothing when it may be the wrong database", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for i := range 101 {
			w.put(48*time.Hour, fmt.Sprintf("attempts/%03d/original", i))
		}
		report, err := w.Sweep.Check(w.ctx, sweep.Options{Age: sweep.DefaultAge, Remove: true})
		require.ErrorIs(t, err, sweep.ErrTooLarge)
		require.Equal(t, 101, report.OrphanCount)
		require.Len(t, w.keys(), 106)
		require.Equal(t, 101, w.check(sweep.Options{Age: sweep.DefaultAge, Remove: true, AnyShare: true}).Removed)
		require.ElementsMatch(t, w.named, w.keys())
	})

	t.Run("removes nothing of another installation", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.put(48*time.Hour, "attempts/0197/original")
		other := sweep.NewService(w.Store, w.files, "another")
		require.NoError(t, other.Register(w.ctx))
		_, err := w.Sweep.Check(w.ctx, sweep.Options{Age: sweep.DefaultAge, Remove: true})
		require.ErrorIs(t, err, sweep.ErrShared)
		require.ErrorContains(t, err, "installations/another")
		require.Equal(t, 1, w.check(day).OrphanCount)
		require.NoError(t, w.files.Delete(w.ctx, "installations/another"))
		require.Equal(t, 1, w.check(sweep.Options{Age: sweep.DefaultAge, Remove: true}).Removed)
	})
}

// TestEachColumnIsRead finds columns that may name files and that the sweep does not
// know: it would remove their files.
func TestEachColumnIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// What else is JSON, and names no file.
	others := map[string]bool{
		"attempts.checks": true, "attempts.target": true, "audit_logs.changes": true, "import_landmarks.said": true, "import_runs.options": true, "landmarks.verified_target": true, "row_totals.key": true, "webhooks.events": true,
	}
	rows, err := w.Store.Pool.Query(w.ctx, `SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
		JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.data_type IN ('json', 'jsonb')
		AND c.table_name !~ '^(river_|audit_logs_)'`)
	require.NoError(t, err)
	defer rows.Close()
	read := map[string]bool{}
	for _, c := range sweep.Columns() {
		read[c.Table+"."+c.Name] = true
	}
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		require.NotEqual(t, others[name], read[name], "%s: does it name files? It is to stand in sweep's columns, or among the others here", name)
		delete(read, name)
	}
	require.NoError(t, rows.Err())
	require.Empty(t, read)
}
