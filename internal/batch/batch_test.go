package batch_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/batch"
)

// doubles answers each number with twice the number.
type doubles struct {
	asked   []int
	answers map[int]int
}

func (d *doubles) answer() {
	d.answers = map[int]int{}
	for _, n := range d.asked {
		d.answers[n] = 2 * n
	}
}

func begin() *doubles { return &doubles{} }

func ask(n int) func(*doubles) {
	return func(d *doubles) { d.asked = append(d.asked, n) }
}

func TestOneAloneGoesAtOnce(t *testing.T) {
	t.Parallel()
	j := batch.Joint[*doubles]{AtOnce: 1, Begin: begin, Run: (*doubles).answer}
	for n := range 3 {
		done := j.Do(ask(n))
		require.Equal(t, []int{n}, done.asked)
		require.Equal(t, map[int]int{n: 2 * n}, done.answers)
	}
}

// What arrives while as many as may be are under way is one batch, and each gets the
// answer to its own question.
func TestWhatComesMeanwhileIsOneBatch(t *testing.T) {
	t.Parallel()
	const atOnce, late = 2, 50
	var batches atomic.Int64
	started, release := make(chan struct{}, atOnce), make(chan struct{})
	j := batch.Joint[*doubles]{AtOnce: atOnce, Begin: begin, Run: func(d *doubles) {
		if batches.Add(1) <= atOnce {
			started <- struct{}{}
			<-release
		}
		d.answer()
	}}
	var all, joined sync.WaitGroup
	for n := range atOnce {
		all.Go(func() { j.Do(ask(n)) })
		<-started
	}
	joined.Add(late)
	for n := range late {
		all.Go(func() {
			done := j.Do(func(d *doubles) { ask(n)(d); joined.Done() })
			if len(done.asked) != late || done.answers[n] != 2*n {
				t.Errorf("%d: %d, asked with %d", n, done.answers[n], len(done.asked))
			}
		})
	}
	joined.Wait()
	close(release)
	all.Wait()
	require.EqualValues(t, atOnce+1, batches.Load())
}

// However many ask, no more batches are under way at once than may be, and nobody is forgotten.
func TestMany(t *testing.T) {
	t.Parallel()
	const atOnce = 3
	var underWay, most atomic.Int64
	j := batch.Joint[*doubles]{AtOnce: atOnce, Begin: begin, Run: func(d *doubles) {
		now := underWay.Add(1)
		defer underWay.Add(-1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		d.answer()
	}}
	var all sync.WaitGroup
	for who := range 20 {
		all.Go(func() {
			for i := range 500 {
				n := 1000*who + i
				if done := j.Do(ask(n)); done.answers[n] != 2*n {
					t.Errorf("%d: %d", n, done.answers[n])
				}
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, most.Load(), int64(atOnce))
}

// A batch that panics takes one of those along who are in it, and those behind it go on.
func TestPanic(t *testing.T) {
	t.Parallel()
	var batches, panics atomic.Int64
	started, release, joined := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2)
	j := batch.Joint[*doubles]{AtOnce: 1, Begin: begin, Run: func(d *doubles) {
		switch batches.Add(1) {
		case 1:
			close(started)
			<-release
		case 2:
			panic("broken")
		}
		d.answer()
	}}
	var all sync.WaitGroup
	all.Go(func() { j.Do(ask(0)) })
	<-started
	for n := range 2 {
		all.Go(func() {
			defer func() {
				if recover() != nil {
					panics.Add(1)
				}
			}()
			if done := j.Do(func(d *doubles) { ask(n)(d); joined <- struct{}{} }); done.answers != nil {
				t.Error("there are answers")
			}
		})
	}
	<-joined
	<-joined
	close(release)
	all.Wait()
	require.EqualValues(t, 1, panics.Load())
	require.Equal(t, map[int]int{7: 14}, j.Do(ask(7)).answers)
}
