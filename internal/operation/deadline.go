package operation

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// timeLimited is the context of a request to an operation: which one it is, and until
// when it has to be answered. Its timer is set once somebody waits for its end, which
// those who answer from copies never do.
type timeLimited struct {
	context.Context //nolint:containedctx // It is one.

	op       *Operation
	deadline time.Time

	timed atomic.Pointer[timed]
	mu    sync.Mutex // guards the making of timed, and its end
	ended bool
}

// timed is a context with a timer.
type timed struct {
	context.Context //nolint:containedctx // It is one.

	cancel context.CancelFunc
}

// withOperation returns a context that ends after a limit, or when the function that
// is returned is called.
func withOperation(parent context.Context, op *Operation, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx := &timeLimited{Context: parent, op: op, deadline: time.Now().Add(limit)}
	if earlier, ok := parent.Deadline(); ok && earlier.Before(ctx.deadline) {
		ctx.deadline = earlier
	}
	return ctx, ctx.end
}

// Deadline implements [context.Context].
func (c *timeLimited) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements [context.Context].
func (c *timeLimited) Done() <-chan struct{} { return c.timer().Done() }

// Err implements [context.Context].
func (c *timeLimited) Err() error { return c.timer().Err() }

// Value implements [context.Context].
func (c *timeLimited) Value(key any) any {
	if key == (operationKey{}) {
		return c.op
	}
	// Contexts that are made of this one find by a value whose end is theirs.
	if t := c.timed.Load(); t != nil {
		return t.Value(key)
	}
	return c.Context.Value(key)
}

func (c *timeLimited) timer() *timed {
	if t := c.timed.Load(); t != nil {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.timed.Load()
	if t == nil {
		t = &timed{}
		t.Context, t.cancel = context.WithDeadline(c.Context, c.deadline)
		if c.ended {
			t.cancel()
		}
		c.timed.Store(t)
	}
	return t
}

func (c *timeLimited) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if t := c.timed.Load(); t != nil {
		t.cancel()
	}
}
