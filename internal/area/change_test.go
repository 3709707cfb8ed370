package area_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/geo"
)

// record is a row of the audit log.
type record struct {
	Action     string
	ActorID    *uuid.UUID
	EntityType string
	Changes    map[string]audit.Change
	RequestID  string
}

func records(t *testing.T, s *apptest.Server, entity uuid.UUID) []record {
	t.Helper()
	rows, err := s.Store.Pool.Query(context.Background(),
		"SELECT action, actor_id, entity_type, changes, request_id FROM audit_logs WHERE entity_id = $1 ORDER BY created_at, id", entity)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[record])
	require.NoError(t, err)
	return found
}

func TestChangesAreOnRecord(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator, moderator := s.User(), s.As("moderator")
	made := s.Area(creator, "Harbour")
	changed := patch(t, moderator, made.ID, api.AreaUpdate{Name: new("Old Harbour")})
	require.NotNil(t, changed.JSON200, string(changed.Body))
	refused := patch(t, s.User(), made.ID, api.AreaUpdate{Name: new("Mine")})
	require.Equal(t, http.StatusForbidden, refused.StatusCode())
	deleted, err := creator.DeleteAreaWithResponse(ctx, made.ID, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())

	got := records(t, s, made.ID)
	require.Len(t, got, 3, "what was refused is no change")
	for i, want := range []struct {
		action    string
		actor     uuid.UUID
		requestID string
	}{
		{"create", creator.ID, ""},
		{"update", moderator.ID, changed.HTTPResponse.Header.Get("X-Request-ID")},
		{"delete", creator.ID, deleted.HTTPResponse.Header.Get("X-Request-ID")},
	} {
		require.Equal(t, want.action, got[i].Action)
		require.Equal(t, want.actor, *got[i].ActorID)
		require.Equal(t, "area", got[i].EntityType)
		if want.requestID != "" {
			require.Equal(t, want.requestID, got[i].RequestID)
		}
	}
	require.JSONEq(t, `"Harbour"`, string(got[0].Changes["name"].After))
	require.Empty(t, got[0].Changes["name"].Before)
	require.JSONEq(t, `"Harbour"`, string(got[1].Changes["name"].Before))
	require.JSONEq(t, `"Old Harbour"`, string(got[1].Changes["name"].After))
	require.NotContains(t, got[1].Changes, "description", "what stays is not on record")
	var by uuid.UUID
	require.NoError(t, json.Unmarshal(got[2].Changes["deleted_by"].After, &by))
	require.Equal(t, creator.ID, by)
}

func TestVerifyingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	moderator := s.As("moderator")
	made := s.Area(s.User(), "Harbour")
	for _, verified := range []bool{true, false} {
		var tags []string
		for range 2 {
			if verified {
				got, err := moderator.VerifyAreaWithResponse(ctx, made.ID)
				require.NoError(t, err)
				require.True(t, got.JSON200.IsVerified)
				tags = append(tags, got.HTTPResponse.Header.Get("ETag"))
			} else {
				got, err := moderator.UnverifyAreaWithResponse(ctx, made.ID)
				require.NoError(t, err)
				require.False(t, got.JSON200.IsVerified)
				tags = append(tags, got.HTTPResponse.Header.Get("ETag"))
			}
		}
		require.NotEmpty(t, tags[0])
		require.Equal(t, tags[0], tags[1], "it is the same version")
	}
	require.Len(t, records(t, s, made.ID), 3)

	before, err := moderator.GetAreaWithResponse(ctx, made.ID, nil)
	require.NoError(t, err)
	cleared, err := moderator.DeleteAreaImageWithResponse(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, cleared.StatusCode())
	after, err := moderator.GetAreaWithResponse(ctx, made.ID, nil)
	require.NoError(t, err)
	require.Equal(t, before.JSON200, after.JSON200, "there was no image to remove")
}

// Areas from before names were unique by their keys keep a name that clashes until they are
// renamed or moved.
func TestNamesThatClashStayUntilTheyChange(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	s.Area(creator, "Lodz")
	parent, made := s.Area(creator, "Poland"), s.Area(creator, "Other")
	_, err := s.Store.Pool.Exec(ctx, "UPDATE areas SET name = 'Łódź', name_clashes = true WHERE id = $1", made.ID)
	require.NoError(t, err)
	clashes := func() (marked bool) {
		require.NoError(t, s.Store.Pool.QueryRow(ctx, "SELECT name_clashes FROM areas WHERE id = $1", made.ID).Scan(&marked))
		return marked
	}

	same := patch(t, creator, made.ID, api.AreaUpdate{Name: new("Łódź"), Description: nullable.NewNullableWithValue("A city."), ParentAreaID: nullable.NewNullNullable[uuid.UUID]()})
	require.NotNil(t, same.JSON200, string(same.Body))
	require.True(t, clashes())
	renamed := patch(t, creator, made.ID, api.AreaUpdate{Name: new("LODZ")})
	require.Equal(t, "/problems/area_name_taken", apptest.Problem(t, http.StatusConflict, renamed.HTTPResponse, renamed.Body).Type)
	require.True(t, clashes())
	moved := patch(t, creator, made.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(parent.ID)})
	require.NotNil(t, moved.JSON200, string(moved.Body))
	require.False(t, clashes())
	back := patch(t, creator, made.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullNullable[uuid.UUID]()})
	require.Equal(t, "/problems/area_name_taken", apptest.Problem(t, http.StatusConflict, back.HTTPResponse, back.Body).Type)
}

func TestNamesOfMovedAreas(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	parent, stranger := s.Area(creator, "Coast"), s.Area(creator, "Harbour")
	child := s.Area(creator, "Harbour", beneath(parent.ID))
	sibling := s.Area(creator, "Pier", beneath(parent.ID))

	for name, got := range map[string]*api.UpdateAreaResponse{
		"renamed to a sibling's":      patch(t, creator, sibling.ID, api.AreaUpdate{Name: new("Harbour")}),
		"moved beside one":            patch(t, creator, stranger.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(parent.ID)}),
		"moved to the top beside one": patch(t, creator, child.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullNullable[uuid.UUID]()}),
	} {
		p := apptest.Problem(t, http.StatusConflict, got.HTTPResponse, got.Body)
		require.Equal(t, "/problems/area_name_taken", p.Type, name)
	}
	both := patch(t, creator, child.ID, api.AreaUpdate{Name: new("Quay"), ParentAreaID: nullable.NewNullNullable[uuid.UUID]()})
	require.NotNil(t, both.JSON200, string(both.Body))
	require.True(t, both.JSON200.ParentAreaID.IsNull())
	same := patch(t, creator, sibling.ID, api.AreaUpdate{Name: new("Pier"), ParentAreaID: nullable.NewNullableWithValue(parent.ID)})
	require.NotNil(t, same.JSON200, "an area is not in its own way: %s", same.Body)

	deleted, err := creator.DeleteAreaWithResponse(ctx, sibling.ID, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, deleted.StatusCode())
	twice, err := creator.DeleteAreaWithResponse(ctx, sibling.ID, nil)
	require.NoError(t, err)
	apptest.Problem(t, http.StatusNotFound, twice.HTTPResponse, twice.Body)
	for name, got := range map[string]*api.UpdateAreaResponse{
		"onto a deleted area": patch(t, creator, stranger.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(sibling.ID)}),
		"onto itself":         patch(t, creator, stranger.ID, api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(stranger.ID)}),
	} {
		p := apptest.Problem(t, http.StatusUnprocessableEntity, got.HTTPResponse, got.Body)
		require.Equal(t, "/parent_area_id", *(*p.Errors)[0].Pointer, name)
	}
}

func TestOneOfTwoWritersLoses(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	made := s.Area(creator, "Harbour")
	got, err := creator.GetAreaWithResponse(ctx, made.ID, nil)
	require.NoError(t, err)
	etag := got.HTTPResponse.Header.Get("ETag")
	statuses := make([]int, 6)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() {
			changed, err := creator.UpdateAreaWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, made.ID,
				&api.UpdateAreaParams{IfMatch: &etag}, api.AreaUpdate{Description: nullable.NewNullableWithValue(fmt.Sprint("writer ", i))})
			if err == nil {
				statuses[i] = changed.StatusCode()
			}
		})
	}
	wg.Wait()
	require.ElementsMatch(t, []int{200, 412, 412, 412, 412, 412}, statuses)

	gone := make([]int, 3)
	for i := range gone {
		wg.Go(func() {
			deleted, err := creator.DeleteAreaWithResponse(ctx, made.ID, nil)
			if err == nil {
				gone[i] = deleted.StatusCode()
			}
		})
	}
	wg.Wait()
	require.ElementsMatch(t, []int{204, 404, 404}, gone)
}

// TestTreeUnderLoad moves, fills and deletes parts of a small tree at once. No
// answer is a fault of ours, and afterwards nothing living lies in what is
// deleted, nothing in a circle, nothing too deep.
func TestTreeUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	var ids []uuid.UUID
	for i := range 6 {
		ids = append(ids, s.Area(creator, fmt.Sprint("area ", i)).ID)
	}
	var stones []uuid.UUID
	for i := range 6 {
		stones = append(stones, s.Landmark(creator, ids[i], "Stone", geo.Point{Latitude: float64(i)}).ID)
	}
	allowed := []int{200, 201, 204, 404, 409, 422}
	expect := func(status int, body []byte, err error) {
		if err != nil {
			t.Error(err)
			return
		}
		for _, ok := range allowed {
			if status == ok {
				return
			}
		}
		t.Errorf("%d %s", status, body)
	}
	var wg sync.WaitGroup
	for round := range 6 {
		for i := range ids {
			wg.Go(func() {
				to := ids[(i*5+round+1)%len(ids)]
				got, err := creator.UpdateAreaWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, ids[i], nil,
					api.AreaUpdate{ParentAreaID: nullable.NewNullableWithValue(to)})
				if err == nil {
					expect(got.StatusCode(), got.Body, nil)
				} else {
					expect(0, nil, err)
				}
			})
			wg.Go(func() {
				got, err := creator.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, stones[i], nil,
					api.LandmarkUpdate{AreaID: &ids[(i+round)%len(ids)]})
				if err == nil {
					expect(got.StatusCode(), got.Body, nil)
				} else {
					expect(0, nil, err)
				}
			})
			wg.Go(func() {
				got, err := creator.CreateLandmarkWithResponse(ctx, nil, api.LandmarkCreate{
					AreaID: ids[i], Name: fmt.Sprint("round ", round), Latitude: 10 + float64(round), Longitude: float64(i),
				})
				if err == nil {
					expect(got.StatusCode(), got.Body, nil)
				} else {
					expect(0, nil, err)
				}
			})
		}
		if round >= 3 {
			wg.Go(func() {
				got, err := creator.DeleteAreaWithResponse(ctx, ids[round-3], nil)
				if err == nil {
					expect(got.StatusCode(), got.Body, nil)
				} else {
					expect(0, nil, err)
				}
			})
		}
	}
	wg.Wait()
	for name, statement := range map[string]string{
		"landmarks in deleted areas": `SELECT count(*) FROM landmarks l JOIN areas a ON a.id = l.area_id WHERE l.deleted_at IS NULL AND a.deleted_at IS NOT NULL`,
		"areas in deleted areas":     `SELECT count(*) FROM areas c JOIN areas p ON p.id = c.parent_area_id WHERE c.deleted_at IS NULL AND p.deleted_at IS NOT NULL`,
		"areas in a circle or too deep": `WITH RECURSIVE up AS (
			SELECT id AS start, parent_area_id AS at, 1 AS level FROM areas WHERE deleted_at IS NULL
			UNION ALL SELECT u.start, a.parent_area_id, u.level + 1 FROM up u JOIN areas a ON a.id = u.at WHERE u.level < 20
		) SELECT count(*) FROM up WHERE level > 10`,
	} {
		var n int
		require.NoError(t, s.Store.Pool.QueryRow(ctx, statement).Scan(&n))
		require.Zero(t, n, name)
	}
}

func TestDeletionIsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	root := s.Area(creator, "Root")
	child := s.Area(creator, "Child", beneath(root.ID))
	stone := s.Landmark(creator, child.ID, "Stone", geo.Point{})
	for _, broken := range [][2]string{{"UPDATE", "landmarks"}, {"UPDATE", "areas"}, {"INSERT", "audit_logs"}} {
		relent := s.Refuse(broken[0], broken[1])
		got, err := creator.DeleteAreaWithResponse(ctx, root.ID, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusInternalServerError, got.HTTPResponse, got.Body)
		failed := patch(t, creator, root.ID, api.AreaUpdate{Name: new("without " + broken[1])})
		if broken[1] != "landmarks" {
			apptest.Problem(t, http.StatusInternalServerError, failed.HTTPResponse, failed.Body)
		} else {
			require.Equal(t, http.StatusOK, failed.StatusCode())
		}
		relent()
		for _, id := range []uuid.UUID{root.ID, child.ID} {
			there, err := creator.GetAreaWithResponse(ctx, id, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, there.StatusCode())
		}
		there, err := creator.GetLandmarkWithResponse(ctx, stone.ID, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, there.StatusCode())
	}
}
