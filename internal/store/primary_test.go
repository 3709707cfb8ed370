package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

// readOnly makes new connections to a database read-only, as those to a standby are.
func readOnly(t *testing.T, address string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

func TestServerThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	address := testenv.Database(t)
	readOnly(t, address)
	_, err := store.Open(t.Context(), address, store.Options{})
	require.ErrorContains(t, err, "read only")
	require.ErrorContains(t, store.Migrate(t.Context(), address), "read only")

	for name, open := range map[string]func() (*store.Store, error){
		"what only reads": func() (*store.Store, error) { return store.Open(t.Context(), address, store.Options{ReadOnly: true}) },
		"what the URL says": func() (*store.Store, error) {
			return store.Open(t.Context(), address+"&target_session_attrs=any", store.Options{})
		},
	} {
		s, err := open()
		require.NoError(t, err, name)
		t.Cleanup(s.Close)
		require.NoError(t, s.Pool.Ping(t.Context()))
		require.ErrorContains(t, s.CheckWritable(t.Context()), "takes no writes")
	}
	_, err = store.Open(t.Context(), "postgres://127.0.0.1:1/x?target_session_attrs=best", store.Options{})
	require.ErrorContains(t, err, "target_session_attrs")
}

// A connection that was good when it was opened is left once its server refuses a write.
func TestConnectionThatBecomesReadOnly(t *testing.T) {
	t.Parallel()
	s := openAt(t, testenv.Database(t))
	conn, err := s.Pool.Acquire(t.Context())
	require.NoError(t, err)
	before := conn.Conn().PgConn().PID()
	_, err = conn.Exec(t.Context(), "SET default_transaction_read_only = on")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE things (n int)")
	require.Error(t, err)
	require.True(t, conn.Conn().IsClosed())
	conn.Release()
	require.NoError(t, s.CheckWritable(t.Context()))
	conn, err = s.Pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	require.NotEqual(t, before, conn.Conn().PgConn().PID())
	_, err = conn.Exec(t.Context(), "CREATE TABLE things (n int)")
	require.NoError(t, err)
}
