package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/picaspot/picaspot/internal/imports"
)

const (
	// importTimeout ends an import that takes longer. One whose worker was killed does not
	// wait for it: see [imports.Service.Maintain].
	importTimeout = 6 * time.Hour
	// importsAtOnce bounds the imports of a process. They have a queue of their own, so
	// that other jobs do not wait for them.
	importsAtOnce = 2
)

type importWorker struct {
	river.WorkerDefaults[imports.Args]
	imports *imports.Service
}

// Timeout covers the largest file.
func (*importWorker) Timeout(*river.Job[imports.Args]) time.Duration { return importTimeout }

// Work implements river.Worker.
func (w *importWorker) Work(ctx context.Context, job *river.Job[imports.Args]) error {
	return w.imports.Run(ctx, job.Args.ID, job.Attempt >= job.MaxAttempts)
}

type importsWorker struct {
	river.WorkerDefaults[imports.MaintainArgs]
	imports *imports.Service
}

// Timeout covers some thousand reports; what is left is for the next time.
func (*importsWorker) Timeout(*river.Job[imports.MaintainArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *importsWorker) Work(ctx context.Context, _ *river.Job[imports.MaintainArgs]) error {
	return w.imports.Maintain(ctx)
}
