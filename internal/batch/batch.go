// Package batch joins what goroutines ask of another service at the same time, so that
// the busier a process is, the less a question costs it and the service.
package batch

import "sync"

// Joint makes batches of questions. As long as few batches are under way each question
// goes at once, as a batch of its own: nobody waits for company. What arrives while
// there are as many as may be makes up the next batch. It is safe for concurrent use; its
// fields are not to be changed.
type Joint[B any] struct {
	// AtOnce is how many batches are under way at once, at least 1.
	AtOnce int
	// Begin returns a batch that has nothing in it yet.
	Begin func() B
	// Run puts the questions of a batch, and leaves the answers in it. It runs on the
	// goroutine of one of those who ask.
	Run func(B)

	mu      sync.Mutex
	running int
	next    *pending[B]
}

type pending[B any] struct {
	batch B
	// done is closed when the batch has run.
	done chan struct{}
	// lead is sent to when somebody of those who wait is to run it.
	lead chan struct{}
}

// Do adds a question to a batch, and returns the batch when it has run. Adding has to
// be quick: one does at a time. If Run panics the one that it ran on gets the panic,
// and the others a batch as far as it has come.
func (j *Joint[B]) Do(add func(B)) B {
	mine, first := j.join(add)
	if !first {
		select {
		case <-mine.done:
			return mine.batch
		case <-mine.lead:
		}
	}
	defer j.end(mine)
	j.Run(mine.batch)
	return mine.batch
}

// join adds a question to the next batch, and reports whether the caller is to run it now.
func (j *Joint[B]) join(add func(B)) (mine *pending[B], first bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next == nil {
		j.next = &pending[B]{batch: j.Begin(), done: make(chan struct{}), lead: make(chan struct{}, 1)}
	}
	mine = j.next
	add(mine.batch)
	if j.running < j.AtOnce {
		j.running++
		j.next = nil
		return mine, true
	}
	return mine, false
}

// end tells those who wait for a batch, and has somebody of the next one run that.
func (j *Joint[B]) end(mine *pending[B]) {
	close(mine.done)
	j.mu.Lock()
	next := j.next
	j.next = nil
	if next == nil {
		j.running--
	}
	j.mu.Unlock()
	if next != nil {
		next.lead <- struct{}{}
	}
}
