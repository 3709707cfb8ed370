package store_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

// It is not parallel, as it replaces the process's logger.
func TestMigrateWarnsOfALocaleWithoutLetters(t *testing.T) {
	address, err := url.Parse(testenv.Database(t))
	require.NoError(t, err)
	name := address.Path[1:] + "_locale"
	conn, err := pgx.Connect(t.Context(), address.String())
	require.NoError(t, err)
	defer conn.Close(t.Context())
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)

	for locale, warned := range map[string]bool{
		"ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'":    false,
		"ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'":          true,
		"ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'POSIX'": true,
	} {
		_, err = conn.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE template0 "+locale)
		require.NoError(t, err)
		log.Reset()
		address.Path = "/" + name
		require.NoError(t, store.Migrate(t.Context(), address.String()), locale)
		if warned {
			require.Contains(t, log.String(), "the database's locale does not know letters", locale)
		} else {
			require.NotContains(t, log.String(), "locale", locale)
		}
		_, err = conn.Exec(t.Context(), "DROP DATABASE "+name+" WITH (FORCE)")
		require.NoError(t, err)
	}
}
