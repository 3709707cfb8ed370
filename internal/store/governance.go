package store

import (
	"context"
	"fmt"
)

// governanceLock is the advisory lock of [Tx.LockGovernance].
const governanceLock = 0x7069636100000003

// LockGovernance lets one transaction at a time change the policy, or who has which
// role: each has to count on what the other leaves, so that a role that somebody has
// stays, and somebody who may change the policy.
func (t *Tx) LockGovernance(ctx context.Context) error {
	if _, err := t.ExecContext(ctx, "-- name: store_lock_governance\nSELECT pg_advisory_xact_lock($1)", int64(governanceLock)); err != nil {
		return fmt.Errorf("lock the policy and its roles: %w", err)
	}
	return nil
}
