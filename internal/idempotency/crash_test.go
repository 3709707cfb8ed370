package idempotency_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// expireClaims lets the time pass after which the keys of a process that is gone
// are free.
func (w *world) expireClaims(t *testing.T) {
	t.Helper()
	w.exec(t, "UPDATE idempotency_keys SET claimed_until = now()")
}

// TestKilledInARush kills the process amid creations. Each is sent again, as by
// clients that can't know: all are there once, and what was answered is answered so.
func TestKilledInARush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.User()
	before := w.count(t, "landmarks")
	const n = 300
	send := func(by *apptest.Client, i int) (*api.CreateLandmarkResponse, error) {
		return by.CreateLandmarkWithResponse(context.Background(), &api.CreateLandmarkParams{IdempotencyKey: new(fmt.Sprintf("key-%d", i))},
			api.LandmarkCreate{AreaID: w.area.ID, Name: "Bench", Latitude: float64(i) / 10, Longitude: 2})
	}
	process := apptest.Start(t, w.Config, "serve")
	client := process.Client(ada.Token)
	answers := make([]string, n)
	work := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range work {
				if made, err := send(client, i); err == nil && made.StatusCode() == http.StatusCreated {
					answers[i] = string(made.Body)
				}
			}
		})
	}
	for i := range n {
		work <- i
		if i == n/2 {
			process.Kill()
		}
	}
	close(work)
	wg.Wait()
	process.AwaitForgotten()
	w.expireClaims(t)

	answered := 0
	for i, first := range answers {
		made, err := send(ada, i)
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, made.StatusCode(), string(made.Body))
		if first != "" {
			answered++
			require.Equal(t, first, string(made.Body))
		}
	}
	require.NotZero(t, answered)
	require.Less(t, answered, n)
	require.Equal(t, before+n, w.count(t, "landmarks"))
}

// TestKilledBeforeTheCommit kills the process after it has created, when all that is
// left is to write the answer down.
func TestKilledBeforeTheCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.User()
	key, landmark := new(uuid.NewString()), creations["createLandmark"]
	before := w.count(t, "landmarks")
	// The claim passes: it is an insert.
	w.exec(t, `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$`)
	w.exec(t, "CREATE TRIGGER dawdle BEFORE UPDATE OF answer ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION dawdle()")
	tx, err := w.Store.Pool.Begin(context.Background())
	require.NoError(t, err)
	_, err = tx.Exec(context.Background(), "SELECT pg_advisory_xact_lock(42)")
	require.NoError(t, err)

	process := apptest.Start(t, w.Config, "serve")
	client := process.Client(ada.Token)
	failed := make(chan error, 1)
	go func() {
		_, err := client.CreateLandmarkWithResponse(context.Background(), &api.CreateLandmarkParams{IdempotencyKey: key},
			api.LandmarkCreate{AreaID: w.area.ID, Name: "one", Latitude: 1, Longitude: 2, AllowDuplicate: new(true)})
		failed <- err
	}()
	w.await(t, waiting)
	process.Kill()
	require.Error(t, <-failed)
	require.NoError(t, tx.Rollback(context.Background()))
	w.await(t, `SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 42
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	require.Equal(t, before, w.count(t, "landmarks"))

	require.Equal(t, http.StatusConflict, landmark.send(t, w, ada, key, "one").StatusCode)
	w.exec(t, "DROP TRIGGER dawdle ON idempotency_keys")
	w.expireClaims(t)
	landmark.must(t, w, ada, key, "one")
	require.Equal(t, before+1, w.count(t, "landmarks"))
}
