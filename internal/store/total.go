package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// totalSQL adds up the few rows of a table's counters; row_totals_key serves it.
const totalSQL = `-- name: store_total
SELECT coalesce(sum(n), 0)::bigint FROM row_totals WHERE table_name = $1 AND key @> $2`

// Total returns how many rows of a table have these values, without reading them. The
// table and the columns are ones that the migrations began to count, with keep_total:
// of the living rows, where rows are deleted softly. It is exact, as of what has been
// committed.
func (s *Store) Total(ctx context.Context, table string, having map[string]any) (int, error) {
	if having == nil {
		having = map[string]any{}
	}
	key, err := json.Marshal(having)
	if err != nil {
		return 0, fmt.Errorf("total of %s: %w", table, err)
	}
	var n int
	if err := s.Pool.QueryRow(ctx, totalSQL, table, string(key)).Scan(&n); err != nil {
		return 0, fmt.Errorf("total of %s: %w", table, err)
	}
	return n, nil
}
