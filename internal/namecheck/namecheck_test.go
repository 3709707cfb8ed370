package namecheck_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/ent/migrate/migrations"
	"github.com/picaspot/picaspot/internal/namecheck"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

// The databases of these tests are empty: what is tested is what becomes of names from
// before the rule.
func TestMain(m *testing.M) { testenv.Main(m) }

// before is a database as it was before names had a rule.
func before(t *testing.T) (url string, pool *pgxpool.Pool) {
	t.Helper()
	url = testenv.Database(t)
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	require.NoError(t, err)
	_, err = provider.UpTo(t.Context(), 29)
	require.NoError(t, err)
	pool, err = pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return url, pool
}

func insertArea(t *testing.T, pool *pgxpool.Pool, name string, parent *uuid.UUID) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `INSERT INTO areas (id, created_at, updated_at, name, parent_area_id, created_by)
VALUES ($1, clock_timestamp(), now(), $2, $3, gen_random_uuid())`, id, name, parent)
	require.NoError(t, err)
	return id
}

func TestNamesFromBeforeTheRule(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url, pool := before(t)
	oldest := insertArea(t, pool, "Łódź", nil)
	second := insertArea(t, pool, "Lodz", nil)
	third := insertArea(t, pool, "LODZ", nil)
	child := insertArea(t, pool, "Café", &oldest)
	decomposed := insertArea(t, pool, "Cafe\u0301", &oldest)
	insertArea(t, pool, "Café", &second)
	overridden := insertArea(t, pool, "a\u202eb", nil)
	blank := insertArea(t, pool, "\u200b", nil)
	blankToo := insertArea(t, pool, "\u3164", nil)
	landmark := uuid.New()
	_, err := pool.Exec(ctx, `INSERT INTO landmarks (id, created_at, updated_at, name, area_id, location, created_by)
VALUES ($1, now(), now(), '★Stella' || U&'\200B', $2, 'SRID=4326;POINT(8 54)', gen_random_uuid())`, landmark, oldest)
	require.NoError(t, err)
	words := func() (words []string) {
		require.NoError(t, pool.QueryRow(ctx, "SELECT array_agg(word ORDER BY word) FROM search_vocabulary WHERE word LIKE '%stella%'").Scan(&words))
		return words
	}
	require.Equal(t, []string{"★stella"}, words())

	require.NoError(t, store.Migrate(ctx, url))
	require.NoError(t, store.Migrate(ctx, url))

	type row struct {
		with            uuid.UUID
		becomes, reason string
	}
	found := map[string]row{}
	err = namecheck.Find(ctx, pool, func(f namecheck.Finding) error {
		r := row{becomes: f.Becomes, reason: f.Reason}
		key := f.Kind + " " + f.ID.String()
		if f.ClashesWith != nil {
			r.with, key = *f.ClashesWith, "clash "+f.ID.String()
		}
		found[key] = r
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, map[string]row{
		"clash " + second.String():      {with: oldest},
		"clash " + third.String():       {with: oldest},
		"clash " + decomposed.String():  {with: child},
		"clash " + blankToo.String():    {with: blank},
		"area " + decomposed.String():   {becomes: "Café"},
		"area " + overridden.String():   {reason: "U+202E, character 2, changes the direction of the text."},
		"area " + blank.String():        {reason: "A name has at least one visible character."},
		"area " + blankToo.String():     {reason: "A name has at least one visible character."},
		"landmark " + landmark.String(): {becomes: "★Stella"},
	}, found)
	require.Equal(t, []string{"stella", "★stella"}, words(), "the old word goes with the next clean-up")

	// What clashes stays; nothing joins it, and it does not come back once it was renamed.
	_, err = pool.Exec(ctx, `INSERT INTO areas (id, created_at, updated_at, name, created_by) VALUES (gen_random_uuid(), now(), now(), 'ŁODZ', gen_random_uuid())`)
	require.ErrorContains(t, err, "area_root_name")
	_, err = pool.Exec(ctx, "UPDATE areas SET description = 'Still here.' WHERE id = $1", third)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, "UPDATE areas SET name_clashes = false WHERE id = $1", third)
	require.ErrorContains(t, err, "area_root_name")
}
