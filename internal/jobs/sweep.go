package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/picaspot/picaspot/internal/sweep"
)

// sweepTimeout covers ten million files in a store that is slow.
const sweepTimeout = 2 * time.Hour

type sweepWorker struct {
	river.WorkerDefaults[sweep.Args]
	sweep *sweep.Service
}

// Timeout covers ten million files; what was removed by then stays removed.
func (*sweepWorker) Timeout(*river.Job[sweep.Args]) time.Duration { return sweepTimeout }

// Work implements river.Worker. What only an operator can decide is not tried again.
func (w *sweepWorker) Work(ctx context.Context, _ *river.Job[sweep.Args]) error {
	err := w.sweep.Sweep(ctx)
	if errors.Is(err, sweep.ErrShared) || errors.Is(err, sweep.ErrTooLarge) {
		return river.JobCancel(err)
	}
	return err
}
