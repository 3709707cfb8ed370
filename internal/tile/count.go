package tile

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// CountArgs is the job that adds to the counts what is not counted yet.
type CountArgs struct{}

// Kind implements river.JobArgs.
func (CountArgs) Kind() string { return "map_count" }

const (
	// countLock is the advisory lock of whoever counts.
	countLock = 0x7069636100000004
	// countBatch is how many changes one transaction counts.
	countBatch = 50_000
	// sweepFrom is how many changes that were counted, as those of an import, leave so
	// much behind that readers should not wait for autovacuum.
	sweepFrom = 10_000
)

// Count adds to the counts what is not counted yet, in batches. Tiles show the same
// before and after it, and while it runs; it keeps them cheap. When another process is
// at it already, it leaves the work to that one.
func (s *Service) Count(ctx context.Context) error {
	all, counted := 0, countBatch
	for counted == countBatch {
		var err error
		if counted, err = s.countOnce(ctx); err != nil {
			return fmt.Errorf("count landmarks: %w", err)
		}
		all += counted
	}
	if all < sweepFrom {
		return nil
	}
	// Who does not own the table gets a warning, and leaves it to autovacuum.
	if _, err := s.store.Pool.Exec(ctx, "VACUUM landmark_cell_changes"); err != nil {
		return fmt.Errorf("count landmarks: sweep: %w", err)
	}
	return nil
}

func (s *Service) countOnce(ctx context.Context) (counted int, err error) {
	err = pgx.BeginFunc(ctx, s.store.Pool, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, "-- name: tile_count_lock\nSELECT pg_try_advisory_xact_lock($1)", int64(countLock)).Scan(&mine); err != nil || !mine {
			return err
		}
		var levels []int16
		var cells []int64
		if err := tx.QueryRow(ctx, addUp, countBatch).Scan(&counted, &levels, &cells); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `-- name: tile_count_tidy
DELETE FROM landmark_cells USING unnest($1::smallint[], $2::bigint[]) AS gone(level, cell)
WHERE landmark_cells.level = gone.level AND landmark_cells.cell = gone.cell`, levels, cells)
		return err
	})
	return counted, err
}

// addUp counts at most $1 changes, and returns how many there were and the cells that
// nothing is left in.
const addUp = `-- name: tile_count
WITH taken AS (
  DELETE FROM landmark_cell_changes WHERE ctid = ANY(ARRAY(SELECT ctid FROM landmark_cell_changes LIMIT $1))
  RETURNING cell, n, x, y
), counted AS (
  INSERT INTO landmark_cells AS c (level, cell, n, x, y)
  SELECT level, cell >> (2 * (16 - level)), sum(n), sum(x), sum(y)
  FROM taken, unnest('{4,7,10,13,16}'::smallint[]) AS level
  GROUP BY 1, 2
  ON CONFLICT (level, cell) DO UPDATE SET n = c.n + excluded.n, x = c.x + excluded.x, y = c.y + excluded.y
  RETURNING level, cell, n, x, y
)
SELECT (SELECT count(*) FROM taken), array_agg(level), array_agg(cell)
FROM counted WHERE n = 0 AND x = 0 AND y = 0`
