package landmark_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/store"
)

func TestChangesAreOnRecord(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator, moderator := s.User(), s.As("moderator")
	made := s.Landmark(creator, s.Area(creator, "Harbour").ID, "Lighthouse", here)
	changed := patch(t, moderator, made.ID, api.LandmarkUpdate{Difficulty: new(4), Latitude: new(53.9)})
	require.NotNil(t, changed.JSON200, string(changed.Body))
	var tags []string
	for range 2 {
		verified, err := moderator.VerifyLandmarkWithResponse(ctx, made.ID)
		require.NoError(t, err)
		require.True(t, verified.JSON200.IsVerified)
		tags = append(tags, verified.HTTPResponse.Header.Get("ETag"))
	}
	require.Equal(t, tags[0], tags[1], "verifying twice changes nothing")
	cleared, err := creator.DeleteLandmarkImageWithResponse(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, cleared.StatusCode())
	deleted, err := creator.DeleteLandmarkWithResponse(ctx, made.ID, &api.DeleteLandmarkParams{IfMatch: &tags[1]})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode(), "there was no image to remove: %s", deleted.Body)

	type record struct {
		Action  string
		ActorID uuid.UUID
		Changes map[string]audit.Change
	}
	rows, err := s.Store.Pool.Query(ctx, "SELECT action, actor_id, changes FROM audit_logs WHERE entity_id = $1 ORDER BY created_at, id", made.ID)
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[record])
	require.NoError(t, err)
	require.Len(t, got, 4)
	for i, want := range []struct {
		action string
		actor  uuid.UUID
	}{{"create", creator.ID}, {"update", moderator.ID}, {"update", moderator.ID}, {"delete", creator.ID}} {
		require.Equal(t, want.action, got[i].Action)
		require.Equal(t, want.actor, got[i].ActorID)
	}
	require.JSONEq(t, `1`, string(got[1].Changes["difficulty"].Before))
	require.JSONEq(t, `4`, string(got[1].Changes["difficulty"].After))
	require.Contains(t, got[1].Changes, "location")
	require.NotContains(t, got[1].Changes, "name")
	require.JSONEq(t, `true`, string(got[2].Changes["is_verified"].After))
	require.Contains(t, got[3].Changes, "deletion_id")
}

func TestMergePatch(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	made := s.Landmark(creator, s.Area(creator, "Harbour").ID, "Lighthouse", here, func(in *api.LandmarkCreate) {
		in.Description, in.Hint, in.Difficulty = new("White."), new("Look up."), new(3)
		in.UnlockRadiusMeters, in.PhotoRadiusMeters = new(20.5), new(30.0)
		in.PhotoLocation = nullable.NewNullableWithValue(api.Position{Latitude: 53.86, Longitude: 8.72})
	})
	require.Equal(t, []float64{20.5, 30}, []float64{made.UnlockRadiusMeters, made.PhotoRadiusMeters})
	send := func(body string) *api.UpdateLandmarkResponse {
		got, err := creator.UpdateLandmarkWithBodyWithResponse(ctx, made.ID, nil, "application/merge-patch+json", strings.NewReader(body))
		require.NoError(t, err)
		return got
	}

	t.Run("leaves what is absent", func(t *testing.T) {
		got := send(`{"hint":"Look down."}`)
		want := made
		want.Hint, want.UpdatedAt = "Look down.", got.JSON200.UpdatedAt
		require.Equal(t, want, *got.JSON200)
		require.True(t, got.JSON200.UpdatedAt.After(made.UpdatedAt))
		read, err := creator.GetLandmarkWithResponse(ctx, made.ID, nil)
		require.NoError(t, err)
		require.Equal(t, *got.JSON200, *read.JSON200)
		require.Equal(t, got.HTTPResponse.Header.Get("ETag"), read.HTTPResponse.Header.Get("ETag"))
	})
	t.Run("clears what is null", func(t *testing.T) {
		got := send(`{"photo_location":null}`)
		require.True(t, got.JSON200.PhotoLocation.IsNull())
		got = send(`{"photo_location":{"latitude":-90,"longitude":180}}`)
		require.Equal(t, api.Position{Latitude: -90, Longitude: 180}, got.JSON200.PhotoLocation.MustGet())
	})
	t.Run("moves along one axis", func(t *testing.T) {
		got := send(`{"longitude":-180}`)
		require.Equal(t, []float64{here.Latitude, -180}, []float64{got.JSON200.Latitude, got.JSON200.Longitude})
	})
	t.Run("empties a text", func(t *testing.T) {
		require.Empty(t, send(`{"description":""}`).JSON200.Description)
	})
	for name, body := range map[string]string{
		"null where none can be":       `{"difficulty":null}`,
		"nothing of a position":        `{"photo_location":{}}`,
		"more than a position":         `{"photo_location":{"latitude":1,"longitude":2,"altitude":3}}`,
		"what only moderators decide":  `{"is_verified":true}`,
		"the creator":                  `{"created_by":"01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"}`,
		"a difficulty beyond 5":        `{"difficulty":6}`,
		"a radius below a metre":       `{"unlock_radius_meters":0.5}`,
		"a radius beyond ten thousand": `{"photo_radius_meters":10001}`,
		"a latitude beyond the pole":   `{"latitude":90.0001}`,
		"a longitude beyond 180":       `{"longitude":-180.0001}`,
		"nothing at all":               `{}`,
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			got := send(body)
			apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body)
		})
	}
}

func TestDeletedTwice(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator, other, admin := s.User(), s.User(), s.As("admin")
	area := s.Area(creator, "Harbour")
	made := s.Landmark(creator, area.ID, "Lighthouse", here)
	statuses := make([]int, 4)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() {
			if got, err := creator.DeleteLandmarkWithResponse(ctx, made.ID, nil); err == nil {
				statuses[i] = got.StatusCode()
			}
		})
	}
	wg.Wait()
	require.ElementsMatch(t, []int{204, 404, 404, 404}, statuses)

	for name, call := range map[string]func() (int, []byte, error){
		"changed": func() (int, []byte, error) {
			got := patch(t, creator, made.ID, api.LandmarkUpdate{Hint: nullable.NewNullableWithValue("x")})
			return got.StatusCode(), got.Body, nil
		},
		"changed by another": func() (int, []byte, error) {
			got := patch(t, other, made.ID, api.LandmarkUpdate{Hint: nullable.NewNullableWithValue("x")})
			return got.StatusCode(), got.Body, nil
		},
		"verified": func() (int, []byte, error) {
			got, err := admin.VerifyLandmarkWithResponse(ctx, made.ID)
			return got.StatusCode(), got.Body, err
		},
	} {
		status, body, err := call()
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, status, "%s: %s", name, body)
	}
	again := s.Landmark(creator, area.ID, "Lighthouse", here)
	require.NotEqual(t, made.ID, again.ID, "what is deleted is no duplicate")
	byAdmin, err := admin.DeleteLandmarkWithResponse(ctx, again.ID, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, byAdmin.StatusCode())
}

// TestMoveWaitsForTheTreeFirst holds the tree of areas as a deletion does: a
// landmark that is being moved must not be locked meanwhile, or the deletion,
// which wants it, and the move would wait for each other.
func TestMoveWaitsForTheTreeFirst(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	from, to := s.Area(creator, "from"), s.Area(creator, "to")
	made := s.Landmark(creator, from.ID, "Stone", here)
	moved := make(chan *api.UpdateLandmarkResponse, 1)
	require.NoError(t, s.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := area.LockTree(ctx, tx, area.Exclusive); err != nil {
			return err
		}
		go func() {
			got, _ := creator.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(
				context.Background(), made.ID, nil, api.LandmarkUpdate{AreaID: &to.ID})
			moved <- got
		}()
		require.Eventually(t, func() bool {
			var waiting bool
			err := s.Store.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&waiting)
			return err == nil && waiting
		}, 30*time.Second, 5*time.Millisecond)
		rows, err := tx.QueryContext(ctx, "SELECT id FROM landmarks WHERE id = $1 FOR UPDATE NOWAIT", made.ID)
		if err != nil {
			return err
		}
		for rows.Next() {
		}
		require.NoError(t, rows.Err())
		return rows.Close()
	}))
	got := <-moved
	require.NotNil(t, got)
	require.NotNil(t, got.JSON200, string(got.Body))
	require.Equal(t, to.ID, got.JSON200.AreaID)
}
