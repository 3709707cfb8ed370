package store

import (
	"context"
	"fmt"
)

// policyLock is the advisory lock of [Tx.LockPolicy].
const policyLock = 0x7069636100000003

// LockPolicy waits for the policy lock and holds it until the transaction ends. One
// transaction at a time changes the policy, or which account has which role: the policy
// must keep each role that an account has, and an account must be left that may change
// the policy. What was read before the lock may be out of date; what the transaction
// reads after it is what the last holder committed, since each statement sees what was
// committed before it (READ COMMITTED).
func (t *Tx) LockPolicy(ctx context.Context) error {
	if _, err := t.ExecContext(ctx, "-- name: store_lock_policy\nSELECT pg_advisory_xact_lock($1)", int64(policyLock)); err != nil {
		return fmt.Errorf("lock the policy: %w", err)
	}
	return nil
}
