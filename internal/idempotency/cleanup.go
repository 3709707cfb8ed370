package idempotency

import (
	"context"
	"fmt"
	"strconv"
)

// cleanUpBatch bounds how many keys one transaction removes.
const cleanUpBatch = 1000

// CleanUpArgs are the periodic job that removes keys that have expired.
type CleanUpArgs struct{}

// Kind names the job.
func (CleanUpArgs) Kind() string { return "idempotency_clean_up" }

// cleanUpSQL passes over keys that are just being claimed anew. The limit is no
// parameter, so that the planner knows how few rows it is about. Served by
// idempotency_key_expires_at.
var cleanUpSQL = `-- name: idempotency_clean_up
DELETE FROM idempotency_keys WHERE (user_id, key_hash) IN (
  SELECT user_id, key_hash FROM idempotency_keys WHERE expires_at <= now()
  ORDER BY expires_at LIMIT ` + strconv.Itoa(cleanUpBatch) + ` FOR UPDATE SKIP LOCKED
)`

// CleanUp removes the keys that have expired.
func (s *Service) CleanUp(ctx context.Context) error {
	for {
		removed, err := s.store.Pool.Exec(ctx, cleanUpSQL)
		if err != nil {
			return fmt.Errorf("clean up idempotency keys: %w", err)
		}
		if removed.RowsAffected() < cleanUpBatch {
			return nil
		}
	}
}
