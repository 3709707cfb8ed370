package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/picaspot/picaspot/internal/webhook"
)

const (
	// deliveryCooldown is how soon after a few deliveries the next ones are fetched: with
	// River's own, a lane would do no more than 40 a second.
	deliveryCooldown = 10 * time.Millisecond
	// deliveryPoll is how often a lane is looked at that nothing is heard of: seldom, for
	// there are many, and a notification comes with each delivery.
	deliveryPoll = 10 * time.Second
)

type deliverWorker struct {
	river.WorkerDefaults[webhook.DeliverArgs]
	webhooks *webhook.Service
}

// Timeout covers a receiver that takes all the time that it has.
func (*deliverWorker) Timeout(*river.Job[webhook.DeliverArgs]) time.Duration { return jobTimeout }

// NextRetry gives receivers some three days to come back.
func (*deliverWorker) NextRetry(job *river.Job[webhook.DeliverArgs]) time.Time {
	return time.Now().Add(job.Args.Wait(job.Attempt))
}

// Work implements river.Worker.
func (w *deliverWorker) Work(ctx context.Context, job *river.Job[webhook.DeliverArgs]) error {
	return w.webhooks.Deliver(ctx, job.Args, job.Attempt)
}

type deliveriesWorker struct {
	river.WorkerDefaults[webhook.CleanUpArgs]
	webhooks *webhook.Service
}

// Timeout covers some hundred batches; what is left is for the next time.
func (*deliveriesWorker) Timeout(*river.Job[webhook.CleanUpArgs]) time.Duration { return jobTimeout }

// Work implements river.Worker.
func (w *deliveriesWorker) Work(ctx context.Context, _ *river.Job[webhook.CleanUpArgs]) error {
	return w.webhooks.CleanUp(ctx)
}
