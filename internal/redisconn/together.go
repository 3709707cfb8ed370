package redisconn

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/picaspot/picaspot/internal/batch"
)

const (
	// batches is how many batches are under way at once.
	batches = 2
	// batchTimeout outlasts what the timeouts of a connection leave a batch.
	batchTimeout = 2 * time.Second
)

// errUnanswered is what those get whose batch panicked.
var errUnanswered = errors.New("redis was not asked")

// questions are a pipeline of several goroutines.
type questions struct {
	pipe redis.Pipeliner
	look look
	// err is what became of the look.
	err error
}

// Together runs commands, of which there may be none, in one pipeline with those of
// other goroutines, and returns when they have their replies or errors. What was in
// the journal when it was called has then been read. If there is an error it was not,
// and no reply counts: Redis may lack changes that were made since it refuses writes. Who
// waits does not depend on the context of who runs the batch; none of the commands
// may block.
func (c *Conn) Together(commands []redis.Cmder) error {
	return c.batcher.Do(func(q *questions) {
		_ = q.pipe.BatchProcess(context.Background(), commands...) // They are queued, and have their errors later.
	}).err
}

func (c *Conn) newBatcher() *batch.Joint[*questions] {
	return &batch.Joint[*questions]{AtOnce: batches, Begin: c.beginBatch, Run: c.runBatch}
}

func (c *Conn) beginBatch() *questions {
	pipe := c.Pipeline()
	return &questions{pipe: pipe, look: c.journal.ask(context.Background(), pipe), err: errUnanswered}
}

func (c *Conn) runBatch(q *questions) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	c.journal.begin(&q.look)
	_, _ = q.pipe.Exec(ctx) // Each looks at its own replies.
	q.err = c.journal.read(q.look)
}
