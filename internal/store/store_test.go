package store_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Main(m, testenv.WithMigrator(testenv.Migrator{Fingerprint: store.Fingerprint(), Up: store.Migrate}))
}

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t), store.Options{MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestMigrationsAgreeWithTheSchema(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("pgx", testenv.Database(t))
	require.NoError(t, err)
	defer db.Close()
	statements, err := store.Drift(t.Context(), db)
	require.NoError(t, err)
	require.Empty(t, statements, "run: make migration NAME=what_changed")
}

func TestDriftShowsADifference(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("pgx", testenv.Database(t))
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "ALTER TABLE areas DROP COLUMN description")
	require.NoError(t, err)
	statements, err := store.Drift(t.Context(), db)
	require.NoError(t, err)
	require.Contains(t, statements, "description")
}

func TestMigrateTwiceAndAtOnce(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { errs[i] = store.Migrate(context.Background(), url) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func createArea(ctx context.Context, tx *store.Tx, name string) error {
	return tx.Area.Create().SetName(name).SetCreatedBy(uuid.New()).Exec(ctx)
}

type jobArgs struct{}

func (jobArgs) Kind() string { return "test_job" }

func TestInTx(t *testing.T) {
	t.Parallel()
	count := func(t *testing.T, s *store.Store) (areas, jobs, audits int) {
		t.Helper()
		err := s.Pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM areas), (SELECT count(*) FROM river_job),
			(SELECT count(*) FROM audit_logs)`).Scan(&areas, &jobs, &audits)
		require.NoError(t, err)
		return areas, jobs, audits
	}

	t.Run("commits rows, job and audit log together", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		after := 0
		require.NoError(t, s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			tx.AfterCommit(func(context.Context) { after++ })
			if err := createArea(ctx, tx, "a"); err != nil {
				return err
			}
			return tx.Enqueue(ctx, jobArgs{}, nil)
		}))
		areas, jobs, audits := count(t, s)
		require.Equal(t, []int{1, 1, 1, 1}, []int{areas, jobs, audits, after})
	})

	t.Run("leaves nothing when it fails", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		failure := errors.New("no")
		err := s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			tx.AfterCommit(func(context.Context) { t.Error("it did not commit") })
			require.NoError(t, createArea(ctx, tx, "a"))
			require.NoError(t, tx.Enqueue(ctx, jobArgs{}, nil))
			return failure
		})
		require.ErrorIs(t, err, failure)
		areas, jobs, audits := count(t, s)
		require.Equal(t, []int{0, 0, 0}, []int{areas, jobs, audits})
	})

	t.Run("leaves nothing when it panics", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		require.Panics(t, func() {
			_ = s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				require.NoError(t, createArea(ctx, tx, "a"))
				panic("no")
			})
		})
		areas, _, _ := count(t, s)
		require.Zero(t, areas)
		require.Zero(t, s.Pool.Stat().AcquiredConns())
	})

	t.Run("runs again when it lost a deadlock", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		tries := 0
		require.NoError(t, s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			tries++
			if tries == 1 {
				return &pgconn.PgError{Code: "40P01"}
			}
			return createArea(ctx, tx, "a")
		}))
		require.Equal(t, 2, tries)
	})

	t.Run("gives up after three times", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		tries := 0
		err := s.InTx(t.Context(), func(context.Context, *store.Tx) error {
			tries++
			return &pgconn.PgError{Code: "40001"}
		})
		require.Error(t, err)
		require.Equal(t, 3, tries)
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s := open(t)
	err := s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, createArea(ctx, tx, "a"))
		return createArea(ctx, tx, "a")
	})
	require.True(t, store.IsUnique(err, "area_root_name"))
	require.False(t, store.IsUnique(err, "area_parent_name"))
	require.False(t, store.IsForeignKey(err, "areas_areas_children"))
	require.True(t, store.IsNotFound(pgx.ErrNoRows))

	err = s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.Area.Create().SetName("b").SetCreatedBy(uuid.New()).SetParentAreaID(uuid.New()).Exec(ctx)
	})
	require.True(t, store.IsForeignKey(err, "areas_areas_children"))
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want fault.Kind
	}{
		"a fault stays":                {fault.New(fault.Conflict, "x", "y"), fault.Conflict},
		"a bug stays":                  {errors.New("bug"), fault.Internal},
		"a constraint stays":           {&pgconn.PgError{Code: "23505"}, fault.Internal},
		"a timeout is unavailable":     {&pgconn.PgError{Code: "57014"}, fault.Unavailable},
		"a shutdown is unavailable":    {&pgconn.PgError{Code: "57P01"}, fault.Unavailable},
		"too many connections too":     {&pgconn.PgError{Code: "53300"}, fault.Unavailable},
		"a lost deadlock too":          {&pgconn.PgError{Code: "40P01"}, fault.Unavailable},
		"a standby too":                {&pgconn.PgError{Code: "25006"}, fault.Unavailable},
		"a disk that fails too":        {&pgconn.PgError{Code: "58030"}, fault.Unavailable},
		"no connection too":            {&pgconn.ConnectError{}, fault.Unavailable},
		"an exceeded deadline as well": {context.DeadlineExceeded, fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, fault.KindOf(store.Classify(test.err)))
		})
	}
	require.NoError(t, store.Classify(nil))
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := store.Open(ctx, "postgres://localhost:port/x", store.Options{})
	require.ErrorContains(t, err, "database URL")
	_, err = store.Open(ctx, "postgres://127.0.0.1:1/x", store.Options{})
	require.ErrorContains(t, err, "connect to the database")
	require.Error(t, store.Migrate(ctx, "postgres://127.0.0.1:1/x"))
	require.Error(t, store.Migrate(ctx, "postgres://localhost:port/x"))
}
