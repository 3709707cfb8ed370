package cache

import (
	"context"
	"sync"
)

// flights are the loads that are under way.
type flights struct {
	mu  sync.Mutex
	all map[string]*flight
}

type flight struct {
	name  string
	done  chan struct{}
	value any
	err   error
}

// join returns the flight of a name, and whether the caller is the first and has to
// land it.
func (fs *flights) join(name string) (*flight, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f, ok := fs.all[name]; ok {
		return f, false
	}
	if fs.all == nil {
		fs.all = map[string]*flight{}
	}
	f := &flight{name: name, done: make(chan struct{})}
	fs.all[name] = f
	return f, true
}

func (fs *flights) land(f *flight, value any, err error) {
	fs.mu.Lock()
	delete(fs.all, f.name)
	fs.mu.Unlock()
	f.value, f.err = value, err
	close(f.done)
}

func (f *flight) wait(ctx context.Context) (any, error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
