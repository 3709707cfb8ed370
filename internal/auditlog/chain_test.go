package auditlog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/store"
)

const (
	rows  = "SELECT count(*) FROM audit_logs"
	links = "SELECT count(*) FROM audit_links"
)

func TestChain(t *testing.T) {
	t.Parallel()

	t.Run("has nothing of a transaction that is rolled back", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		failure := errors.New("no")
		require.ErrorIs(t, b.store.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			require.NoError(t, createArea(ctx, tx, "a"))
			return failure
		}), failure)
		require.Zero(t, b.count(rows))
		require.Zero(t, b.count(links))
		b.intact(0)
	})

	t.Run("has a row for each one of a bulk update", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.landmarks(1000)
		require.Equal(t, 1001, b.count(rows))
		require.NoError(t, b.store.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return tx.Landmark.Update().SetIsVerified(true).Exec(ctx)
		}))
		require.Equal(t, 2001, b.count(rows))
		require.Equal(t, 1000, b.count(rows+" WHERE action = 'update'"))
		b.intact(2001)
	})

	t.Run("takes transactions at the same time", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				if err := b.store.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
					return errors.Join(createArea(ctx, tx, fmt.Sprintf("a %d", i)), createArea(ctx, tx, fmt.Sprintf("b %d", i)))
				}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		b.intact(100)
	})

	t.Run("can't be avoided by the transaction", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		insert := "INSERT INTO audit_logs (id, created_at, action, entity_type, changes) VALUES (gen_random_uuid(), now(), 'x', 'y', '{}')"
		require.NoError(t, pgx.BeginFunc(t.Context(), b.store.Pool, func(tx pgx.Tx) error {
			for _, statement := range []string{
				"CREATE TEMPORARY TABLE audit_links (chain smallint, seq bigint, audit_id uuid, audit_created_at timestamptz, hash bytea) ON COMMIT DROP",
				insert, insert, "SET CONSTRAINTS ALL IMMEDIATE", insert, insert, "SAVEPOINT s", insert, "ROLLBACK TO s",
				"SET CONSTRAINTS ALL DEFERRED", insert, insert, "SET CONSTRAINTS audit_logs_chain IMMEDIATE", insert, "SET LOCAL timezone = 'Asia/Tokyo'", insert,
			} {
				if _, err := tx.Exec(t.Context(), statement); err != nil {
					return err
				}
			}
			return nil
		}))
		b.intact(8)
	})

	t.Run("can't be changed with the application's credentials", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.areas(3)
		for _, statement := range []string{
			"UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs",
			"TRUNCATE audit_logs_default", "TRUNCATE audit_logs_" + month(0),
			"DELETE FROM audit_logs_" + month(0),
			"UPDATE audit_links SET hash = ''", "DELETE FROM audit_links", "TRUNCATE audit_links",
			"INSERT INTO audit_links VALUES (0, 1000, gen_random_uuid(), now(), '')",
			"UPDATE audit_chain_heads SET seq = 0", "DELETE FROM audit_chain_heads", "TRUNCATE audit_chain_heads",
			"INSERT INTO audit_chain_heads VALUES (16, 0, '')",
			"UPDATE audit_prunings SET before = now()", "DELETE FROM audit_prunings", "TRUNCATE audit_prunings",
		} {
			_, err := b.store.Pool.Exec(t.Context(), statement)
			require.ErrorContains(t, err, "inserts only", statement)
		}
		b.intact(3)
	})
}

// landmarks makes landmarks in one area, in one transaction.
func (b bundle) landmarks(n int) {
	b.t.Helper()
	require.NoError(b.t, b.store.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		area, err := tx.Area.Create().SetName(uuid.NewString()).SetCreatedBy(uuid.New()).Save(ctx)
		if err != nil {
			return err
		}
		builders := make([]*ent.LandmarkCreate, n)
		for i := range builders {
			builders[i] = tx.Landmark.Create().SetName(fmt.Sprintf("landmark %d", i)).SetAreaID(area.ID).SetCreatedBy(area.CreatedBy).
				SetLocation(geo.Point{Latitude: 53, Longitude: 8 + float64(i)/1000})
		}
		return tx.Landmark.CreateBulk(builders...).Exec(ctx)
	}))
}
