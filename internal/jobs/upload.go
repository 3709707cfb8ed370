package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/picaspot/picaspot/internal/upload"
)

type uploadsWorker struct {
	river.WorkerDefaults[upload.CleanUpArgs]
	uploads *upload.Service
}

// Timeout covers some ten thousand uploads; what is left is for the next time.
func (*uploadsWorker) Timeout(*river.Job[upload.CleanUpArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *uploadsWorker) Work(ctx context.Context, _ *river.Job[upload.CleanUpArgs]) error {
	return w.uploads.CleanUp(ctx)
}
