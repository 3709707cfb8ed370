package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

// TestErrCommit says when the outcome of a commit is unknown. A change that may be
// there keeps what it refers to, and tells others to look again.
func TestErrCommit(t *testing.T) {
	t.Parallel()
	insert := func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO things VALUES (1)")
		return err
	}
	exec := func(t *testing.T, s *store.Store, statements ...string) {
		t.Helper()
		for _, statement := range statements {
			_, err := s.Pool.Exec(t.Context(), statement)
			require.NoError(t, err)
		}
	}
	for name, test := range map[string]struct {
		// late is what the server does when it is told to commit.
		late string
		// cut loses the answer of a commit that is carried out.
		cut             bool
		unknown, stored bool
	}{
		"refused":                        {late: "RAISE EXCEPTION 'no'"},
		"the connection ends before it":  {late: "PERFORM pg_terminate_backend(pg_backend_pid())", unknown: true},
		"its answer is lost on the way":  {late: "NULL", cut: true, unknown: true, stored: true},
		"it is carried out and answered": {late: "NULL", stored: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			through, cutter := testenv.NewCutter(t, testenv.Database(t))
			s, err := store.Open(t.Context(), through, store.Options{})
			require.NoError(t, err)
			t.Cleanup(s.Close)
			exec(t, s, "CREATE TABLE things (n int)",
				"CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "+test.late+"; RETURN NULL; END $$",
				"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()")
			if test.cut {
				cutter.CutNext()
			}
			told := 0
			err = s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				tx.AfterCommit(func(context.Context) { told++ })
				return insert(ctx, tx)
			})
			require.Equal(t, test.unknown, errors.Is(err, store.ErrCommit), "%v", err)
			if test.unknown {
				require.Equal(t, fault.Unavailable, fault.KindOf(store.Classify(err)))
			} else {
				require.Equal(t, test.stored, err == nil, "%v", err)
			}
			stored := 0
			require.NoError(t, s.Pool.QueryRow(t.Context(), "SELECT count(*) FROM things").Scan(&stored))
			require.Equal(t, test.stored, stored == 1)
			if test.stored || test.unknown {
				require.Equal(t, 1, told, "what may be there is told to others")
			} else {
				require.Zero(t, told)
			}

			no := errors.New("no")
			err = s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				return errors.Join(insert(ctx, tx), no)
			})
			require.ErrorIs(t, err, no)
			require.NotErrorIs(t, err, store.ErrCommit, "it was never told to commit")
		})
	}
}
