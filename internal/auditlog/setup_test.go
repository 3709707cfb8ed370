package auditlog_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// bundle is the log of a database of the test's own.
type bundle struct {
	*auditlog.Service
	store *store.Store
	t     testing.TB
}

func setup(t testing.TB) bundle {
	t.Helper()
	s, err := store.Open(context.Background(), testenv.Database(t), store.Options{MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return bundle{auditlog.NewService(s, nil, 0), s, t}
}

// area makes an area, which is one row of the log.
func (b bundle) area(name string) {
	b.t.Helper()
	require.NoError(b.t, b.store.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		return createArea(ctx, tx, name)
	}))
}

func createArea(ctx context.Context, tx *store.Tx, name string) error {
	return tx.Area.Create().SetName(name).SetCreatedBy(uuid.New()).Exec(ctx)
}

// areas makes n areas, each in a transaction of its own, so that several chains have some.
func (b bundle) areas(n int) {
	b.t.Helper()
	for range n {
		b.area(uuid.NewString())
	}
}

func (b bundle) exec(statements ...string) {
	b.t.Helper()
	for _, statement := range statements {
		_, err := b.store.Pool.Exec(context.Background(), statement)
		require.NoError(b.t, err, statement)
	}
}

func (b bundle) count(query string, args ...any) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.store.Pool.QueryRow(context.Background(), query, args...).Scan(&n))
	return n
}

func (b bundle) verify(kept ...auditlog.Head) auditlog.Report {
	b.t.Helper()
	report, err := b.Verify(context.Background(), kept)
	require.NoError(b.t, err)
	require.Equal(b.t, len(report.Faults), min(report.FaultCount, 100))
	return report
}

// intact verifies a log without faults, of so many rows.
func (b bundle) intact(rows int) auditlog.Report {
	b.t.Helper()
	report := b.verify()
	require.Empty(b.t, report.Faults)
	require.EqualValues(b.t, rows, report.Rows)
	require.Len(b.t, report.Heads, 16)
	return report
}
