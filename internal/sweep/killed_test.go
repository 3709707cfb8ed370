package sweep_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// TestKilledBetweenFileAndCommit kills a process that has stored a file and not yet
// committed the row: the file is found, and removed once it is old enough.
func TestKilledBetweenFileAndCommit(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]*string{"without a key": nil, "under a key": new(uuid.NewString())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			process := apptest.Start(t, w.Config, "serve")
			explorer := w.User()
			// The request has to wait for the lock after it has stored its file.
			table := "attempts"
			if key != nil {
				table = "audit_logs"
			}
			tx, err := w.Store.Pool.Begin(w.ctx)
			require.NoError(t, err)
			_, err = tx.Exec(w.ctx, "LOCK TABLE "+table+" IN SHARE MODE")
			require.NoError(t, err)
			var landmark uuid.UUID
			require.NoError(t, w.Store.Pool.QueryRow(w.ctx, "SELECT id FROM landmarks").Scan(&landmark))
			failed := make(chan error, 1)
			go func() {
				contentType, body := apptest.Form(t, apptest.Photo(t, spot, time.Now()), apptest.Claim(spot))
				_, err := process.Client(explorer.Token).CreateAttemptWithBodyWithResponse(context.Background(), landmark, &api.CreateAttemptParams{IdempotencyKey: key}, contentType, body)
				failed <- err
			}()
			require.Eventually(t, func() bool {
				var waits bool
				err := w.Store.Pool.QueryRow(w.ctx, "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waits)
				return err == nil && waits
			}, time.Minute, 5*time.Millisecond)
			process.Kill()
			require.Error(t, <-failed)
			require.NoError(t, tx.Rollback(w.ctx))
			process.AwaitForgotten()
			var attempts int
			require.NoError(t, w.Store.Pool.QueryRow(w.ctx, "SELECT count(*) FROM attempts").Scan(&attempts))
			require.Equal(t, 1, attempts)

			report := w.check(day)
			require.Equal(t, 2, report.Young, "the photo and its picture")
			require.Zero(t, report.OrphanCount)
			var left []string
			for _, file := range w.keys() {
				if !slices.Contains(w.named, file) {
					left = append(left, file)
					require.Contains(t, file, explorer.ID.String(), "the purge of the user finds it")
				}
			}
			require.Len(t, left, 2)
			w.age(25*time.Hour, left...)

			output, err := apptest.Command(t, w.Config, "storage", "check").CombinedOutput()
			require.Error(t, err, "files that are left are told by the exit code")
			for _, file := range left {
				require.Contains(t, string(output), "orphan \""+file+"\"")
			}
			require.Subset(t, w.keys(), left, "a check changes nothing")
			output, err = apptest.Command(t, w.Config, "storage", "check", "--remove").CombinedOutput()
			require.NoError(t, err, string(output))
			require.True(t, bytes.Contains(output, []byte("2 were removed")), string(output))
			require.ElementsMatch(t, w.named, w.keys())
			output, err = apptest.Command(t, w.Config, "storage", "check").CombinedOutput()
			require.NoError(t, err, string(output))
		})
	}
}

// TestACommitThatDoesNotArrive has an answer refused that is committed with the row: no
// row is there, and its file is found.
func TestACommitThatDoesNotArrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	explorer := w.User()
	var landmark uuid.UUID
	require.NoError(t, w.Store.Pool.QueryRow(w.ctx, "SELECT id FROM landmarks").Scan(&landmark))
	for _, statement := range []string{
		"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$",
		"CREATE TRIGGER refuse BEFORE UPDATE ON idempotency_keys FOR EACH ROW WHEN (NEW.answer IS NOT NULL) EXECUTE FUNCTION refuse()",
	} {
		_, err := w.Store.Pool.Exec(w.ctx, statement)
		require.NoError(t, err)
	}
	contentType, body := apptest.Form(t, apptest.Photo(t, spot, time.Now()), apptest.Claim(spot))
	made, err := explorer.CreateAttemptWithBodyWithResponse(w.ctx, landmark, &api.CreateAttemptParams{IdempotencyKey: new(uuid.NewString())}, contentType, body)
	require.NoError(t, err)
	require.Nil(t, made.JSON202)
	require.Equal(t, 2, w.check(day).Young, "the photo and its picture")
	w.age(25*time.Hour, w.keys()...)
	report := w.check(day)
	require.Equal(t, 2, report.OrphanCount)
	require.Contains(t, report.Orphans[0], explorer.ID.String())

	// The job does what the command does.
	require.NoError(t, w.Sweep.Sweep(w.ctx))
	require.ElementsMatch(t, w.named, w.keys())
}
