package auditlog

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// monthsAhead is for how many months after the present one partitions are made.
	monthsAhead = 3
	// lockTimeout bounds how long a change of partitions waits for those who use the
	// table: others queue behind it meanwhile. The job is simply run again.
	lockTimeout = "1s"
)

// MaintainArgs are the periodic job that makes partitions ahead and drops old ones.
type MaintainArgs struct{}

// Kind names the job.
func (MaintainArgs) Kind() string { return "audit_partitions" }

// Maintain makes the partitions of the months to come, and drops those that are
// older than the retention.
func (s *Service) Maintain(ctx context.Context) error {
	if _, err := s.MakePartitions(ctx); err != nil {
		return err
	}
	if s.retention == 0 {
		return nil
	}
	dropped, err := s.Prune(ctx, time.Now().Add(-s.retention))
	if err == nil && dropped > 0 {
		slog.InfoContext(ctx, "audit log pruned", "months", dropped, "retention", s.retention)
	}
	return err
}

// MakePartitions makes the missing partitions of this month and the ones ahead, and
// of months whose rows had to go to the default partition. It returns how many.
func (s *Service) MakePartitions(ctx context.Context) (made int, err error) {
	if made, err = s.changeMonths(ctx, "-- name: auditlog_make_partitions\nSELECT audit_make_partitions($1)", monthsAhead); err != nil {
		return 0, fmt.Errorf("make partitions of the audit log: %w", err)
	}
	return made, nil
}

// Prune drops the months that had ended at a time, puts that on record, and returns
// how many there were.
func (s *Service) Prune(ctx context.Context, until time.Time) (dropped int, err error) {
	if dropped, err = s.changeMonths(ctx, "-- name: auditlog_prune\nSELECT audit_prune($1)", until); err != nil {
		return 0, fmt.Errorf("prune the audit log: %w", err)
	}
	return dropped, nil
}

func (s *Service) changeMonths(ctx context.Context, call string, arg any) (n int, err error) {
	err = pgx.BeginFunc(ctx, s.store.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "-- name: auditlog_set_lock_timeout\nSELECT set_config('lock_timeout', $1, true)", lockTimeout); err != nil {
			return err
		}
		return tx.QueryRow(ctx, call, arg).Scan(&n)
	})
	return n, err
}
