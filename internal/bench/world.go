// Package bench measures what the complete chain of a request costs, beside a
// handler that is written by hand for the same query and the same JSON.
package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/picaspot/picaspot/internal/geo"
)

// cities is how many clusters as many landmarks lie in: of a few thousand at least, so
// that their middle is as dense in a small world as in a large one.
func cities(rows int) int { return max(1, min(rows/3333, 300)) }

// generate fills the world: landmarks cluster around cities whose sizes follow
// a power law, and which grow in width as they grow in size, so that some 300
// lie within a kilometre of each centre, whatever the number of rows is.
const (
	citiesSQL = `CREATE TEMP TABLE bench_cities AS
SELECT i, -55 + random() * 120 AS latitude, -180 + random() * 360 AS longitude,
  greatest(1, ($1::float8 * power(i, -0.6) / (SELECT sum(power(j, -0.6)) FROM generate_series(1, $2::int) j)))::int AS size
FROM generate_series(1, $2::int) i`
	areasSQL = `INSERT INTO areas (id, created_at, updated_at, name, description, created_by, is_verified)
SELECT gen_random_uuid(), now() - i * interval '1 second', now(), 'bench area ' || i, '', $1, true FROM generate_series(1, $2::int) i`
	numberedSQL  = `CREATE TEMP TABLE bench_areas AS SELECT id, (row_number() OVER ())::int AS n FROM areas WHERE name LIKE 'bench area %'`
	landmarksSQL = `WITH places AS (
  SELECT c.i, g, c.latitude, c.longitude, 2.3 * sqrt(c.size / 3333.0) * sqrt(-2 * ln(1 - random())) AS km, 2 * pi() * random() AS bearing
  FROM bench_cities c, generate_series(1, c.size) g WHERE c.i % $3 = $4)
INSERT INTO landmarks (id, created_at, updated_at, area_id, name, description, hint, difficulty, location,
  unlock_radius_meters, photo_radius_meters, created_by, is_verified)
SELECT gen_random_uuid(), now() - p.g * interval '1 second', now(), a.id,
  (ARRAY['Lighthouse','Harbour','Old Bridge','Cathedral','Market Hall','Fountain','City Gate','Mill'])[1 + p.g % 8] || ' of city ' || p.i || ', number ' || p.g,
  'Something to see, with a story that takes a line to tell.', 'Look up.', 1 + p.g % 5,
  ST_SetSRID(ST_MakePoint(p.longitude + km * sin(bearing) / (111.32 * cos(radians(p.latitude))), p.latitude + km * cos(bearing) / 111.32), 4326)::geography,
  100, 50, $1, true
FROM places p JOIN bench_areas a ON a.n = 1 + (p.i * 97 + p.g / 50) % $2`
	unlocksSQL = `INSERT INTO unlocks (id, created_at, updated_at, user_id, landmark_id)
SELECT gen_random_uuid(), now(), now(), $1, id FROM landmarks TABLESAMPLE SYSTEM ($2::float8) LIMIT $3`
)

const (
	// batch is about how many landmarks one statement makes.
	batch = 1_000_000
	// unlocked is about how many landmarks the explorer has unlocked.
	unlocked = 5000
)

// areas is how many areas there are for as many landmarks.
func areas(rows int) int { return max(100, rows/50) }

// Generate fills a migrated database with as many landmarks, in areas of a
// creator, some of them unlocked by an explorer. The same number makes the same world.
func Generate(ctx context.Context, pool *pgxpool.Pool, rows int, creator, explorer uuid.UUID) (err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	defer conn.Release()
	exec := func(what, statement string, args ...any) {
		if err != nil {
			return
		}
		if _, failed := conn.Exec(ctx, statement, args...); failed != nil {
			err = fmt.Errorf("generate, %s: %w", what, failed)
		}
	}
	exec("settings", "SET statement_timeout = 0; SET maintenance_work_mem = '512MB'; SET synchronous_commit = off; SELECT setseed(0.42)")
	exec("cities", citiesSQL, float64(rows), cities(rows))
	exec("areas", areasSQL, creator, areas(rows))
	exec("areas", numberedSQL)
	indexes, failed := secondaryIndexes(ctx, conn)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	// An index is made faster than it is kept up.
	for name := range indexes {
		exec(name, "DROP INDEX "+name)
	}
	batches := max(1, rows/batch)
	for i := range batches {
		exec("landmarks", landmarksSQL, creator, areas(rows), batches, i)
	}
	for name, definition := range indexes {
		exec(name, definition)
	}
	exec("unlocks", unlocksSQL, explorer, min(100, 200*unlocked/float64(rows)), unlocked)
	// What workers would have done meanwhile.
	exec("counts", "SELECT recount_landmarks()")
	exec("statistics", "VACUUM ANALYZE")
	exec("settings", "RESET ALL")
	return err
}

// secondaryIndexes are those of the landmarks that no constraint needs, with the
// statements that make them.
func secondaryIndexes(ctx context.Context, conn *pgxpool.Conn) (map[string]string, error) {
	rows, err := conn.Query(ctx, `SELECT indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public' AND tablename = 'landmarks' AND indexname <> 'landmarks_pkey'`)
	if err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	indexes := map[string]string{}
	var name, definition string
	_, err = pgx.ForEachRow(rows, []any{&name, &definition}, func() error {
		indexes[name] = definition
		return nil
	})
	return indexes, err
}

// generated are the landmarks of a world without those that somebody has created since,
// whose ids are not random.
const generated = `hint = 'Look up.'`

// Spots are points where landmarks are, at random since their ids are.
func Spots(ctx context.Context, pool *pgxpool.Pool, n int) ([]geo.Point, error) {
	rows, err := pool.Query(ctx, `SELECT ST_Y(location::geometry), ST_X(location::geometry) FROM landmarks
WHERE `+generated+` ORDER BY id LIMIT $1`, n)
	if err != nil {
		return nil, fmt.Errorf("spots: %w", err)
	}
	defer rows.Close()
	var spots []geo.Point
	for rows.Next() {
		var at geo.Point
		if err := rows.Scan(&at.Latitude, &at.Longitude); err != nil {
			return nil, fmt.Errorf("spots: %w", err)
		}
		spots = append(spots, at)
	}
	return spots, rows.Err()
}

// IDs are those of some landmarks.
func IDs(ctx context.Context, pool *pgxpool.Pool, n int) ([]uuid.UUID, error) {
	rows, err := pool.Query(ctx, "SELECT id FROM landmarks WHERE "+generated+" ORDER BY id LIMIT $1", n)
	if err != nil {
		return nil, fmt.Errorf("ids: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}
