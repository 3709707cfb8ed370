package redisconn

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// batches is how many batches are under way at once.
	batches = 2
	// batchTimeout outlasts what the timeouts of a connection leave a batch.
	batchTimeout = 2 * time.Second
)

// batcher puts commands that goroutines have at the same time into one pipeline: what
// arrives while batches are under way waits for the next. So the busier a process is,
// the less a round trip costs it, and Redis.
type batcher struct {
	mu      sync.Mutex
	running int
	next    *batch
}

// batch is a pipeline of several goroutines.
type batch struct {
	pipe redis.Pipeliner
	look look
	// err is what became of the look; it is there once done is closed.
	err  error
	done chan struct{}
	// lead is sent to when somebody of those who wait is to run it.
	lead chan struct{}
}

// Together runs commands, of which there may be none, in one pipeline with those of
// other goroutines, and returns when they have their replies or errors. What was in
// the journal when it was called has then been read, unless there is an error. Who
// waits does not depend on the context of who runs the batch; none of the commands
// may block.
func (c *Conn) Together(commands []redis.Cmder) error {
	b := &c.batcher
	b.mu.Lock()
	if b.next == nil {
		b.next = &batch{pipe: c.Pipeline(), done: make(chan struct{}), lead: make(chan struct{}, 1)}
		b.next.look = c.journal.ask(context.Background(), b.next.pipe)
	}
	mine := b.next
	_ = mine.pipe.BatchProcess(context.Background(), commands...) // They are queued, and have their errors later.
	if b.running < batches {
		b.running++
		b.next = nil
		b.mu.Unlock()
		c.run(mine)
		return mine.err
	}
	b.mu.Unlock()
	select {
	case <-mine.done:
	case <-mine.lead:
		c.run(mine)
	}
	return mine.err
}

// run runs a batch, and has somebody of the next one run that.
func (c *Conn) run(mine *batch) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	c.journal.begin(&mine.look)
	_, _ = mine.pipe.Exec(ctx) // Each looks at its own replies.
	mine.err = c.journal.read(mine.look)
	close(mine.done)
	b := &c.batcher
	b.mu.Lock()
	next := b.next
	b.next = nil
	if next == nil {
		b.running--
	}
	b.mu.Unlock()
	if next != nil {
		next.lead <- struct{}{}
	}
}
