package auditlog_test

import (
	"context"
	"database/sql"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/ent/migrate/migrations"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

// month is the present one, or one ahead, as partitions have it in their names.
func month(ahead int) string {
	now := time.Now().UTC()
	return time.Date(now.Year(), now.Month()+time.Month(ahead), 1, 0, 0, 0, 0, time.UTC).Format("2006_01")
}

// write inserts rows of some day, as the application does.
func (b bundle) write(day time.Time, n int) {
	b.t.Helper()
	_, err := b.store.Pool.Exec(context.Background(), `
		INSERT INTO audit_logs (id, created_at, action, entity_type, entity_id, changes)
		SELECT gen_random_uuid(), $1, 'create', 'area', gen_random_uuid(), '{}' FROM generate_series(1, $2)`, day, n)
	require.NoError(b.t, err)
}

const partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass"

func TestPartitions(t *testing.T) {
	t.Parallel()

	t.Run("are there for this month and three ahead", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Equal(t, 5, b.count(partitions))
		for ahead := range 4 {
			require.Zero(t, b.count("SELECT count(*) FROM audit_logs_"+month(ahead)))
		}
		made, err := b.MakePartitions(t.Context())
		require.NoError(t, err)
		require.Zero(t, made)
		b.area("a")
		require.Equal(t, 1, b.count("SELECT count(*) FROM audit_logs_"+month(0)))
	})

	t.Run("are made by the job at the start of a worker", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		_, err := s.Store.Pool.Exec(t.Context(), "DROP TABLE audit_logs_"+month(2))
		require.NoError(t, err)
		apptest.StartWorker(t, s.Config)
		require.Eventually(t, func() bool {
			var n int
			err := s.Store.Pool.QueryRow(t.Context(), partitions).Scan(&n)
			return err == nil && n == 5
		}, time.Minute, 50*time.Millisecond)
	})

	t.Run("take their rows out of the default one", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		old, future := time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC), time.Now().AddDate(1, 0, 0)
		b.write(old, 5)
		b.write(old.Add(time.Second), 7)
		b.write(future, 3)
		require.Equal(t, 15, b.count("SELECT count(*) FROM audit_logs_default"))
		made, err := b.MakePartitions(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, made)
		require.Zero(t, b.count("SELECT count(*) FROM audit_logs_default"))
		require.Equal(t, 5, b.count("SELECT count(*) FROM audit_logs_2024_02"))
		require.Equal(t, 7, b.count("SELECT count(*) FROM audit_logs_2024_03"))
		b.intact(15)
		for _, statement := range []string{"DELETE FROM audit_logs_2024_02", "TRUNCATE audit_logs_2024_02", "DELETE FROM audit_logs"} {
			_, err := b.store.Pool.Exec(t.Context(), statement)
			require.ErrorContains(t, err, "inserts only", statement)
		}
		b.write(old, 1)
		b.write(time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC), 1)
		require.Equal(t, 1, b.count("SELECT count(*) FROM audit_logs_default"))
		b.intact(17)
		b.exec("SET timezone = 'Pacific/Kiritimati'")
		_, err = b.store.Pool.Exec(t.Context(), "UPDATE audit_logs_default SET action = 'x'")
		require.ErrorContains(t, err, "inserts only", "its triggers are on again")
	})

	t.Run("wait for a reader, and not for long", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.write(time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC), 1)
		tx, err := b.store.Pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), rows)
		require.NoError(t, err)
		_, err = b.MakePartitions(t.Context())
		require.ErrorContains(t, err, "lock timeout")
		require.NoError(t, tx.Rollback(t.Context()))
		made, err := b.MakePartitions(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, made)
	})
}

// total is how many rows the list says that there are.
func (b bundle) total() int {
	b.t.Helper()
	list, err := b.List(b.t.Context(), auditlog.Filter{}, page.Params{Size: 1})
	require.NoError(b.t, err)
	return list.Offset.Total
}

func TestRetention(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	// The months are counted from the first, which every month has.
	first := time.Date(now.Year(), now.Month(), 1, 12, 0, 0, 0, time.UTC)

	t.Run("is for ever by default", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.write(first.AddDate(-10, 0, 0), 5)
		require.NoError(t, b.Maintain(t.Context()))
		b.intact(5)
	})

	t.Run("drops whole months and says so", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.write(first.AddDate(0, -4, 0), 4)
		b.write(first.AddDate(0, -3, 0), 3)
		b.write(first.AddDate(0, -1, 0), 2)
		b.area("a")
		keeper := auditlog.NewService(b.store, nil, now.Sub(first.AddDate(0, -2, 0)))
		require.NoError(t, keeper.Maintain(t.Context()))
		require.Equal(t, 4, b.count(rows), "two of the last month, the area, and the record of the pruning")
		require.Equal(t, 1, b.count(rows+" WHERE action = 'audit_pruned' AND entity_type = 'audit_log'"))
		report := b.intact(4)
		require.EqualValues(t, 7, report.Pruned)
		require.Equal(t, 4, b.total())
		require.True(t, report.PrunedBefore.Equal(first.AddDate(0, -2, 0).Truncate(24*time.Hour)), report.PrunedBefore)

		require.NoError(t, keeper.Maintain(t.Context()), "nothing is left to drop")
		require.Equal(t, 1, b.count("SELECT count(*) FROM audit_prunings"))
		// The next one drops the record of this one's rows, but not what came after.
		dropped, err := b.Prune(t.Context(), now)
		require.NoError(t, err)
		require.Equal(t, 1, dropped)
		report = b.intact(3)
		require.EqualValues(t, 9, report.Pruned)
		require.Equal(t, 3, b.total())

		// What goes without a record is still found.
		b.exec("ALTER TABLE audit_logs DISABLE TRIGGER ALL", "DELETE FROM audit_logs WHERE action = 'create'", "ALTER TABLE audit_logs ENABLE TRIGGER ALL")
		require.Equal(t, auditlog.RowMissing, b.verify().Faults[0].Kind)
	})

	t.Run("does not wait long for those who read", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.write(first.AddDate(-1, 0, 0), 1)
		_, err := b.MakePartitions(t.Context())
		require.NoError(t, err)
		tx, err := b.store.Pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(context.Background())) }()
		_, err = tx.Exec(t.Context(), rows)
		require.NoError(t, err)
		_, err = b.Prune(t.Context(), now)
		require.ErrorContains(t, err, "lock timeout")
		require.Equal(t, 1, b.count(rows))
	})
}

// A database from before there were chains keeps its rows, each in its month and chained.
func TestMigrationKeepsRows(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	admin, err := sql.Open("pgx", testenv.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	name := "picaspot_old_" + uuid.NewString()[:8]
	_, err = admin.ExecContext(ctx, `CREATE DATABASE "`+name+`"`)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.Background(), `DROP DATABASE "`+name+`" WITH (FORCE)`)
		require.NoError(t, err)
	})
	address, err := url.Parse(testenv.Database(t))
	require.NoError(t, err)
	address.Path = "/" + name

	db, err := sql.Open("pgx", address.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	require.NoError(t, err)
	_, err = provider.UpTo(ctx, 3)
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, `INSERT INTO audit_logs (id, created_at, actor_id, action, entity_type, entity_id, changes, user_agent)
		SELECT gen_random_uuid(), now() - n * interval '7 hours', gen_random_uuid(), 'update', 'area', gen_random_uuid(),
		  jsonb_build_object('name', jsonb_build_object('before', 'Łódź "' || n, 'after', E'a\\b\n\t')), '日本' FROM generate_series(0, 499) n`)
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, `CREATE TABLE before AS SELECT * FROM audit_logs`)
	require.NoError(t, err)

	require.NoError(t, store.Migrate(ctx, address.String()))
	s, err := store.Open(ctx, address.String(), store.Options{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	b := bundle{auditlog.NewService(s, nil, 0), s, t}
	require.Zero(t, b.count("SELECT count(*) FROM (TABLE before EXCEPT TABLE audit_logs) lost"))
	require.Zero(t, b.count("SELECT count(*) FROM audit_logs_default"))
	require.Equal(t, 500, b.count(rows))
	b.intact(500)
	b.areas(5)
	b.intact(505)
}
