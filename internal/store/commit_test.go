package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/store"
)

// Who has made a file for a change has to know whether the change may be there.
func TestACommitThatFailsIsTold(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"refused":             "RAISE EXCEPTION 'no'",
		"the connection lost": "PERFORM pg_terminate_backend(pg_backend_pid())",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			for _, ddl := range []string{
				"CREATE TABLE things (n int)",
				"CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " + statement + "; RETURN NULL; END $$",
				"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()",
			} {
				_, err := s.Pool.Exec(t.Context(), ddl)
				require.NoError(t, err)
			}
			insert := func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.ExecContext(ctx, "INSERT INTO things VALUES (1)")
				return err
			}
			require.ErrorIs(t, s.InTx(t.Context(), insert), store.ErrCommit)
			no := errors.New("no")
			err := s.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				return errors.Join(insert(ctx, tx), no)
			})
			require.ErrorIs(t, err, no)
			require.NotErrorIs(t, err, store.ErrCommit, "it never came to that")
		})
	}
}
