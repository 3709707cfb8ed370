// Package jobs runs what is done outside of a request: River's workers. Each
// kind states its timeout and how often it is tried; what fails for good is
// discarded and kept, for somebody to look at and to retry. Every job may run
// more than once and does its work once.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/idempotency"
	"github.com/picaspot/picaspot/internal/imports"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/search"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/sweep"
	"github.com/picaspot/picaspot/internal/tile"
	"github.com/picaspot/picaspot/internal/trash"
	"github.com/picaspot/picaspot/internal/unlock"
	"github.com/picaspot/picaspot/internal/upload"
	"github.com/picaspot/picaspot/internal/webhook"
)

// jobTimeout ends a job that runs longer. A job that runs for longer than
// rescueAfter belongs to a process that was killed, and is run again.
const (
	jobTimeout  = time.Minute
	rescueAfter = jobTimeout + 30*time.Second
	// purgeTimeout covers the largest deletion, which is one transaction. A purge
	// that was killed is run again after as long.
	purgeTimeout = 15 * time.Minute
)

// Config of the workers.
type Config struct {
	// Parallel is how many jobs run at once, besides deliveries of webhooks.
	Parallel int
}

// Runner works jobs off until it is stopped.
type Runner struct {
	client *river.Client[pgx.Tx]
}

// Parts are what the jobs work with.
type Parts struct {
	Store       *store.Store
	Storage     *storage.Store
	Accounts    *account.Service
	Unlocks     *unlock.Service
	Tiles       *tile.Service
	Trash       *trash.Service
	Audit       *auditlog.Service
	Idempotency *idempotency.Service
	Webhooks    *webhook.Service
	Sweep       *sweep.Service
	Imports     *imports.Service
	Uploads     *upload.Service
}

// NewRunner makes a runner of all kinds of jobs.
func NewRunner(p Parts, c Config) (*Runner, error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &verifyWorker{unlocks: p.Unlocks})
	river.AddWorker(workers, &mailWorker{accounts: p.Accounts})
	river.AddWorker(workers, &requestWorker{accounts: p.Accounts})
	river.AddWorker(workers, &cleanUpWorker{accounts: p.Accounts})
	river.AddWorker(workers, &removalWorker{storage: p.Storage})
	river.AddWorker(workers, &purgeWorker{trash: p.Trash})
	river.AddWorker(workers, &auditWorker{audit: p.Audit})
	river.AddWorker(workers, &countWorker{tiles: p.Tiles})
	river.AddWorker(workers, &keyWorker{idempotency: p.Idempotency})
	river.AddWorker(workers, &forgetWorker{pool: p.Store.Pool})
	river.AddWorker(workers, &deliverWorker{webhooks: p.Webhooks})
	river.AddWorker(workers, &deliveriesWorker{webhooks: p.Webhooks})
	river.AddWorker(workers, &sweepWorker{sweep: p.Sweep})
	river.AddWorker(workers, &importWorker{imports: p.Imports})
	river.AddWorker(workers, &importsWorker{imports: p.Imports})
	river.AddWorker(workers, &uploadsWorker{uploads: p.Uploads})
	client, err := river.NewClient(riverpgxv5.New(p.Store.Pool), &river.Config{
		Queues:       queues(c),
		Workers:      workers,
		PeriodicJobs: periodicJobs(),
		RetryPolicy:  retryPolicy{},
		MaxAttempts:  25,
		Logger:       slog.Default(),
		// Dead letters stay until somebody decides what becomes of them.
		DiscardedJobRetentionPeriod: -1,
		JobTimeout:                  jobTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		ErrorHandler:                errorHandler{},
	})
	if err != nil {
		return nil, fmt.Errorf("job runner: %w", err)
	}
	return &Runner{client: client}, nil
}

// queues are those that a runner works off.
func queues(c Config) map[string]river.QueueConfig {
	all := map[string]river.QueueConfig{
		river.QueueDefault: {MaxWorkers: c.Parallel},
		imports.Queue:      {MaxWorkers: importsAtOnce},
		// What was enqueued before each webhook had a lane, or by a replica of that time.
		"webhooks": {MaxWorkers: webhook.AtOnce},
	}
	for lane := range webhook.Lanes {
		all[webhook.Queue(lane)] = river.QueueConfig{
			MaxWorkers: webhook.AtOnce, FetchCooldown: deliveryCooldown, FetchPollInterval: deliveryPoll,
		}
	}
	return all
}

// Start begins to work; the context's end does not stop it, [Runner.Stop] does.
func (r *Runner) Start(ctx context.Context) error {
	if err := r.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start the job runner: %w", err)
	}
	return nil
}

// Stop lets running jobs finish. When ctx ends first they are cancelled, and
// run again in another process.
func (r *Runner) Stop(ctx context.Context) error {
	if err := r.client.Stop(ctx); err != nil {
		cancelled, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return r.client.StopAndCancel(cancelled)
	}
	return nil
}

// maxBackoff bounds the wait between two tries.
const maxBackoff = 10 * time.Minute

// retryPolicy waits 1 s, 2 s, 4 s, … up to [maxBackoff], give or take a quarter,
// so that what failed together does not come back together.
type retryPolicy struct{}

// NextRetry implements river.ClientRetryPolicy.
func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	wait := maxBackoff
	if n := len(job.Errors); n < 10 {
		wait = min(time.Second<<n, maxBackoff)
	}
	return time.Now().Add(time.Duration(float64(wait) * (0.75 + rand.Float64()/2))) //nolint:gosec // Jitter is no secret.
}

type errorHandler struct{}

// HandleError implements river.ErrorHandler.
func (errorHandler) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	report(ctx, job, "error", err)
	return nil
}

// HandlePanic implements river.ErrorHandler.
func (errorHandler) HandlePanic(ctx context.Context, job *rivertype.JobRow, panicked any, trace string) *river.ErrorHandlerResult {
	report(ctx, job, "panic", panicked, "trace", trace)
	return nil
}

func report(ctx context.Context, job *rivertype.JobRow, attrs ...any) {
	attrs = append(attrs, "kind", job.Kind, "job_id", job.ID, "attempt", job.Attempt)
	if job.Attempt >= job.MaxAttempts {
		slog.ErrorContext(ctx, "job discarded", attrs...)
		return
	}
	slog.WarnContext(ctx, "job failed and will be retried", attrs...)
}

type verifyWorker struct {
	river.WorkerDefaults[unlock.VerifyArgs]
	unlocks *unlock.Service
}

// Timeout covers a photo of the largest size on a busy machine.
func (*verifyWorker) Timeout(*river.Job[unlock.VerifyArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *verifyWorker) Work(ctx context.Context, job *river.Job[unlock.VerifyArgs]) error {
	return w.unlocks.Decide(ctx, job.Args.AttemptID)
}

type mailWorker struct {
	river.WorkerDefaults[account.MailArgs]
	accounts *account.Service
}

// Timeout covers a mail server that takes its time to greet.
func (*mailWorker) Timeout(*river.Job[account.MailArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *mailWorker) Work(ctx context.Context, job *river.Job[account.MailArgs]) error {
	return mailed(w.accounts.SendMail(ctx, job.Args))
}

// mailed tells what became of a mail: one that the server refused for good is not
// sent again, since the server will not change its mind.
func mailed(err error) error {
	if errors.Is(err, mail.ErrRejected) {
		return river.JobCancel(err)
	}
	return err
}

type requestWorker struct {
	river.WorkerDefaults[account.RequestArgs]
	accounts *account.Service
}

// Timeout covers a mail server that takes its time to greet.
func (*requestWorker) Timeout(*river.Job[account.RequestArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *requestWorker) Work(ctx context.Context, job *river.Job[account.RequestArgs]) error {
	return mailed(w.accounts.AnswerRequest(ctx, job.Args))
}

type cleanUpWorker struct {
	river.WorkerDefaults[account.CleanUpArgs]
	accounts *account.Service
}

// Timeout covers some hundred batches; what is left is for the next time.
func (*cleanUpWorker) Timeout(*river.Job[account.CleanUpArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *cleanUpWorker) Work(ctx context.Context, _ *river.Job[account.CleanUpArgs]) error {
	return w.accounts.CleanUp(ctx)
}

type removalWorker struct {
	river.WorkerDefaults[storage.RemovalArgs]
	storage *storage.Store
}

// Timeout covers a few hundred files in a store that is slow.
func (*removalWorker) Timeout(*river.Job[storage.RemovalArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *removalWorker) Work(ctx context.Context, job *river.Job[storage.RemovalArgs]) error {
	return w.storage.Remove(ctx, job.Args)
}

type purgeWorker struct {
	river.WorkerDefaults[trash.PurgeArgs]
	trash *trash.Service
}

// Timeout covers many deletions, or a very large one; what is left is for the next
// time.
func (*purgeWorker) Timeout(*river.Job[trash.PurgeArgs]) time.Duration { return purgeTimeout }

// Work implements river.Worker.
func (w *purgeWorker) Work(ctx context.Context, _ *river.Job[trash.PurgeArgs]) error {
	return w.trash.PurgeExpired(ctx)
}

type auditWorker struct {
	river.WorkerDefaults[auditlog.MaintainArgs]
	audit *auditlog.Service
}

// Timeout covers rows that move into the partition of their month.
func (*auditWorker) Timeout(*river.Job[auditlog.MaintainArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *auditWorker) Work(ctx context.Context, _ *river.Job[auditlog.MaintainArgs]) error {
	return w.audit.Maintain(ctx)
}

type keyWorker struct {
	river.WorkerDefaults[idempotency.CleanUpArgs]
	idempotency *idempotency.Service
}

// Timeout covers some hundred batches; what is left is for the next time.
func (*keyWorker) Timeout(*river.Job[idempotency.CleanUpArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *keyWorker) Work(ctx context.Context, _ *river.Job[idempotency.CleanUpArgs]) error {
	return w.idempotency.CleanUp(ctx)
}

type countWorker struct {
	river.WorkerDefaults[tile.CountArgs]
	tiles *tile.Service
}

// Timeout covers some million changes, as of an import; what is left is for the next
// time.
func (*countWorker) Timeout(*river.Job[tile.CountArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *countWorker) Work(ctx context.Context, _ *river.Job[tile.CountArgs]) error {
	return w.tiles.Count(ctx)
}

type forgetWorker struct {
	river.WorkerDefaults[search.ForgetArgs]
	pool *pgxpool.Pool
}

// Timeout covers the names of some ten million rows.
func (*forgetWorker) Timeout(*river.Job[search.ForgetArgs]) time.Duration { return purgeTimeout }

// Work implements river.Worker.
func (w *forgetWorker) Work(ctx context.Context, _ *river.Job[search.ForgetArgs]) error {
	return search.Forget(ctx, w.pool)
}
