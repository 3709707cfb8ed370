package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

func TestCheckMigratedNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	url := testenv.Database(t)
	s, err := store.Open(t.Context(), url, store.Options{})
	require.NoError(t, err)
	defer s.Close()
	exec := func(statement string) {
		_, err := s.Pool.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	require.NoError(t, s.CheckMigrated(t.Context()))
	exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	require.NoError(t, s.CheckMigrated(t.Context()), "a database that is ahead is fine")

	exec("DELETE FROM river_migration WHERE version = (SELECT max(version) FROM river_migration)")
	err = s.CheckMigrated(t.Context())
	require.ErrorContains(t, err, "of River")
	require.ErrorContains(t, err, "picaspot migrate")

	exec("DELETE FROM goose_db_version WHERE version_id = 14")
	err = s.CheckMigrated(t.Context())
	require.ErrorContains(t, err, "the migration 00014_search_sample.sql and 1 more")

	exec("DROP TABLE goose_db_version, river_migration")
	err = s.CheckMigrated(t.Context())
	require.ErrorContains(t, err, "the migration 00001_")
	require.ErrorContains(t, err, "--skip-migrations")
}
