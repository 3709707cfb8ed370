package imports

import (
	"context"
	"fmt"
	"time"

	"github.com/picaspot/picaspot/ent"
	entrun "github.com/picaspot/picaspot/ent/importrun"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
)

const (
	// deadAfter is how long the worker of an import may say nothing before it counts as
	// killed.
	deadAfter = time.Minute
	// forgottenAfter is how long an import may wait before its job is enqueued once more.
	forgottenAfter = 10 * time.Minute
	// maintained bounds how many imports one transaction looks after.
	maintained = 500
)

// MaintainArgs are the periodic job that goes on with imports whose worker was killed, and
// removes old reports.
type MaintainArgs struct{}

// Kind names the job.
func (MaintainArgs) Kind() string { return "import_maintenance" }

// Maintain is the work of a [MaintainArgs] job.
func (s *Service) Maintain(ctx context.Context) error {
	if err := s.resume(ctx); err != nil {
		return err
	}
	for {
		n, err := s.removeReports(ctx)
		if err != nil || n < maintained {
			return err
		}
	}
}

func (s *Service) resume(ctx context.Context) error {
	now := time.Now()
	return s.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// Served by importrun_active, which has those that have not ended.
		runs, err := tx.ImportRun.Query().Where(
			entrun.FinishedAtIsNil(),
			entrun.Or(
				entrun.And(entrun.StatusEQ(entrun.StatusRunning), entrun.UpdatedAtLT(now.Add(-deadAfter))),
				entrun.UpdatedAtLT(now.Add(-forgottenAfter)),
			),
		).Limit(maintained).ForUpdate().All(ctx)
		if err != nil {
			return fmt.Errorf("find imports without a worker: %w", err)
		}
		for _, run := range runs {
			if err := tx.ImportRun.UpdateOne(run).SetStatus(entrun.StatusPending).ClearClaim().Exec(ctx); err != nil {
				return fmt.Errorf("go on with an import: %w", err)
			}
			if err := tx.Enqueue(ctx, Args{ID: run.ID}, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// removeReports removes reports that are older than the retention. Served by
// importrun_finished_at.
func (s *Service) removeReports(ctx context.Context) (n int, err error) {
	err = s.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		runs, err := tx.ImportRun.Query().Where(
			entrun.ReportNotNil(), entrun.FinishedAtLT(time.Now().Add(-s.config.Retention)),
		).Order(ent.Asc(entrun.FieldFinishedAt)).Limit(maintained).ForUpdate().All(ctx)
		if err != nil {
			return fmt.Errorf("find old reports: %w", err)
		}
		if n = len(runs); n == 0 {
			return nil
		}
		var removal storage.RemovalArgs
		for _, run := range runs {
			removal.Keys = append(removal.Keys, run.Report.Key)
			if err := tx.ImportRun.UpdateOne(run).ClearReport().Exec(ctx); err != nil {
				return fmt.Errorf("forget an old report: %w", err)
			}
		}
		return tx.Enqueue(ctx, removal, nil)
	})
	return n, err
}
