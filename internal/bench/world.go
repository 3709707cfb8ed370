// Package bench measures what the complete chain of a request costs, beside a
// handler that is written by hand for the same query and the same JSON.
package bench

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/picaspot/picaspot/internal/geo"
)

// cities is how many clusters the landmarks lie in.
const cities = 300

// generate fills the world: landmarks cluster around cities whose sizes follow
// a power law, and which grow in width as they grow in size, so that some 300
// lie within a kilometre of each centre, whatever the number of rows is.
var generate = []string{
	"SELECT setseed(0.42)",
	`CREATE TEMP TABLE bench_cities AS
SELECT i, -55 + random() * 120 AS latitude, -180 + random() * 360 AS longitude,
  greatest(1, ($1::float8 * power(i, -0.6) / (SELECT sum(power(j, -0.6)) FROM generate_series(1, $2::int) j)))::int AS size
FROM generate_series(1, $2::int) i`,
	`INSERT INTO areas (id, created_at, updated_at, name, description, created_by, is_verified)
SELECT gen_random_uuid(), now(), now(), 'bench area ' || i, '', $1, true FROM generate_series(1, $2::int) i`,
	"DROP INDEX landmark_location",
	`WITH numbered AS (SELECT id, row_number() OVER () AS n FROM areas WHERE name LIKE 'bench area %'),
places AS (
  SELECT c.i, g, c.latitude, c.longitude, 2.3 * sqrt(c.size / 3333.0) * sqrt(-2 * ln(1 - random())) AS km, 2 * pi() * random() AS bearing
  FROM bench_cities c, generate_series(1, c.size) g)
INSERT INTO landmarks (id, created_at, updated_at, area_id, name, description, hint, difficulty, location,
  unlock_radius_meters, photo_radius_meters, created_by, is_verified)
SELECT gen_random_uuid(), now(), now(), a.id, 'Landmark ' || p.i || '-' || p.g, 'Something to see, with a story that takes a line to tell.',
  'Look up.', 1 + p.g % 5,
  ST_SetSRID(ST_MakePoint(p.longitude + km * sin(bearing) / (111.32 * cos(radians(p.latitude))), p.latitude + km * cos(bearing) / 111.32), 4326)::geography,
  100, 50, $1, true
FROM places p JOIN numbered a ON a.n = 1 + (p.i * 97 + p.g / 50) % $2`,
	"CREATE INDEX landmark_location ON landmarks USING gist (location) WHERE deleted_at IS NULL",
	`INSERT INTO unlocks (id, created_at, updated_at, user_id, landmark_id)
SELECT gen_random_uuid(), now(), now(), $1, id FROM landmarks TABLESAMPLE SYSTEM (2)`,
}

// areas is how many areas there are for as many landmarks.
func areas(rows int) int { return max(100, rows/50) }

// Generate fills a migrated database with as many landmarks, in areas of a
// creator, some of them unlocked by an explorer.
func Generate(ctx context.Context, pool *pgxpool.Pool, rows int, creator, explorer uuid.UUID) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	defer conn.Release()
	arguments := [][]any{{}, {float64(rows), cities}, {creator, areas(rows)}, {}, {creator, areas(rows)}, {}, {explorer}}
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0"); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	for i, statement := range generate {
		if _, err := conn.Exec(ctx, statement, arguments[i]...); err != nil {
			return fmt.Errorf("generate, step %d: %w", i+1, err)
		}
	}
	if _, err := conn.Exec(ctx, "VACUUM ANALYZE landmarks, areas, unlocks"); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	return nil
}

// Spots are points in the middle of cities, where people walk.
func Spots(ctx context.Context, pool *pgxpool.Pool, n int) ([]geo.Point, error) {
	rows, err := pool.Query(ctx, `SELECT ST_Y(location::geometry), ST_X(location::geometry) FROM landmarks
WHERE name LIKE 'Landmark %' ORDER BY md5(name) LIMIT $1`, n)
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
