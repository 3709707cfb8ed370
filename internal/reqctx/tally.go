package reqctx

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Tally is what is learned about a request while it is answered. It may be added
// to concurrently, and a nil one takes everything and keeps nothing, so that what
// runs outside of a request need not ask.
type Tally struct {
	user     atomic.Pointer[uuid.UUID]
	queries  atomic.Int64
	database atomic.Int64
	waited   atomic.Int64
}

// TallyOf returns the tally of the context's request, nil outside of one.
func TallyOf(ctx context.Context) *Tally {
	if c, ok := ctx.Value(key{}).(*carried); ok {
		return c.tally
	}
	return nil
}

// SetUser notes who makes the request.
func (t *Tally) SetUser(user uuid.UUID) {
	if t != nil {
		t.user.Store(&user)
	}
}

// User returns who makes the request, nil as long as that is not known.
func (t *Tally) User() *uuid.UUID {
	if t == nil {
		return nil
	}
	return t.user.Load()
}

// AddQuery counts a query and how long it took.
func (t *Tally) AddQuery(took time.Duration) {
	if t != nil {
		t.queries.Add(1)
		t.database.Add(int64(took))
	}
}

// AddWait adds the time for which the request waited for a connection to the database.
func (t *Tally) AddWait(waited time.Duration) {
	if t != nil {
		t.waited.Add(int64(waited))
	}
}

// Database returns how many queries the request has made, how long they took
// together, which is more than the request when some ran side by side, and how
// long it waited for connections.
func (t *Tally) Database() (queries int64, took, waited time.Duration) {
	if t == nil {
		return 0, 0, 0
	}
	return t.queries.Load(), time.Duration(t.database.Load()), time.Duration(t.waited.Load())
}
