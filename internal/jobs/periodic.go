package jobs

import (
	"time"

	"github.com/riverqueue/river"

	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/idempotency"
	"github.com/picaspot/picaspot/internal/imports"
	"github.com/picaspot/picaspot/internal/search"
	"github.com/picaspot/picaspot/internal/sweep"
	"github.com/picaspot/picaspot/internal/tile"
	"github.com/picaspot/picaspot/internal/trash"
	"github.com/picaspot/picaspot/internal/upload"
	"github.com/picaspot/picaspot/internal/webhook"
)

// periodic is a kind of job that is due once in each period. A period is no longer than
// River keeps completed jobs, by which it knows that a job has been done.
type periodic struct {
	args  river.JobArgs
	every time.Duration
}

var allPeriodic = []periodic{
	{account.CleanUpArgs{}, time.Hour},
	{trash.PurgeArgs{}, time.Hour},
	{idempotency.CleanUpArgs{}, time.Hour},
	{webhook.CleanUpArgs{}, time.Hour},
	{upload.CleanUpArgs{}, time.Hour},
	{tile.CountArgs{}, time.Minute},
	{imports.MaintainArgs{}, time.Minute},
	{search.ForgetArgs{}, 24 * time.Hour},
	{auditlog.MaintainArgs{}, 24 * time.Hour},
	{sweep.Args{}, 24 * time.Hour},
}

// periodicJobs inserts each job when a worker starts and at intervals from then on.
// The job is unique within its period, which begins at a full minute, hour or day (UTC):
// workers that restart more often than the interval still run it, and run it once.
func periodicJobs() []*river.PeriodicJob {
	jobs := make([]*river.PeriodicJob, len(allPeriodic))
	for i, p := range allPeriodic {
		jobs[i] = river.NewPeriodicJob(river.PeriodicInterval(p.every), func() (river.JobArgs, *river.InsertOpts) {
			return p.args, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: p.every}}
		}, &river.PeriodicJobOpts{ID: p.args.Kind(), RunOnStart: true})
	}
	return jobs
}
