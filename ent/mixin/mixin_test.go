package mixin_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Main(m, testenv.WithMigrator(testenv.Migrator{Fingerprint: store.Fingerprint(), Up: store.Migrate}))
}

type bundle struct {
	t     *testing.T
	store *store.Store
	ctx   context.Context
	actor uuid.UUID
}

func setup(t *testing.T) bundle {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t), store.Options{MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	actor := uuid.New()
	ctx := authz.WithCaller(t.Context(), authz.Caller{UserID: actor})
	ctx = reqctx.With(ctx, reqctx.Request{ID: "request-1", Address: "192.0.2.1", UserAgent: "test"})
	return bundle{t: t, store: s, ctx: ctx, actor: actor}
}

func (b bundle) inTx(fn func(ctx context.Context, tx *store.Tx)) {
	b.t.Helper()
	require.NoError(b.t, b.store.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
		fn(ctx, tx)
		return nil
	}))
}

func (b bundle) area(name string) *ent.Area {
	var made *ent.Area
	b.inTx(func(ctx context.Context, tx *store.Tx) {
		made = tx.Area.Create().SetName(name).SetCreatedBy(b.actor).SaveX(ctx)
	})
	return made
}

func (b bundle) landmark(area uuid.UUID, name string) *ent.Landmark {
	var made *ent.Landmark
	b.inTx(func(ctx context.Context, tx *store.Tx) {
		made = tx.Landmark.Create().SetName(name).SetAreaID(area).SetCreatedBy(b.actor).
			SetLocation(geo.Point{Latitude: 53.5, Longitude: 8.25}).SaveX(ctx)
	})
	return made
}

type record struct {
	Action, EntityType, Address, UserAgent, RequestID string
	ActorID, EntityID                                 *uuid.UUID
	Changes                                           map[string]audit.Change
}

func (b bundle) records() []record {
	b.t.Helper()
	rows, err := b.store.Pool.Query(b.ctx, `SELECT action, entity_type, entity_id, actor_id, changes, ip_address, user_agent, request_id
		FROM audit_logs ORDER BY created_at, id`)
	require.NoError(b.t, err)
	defer rows.Close()
	var all []record
	for rows.Next() {
		var r record
		var changes []byte
		require.NoError(b.t, rows.Scan(&r.Action, &r.EntityType, &r.EntityID, &r.ActorID, &changes, &r.Address, &r.UserAgent, &r.RequestID))
		require.NoError(b.t, json.Unmarshal(changes, &r.Changes))
		all = append(all, r)
	}
	require.NoError(b.t, rows.Err())
	return all
}

func TestSoftDelete(t *testing.T) {
	t.Parallel()

	t.Run("hides the row and says who deleted it, when and in which deletion", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.area("a")
		one, two := b.landmark(area.ID, "one"), b.landmark(area.ID, "two")
		b.ctx = mixin.WithDeletion(b.ctx)
		b.inTx(func(ctx context.Context, tx *store.Tx) {
			require.Equal(t, 2, tx.Landmark.Delete().ExecX(ctx))
			require.NoError(t, tx.Area.DeleteOneID(area.ID).Exec(ctx))
		})
		require.Zero(t, b.store.Ent.Landmark.Query().CountX(b.ctx))
		require.True(t, ent.IsNotFound(func() error { _, err := b.store.Ent.Area.Get(b.ctx, area.ID); return err }()))

		seen := mixin.WithDeleted(b.ctx)
		deleted := b.store.Ent.Area.GetX(seen, area.ID)
		require.NotNil(t, deleted.DeletedAt)
		require.Equal(t, b.actor, *deleted.DeletedBy)
		for _, id := range []uuid.UUID{one.ID, two.ID} {
			require.Equal(t, deleted.DeletionID, b.store.Ent.Landmark.GetX(seen, id).DeletionID)
		}
	})

	t.Run("hides rows from eager loading and edges", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.area("a")
		gone := b.landmark(area.ID, "gone")
		b.landmark(area.ID, "stays")
		b.inTx(func(ctx context.Context, tx *store.Tx) { tx.Landmark.DeleteOneID(gone.ID).ExecX(ctx) })
		loaded := b.store.Ent.Area.Query().WithLandmarks().OnlyX(b.ctx)
		require.Len(t, loaded.Edges.Landmarks, 1)
		require.Equal(t, 1, b.store.Ent.Area.GetX(b.ctx, area.ID).QueryLandmarks().CountX(b.ctx))
		b.inTx(func(ctx context.Context, tx *store.Tx) { tx.Area.DeleteOneID(area.ID).ExecX(ctx) })
		require.Nil(t, b.store.Ent.Landmark.Query().WithArea().OnlyX(b.ctx).Edges.Area)
	})

	t.Run("keeps updates away from deleted rows", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.area("a")
		b.inTx(func(ctx context.Context, tx *store.Tx) { tx.Area.DeleteOneID(area.ID).ExecX(ctx) })
		b.inTx(func(ctx context.Context, tx *store.Tx) {
			require.True(t, ent.IsNotFound(tx.Area.UpdateOneID(area.ID).SetName("b").Exec(ctx)))
			require.Zero(t, tx.Area.Update().SetName("b").SaveX(ctx))
			require.True(t, ent.IsNotFound(tx.Area.DeleteOneID(area.ID).Exec(ctx)))
		})
	})

	t.Run("keeps names unique among the living only", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.area("a")
		b.inTx(func(ctx context.Context, tx *store.Tx) { tx.Area.DeleteOneID(first.ID).ExecX(ctx) })
		b.area("a")
	})

	t.Run("restores and removes for good where deleted rows are seen", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.area("a")
		b.inTx(func(ctx context.Context, tx *store.Tx) { tx.Area.DeleteOneID(area.ID).ExecX(ctx) })
		b.inTx(func(ctx context.Context, tx *store.Tx) {
			tx.Area.UpdateOneID(area.ID).ClearDeletedAt().ClearDeletedBy().ClearDeletionID().ExecX(mixin.WithDeleted(ctx))
		})
		require.Equal(t, 1, b.store.Ent.Area.Query().CountX(b.ctx))
		b.inTx(func(ctx context.Context, tx *store.Tx) { tx.Area.DeleteOneID(area.ID).ExecX(mixin.WithDeleted(ctx)) })
		require.Zero(t, b.store.Ent.Area.Query().CountX(mixin.WithDeleted(b.ctx)))
		var actions []string
		for _, r := range b.records() {
			actions = append(actions, r.Action)
		}
		require.Equal(t, []string{"create", "delete", "restore", "purge"}, actions)
	})
}

func TestAudit(t *testing.T) {
	t.Parallel()

	t.Run("records who did what from where", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.area("a")
		b.inTx(func(ctx context.Context, tx *store.Tx) {
			tx.Area.UpdateOneID(area.ID).SetName("b").SetDescription("c").ExecX(ctx)
		})
		records := b.records()
		require.Len(t, records, 2)
		create, update := records[0], records[1]
		require.Equal(t, "create", create.Action)
		require.JSONEq(t, `"a"`, string(create.Changes["name"].After))
		require.Nil(t, create.Changes["name"].Before)
		require.NotContains(t, create.Changes, "deleted_at")
		require.Equal(t, "update", update.Action)
		require.Equal(t, "area", update.EntityType)
		require.Equal(t, area.ID, *update.EntityID)
		require.Equal(t, b.actor, *update.ActorID)
		require.Equal(t, []string{"192.0.2.1", "test", "request-1"}, []string{update.Address, update.UserAgent, update.RequestID})
		require.Len(t, update.Changes, 2)
		require.JSONEq(t, `"a"`, string(update.Changes["name"].Before))
		require.JSONEq(t, `"b"`, string(update.Changes["name"].After))
	})

	t.Run("records nothing when nothing changed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.area("a")
		b.inTx(func(ctx context.Context, tx *store.Tx) { tx.Area.UpdateOneID(area.ID).SetName("a").ExecX(ctx) })
		require.Len(t, b.records(), 1)
	})

	t.Run("records each row of a bulk change", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		area := b.area("a")
		const n = 100
		b.inTx(func(ctx context.Context, tx *store.Tx) {
			builders := make([]*ent.LandmarkCreate, n)
			for i := range builders {
				builders[i] = tx.Landmark.Create().SetName("l").SetAreaID(area.ID).SetCreatedBy(b.actor).SetLocation(geo.Point{Latitude: float64(i) / 10})
			}
			tx.Landmark.CreateBulk(builders...).ExecX(ctx)
			require.Equal(t, n, tx.Landmark.Update().Where(entlandmark.AreaID(area.ID)).SetHint("h").SaveX(ctx))
			require.Equal(t, n, tx.Landmark.Delete().ExecX(ctx))
		})
		counts := map[string]int{}
		for _, r := range b.records() {
			if r.EntityType == "landmark" {
				counts[r.Action]++
			}
		}
		require.Equal(t, map[string]int{"create": n, "update": n, "delete": n}, counts)
	})

	t.Run("never records a secret", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.inTx(func(ctx context.Context, tx *store.Tx) {
			user := tx.User.Create().SetUsername("ada").SetEmail("ada@example.org").SetPasswordHash("hash-one").SetRole("user").SaveX(ctx)
			tx.User.UpdateOne(user).SetPasswordHash("hash-two").ExecX(ctx)
		})
		records := b.records()
		require.Len(t, records, 2)
		require.Contains(t, records[1].Changes, "password_hash")
		require.Equal(t, audit.Change{}, records[1].Changes["password_hash"])
	})

	t.Run("refuses a change outside of a transaction", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Error(t, b.store.Ent.Area.Create().SetName("a").SetCreatedBy(b.actor).Exec(b.ctx))
		area := b.area("a")
		require.Error(t, b.store.Ent.Area.Update().Where(entarea.ID(area.ID)).SetName("b").Exec(b.ctx))
		require.Len(t, b.records(), 1)
	})

	t.Run("can't be changed by the application", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.area("a")
		for _, statement := range []string{
			"UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs",
		} {
			_, err := b.store.Pool.Exec(b.ctx, statement)
			require.ErrorContains(t, err, "inserts only", statement)
		}
	})
}
