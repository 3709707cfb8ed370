package photo

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/picaspot/picaspot/internal/fault"
)

// lane is one of the queues of an [admission]: what is in one never waits for what
// is in another.
type lane int

const (
	// laneSmall is for pictures that take milliseconds, such as avatars.
	laneSmall lane = iota
	laneLarge
	// laneConverted is for files that another program converts.
	laneConverted
	lanes
)

const (
	// smallBytes and smallWork bound what is small, by its memory and by the samples
	// that all its scans go over; smallBudget is what all small ones take at once.
	smallBytes  = 4 << 20
	smallWork   = 4 << 20
	smallBudget = 16 << 20
	// busyRetry is what a client that finds the queue full is told to wait.
	busyRetry = 5 * time.Second
)

// maxWaiting bounds by lane how many photos wait, and maxWaitingOfAccount how many of
// one account: some seconds of work each.
var (
	maxWaiting          = [lanes]int{256, 64, 16}
	maxWaitingOfAccount = [lanes]int{64, 16, 4}
)

var errBusy = fault.New(fault.Unavailable, "busy", "Too many photos are being processed at this moment. Please try again shortly.").After(busyRetry)

// ticket asks for the decoding of a photo. Without an account it is background work,
// whose number is bounded elsewhere: it waits however long the queue is.
type ticket struct {
	account string
	lane    lane
	bytes   int64
	// admitted is closed when the work may start.
	admitted chan struct{}
}

// admission decides which photo is decoded next: in each lane the one that came first
// of those whose account has none there at the moment. Each lane has a budget of
// memory and a number of decodes at once. So an account that sends many large photos
// holds up its own large ones.
type admission struct {
	// budget is what each lane has when nothing runs.
	budget [lanes]int64

	mu      sync.Mutex
	free    [lanes]int64
	slots   [lanes]int
	running map[runner]int
	queue   []*ticket
}

type runner struct {
	account string
	lane    lane
}

func newAdmission(budget int64) *admission {
	a := &admission{running: map[runner]int{}}
	small := min(smallBudget, budget/4)
	a.budget = [lanes]int64{small, budget - small, 1 << 62}
	a.free = a.budget
	// Decoding keeps a processor busy: more at once take memory and finish no sooner.
	processors := runtime.GOMAXPROCS(0)
	a.slots = [lanes]int{4 * processors, processors, 1}
	return a
}

// limit returns the most that one photo can take of a lane, whatever runs there now.
func (a *admission) limit(l lane) int64 { return a.budget[l] }

// laneOf tells a small photo from a large one.
func (a *admission) laneOf(bytes, work int64) lane {
	if bytes <= min(smallBytes, a.limit(laneSmall)) && work <= smallWork {
		return laneSmall
	}
	return laneLarge
}

// acquire waits until a photo may be decoded; release has to follow it. The fault is
// busy when too many wait already, or too many of the account.
func (a *admission) acquire(ctx context.Context, t *ticket) error {
	t.admitted = make(chan struct{})
	a.mu.Lock()
	a.queue = append(a.queue, t)
	a.dispatch()
	if t.account != "" && slices.Contains(a.queue, t) && a.isFull(t.account, t.lane) {
		a.remove(t)
		a.mu.Unlock()
		return errBusy
	}
	a.mu.Unlock()
	select {
	case <-t.admitted:
		return nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	isWaiting := slices.Contains(a.queue, t)
	a.remove(t)
	a.mu.Unlock()
	if !isWaiting { // It was admitted at the same moment.
		a.release(t)
	}
	return fmt.Errorf("wait to decode a photo: %w", ctx.Err())
}

func (a *admission) isFull(account string, l lane) bool {
	all, own := 0, 0
	for _, t := range a.queue {
		if t.lane != l || t.account == "" {
			continue
		}
		all++
		if t.account == account {
			own++
		}
	}
	return all > maxWaiting[l] || own > maxWaitingOfAccount[l]
}

func (a *admission) remove(t *ticket) {
	a.queue = slices.DeleteFunc(a.queue, func(other *ticket) bool { return other == t })
}

func (a *admission) release(t *ticket) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free[t.lane] += t.bytes
	a.slots[t.lane]++
	who := runner{t.account, t.lane}
	if a.running[who]--; a.running[who] == 0 {
		delete(a.running, who)
	}
	a.dispatch()
}

// dispatch admits the next one of each lane for as long as there is room. None is
// overtaken while it waits for memory: else a large one would never get enough.
func (a *admission) dispatch() {
	for l := range lanes {
		for {
			t := a.next(l)
			if t == nil || a.slots[l] == 0 || a.free[l] < t.bytes {
				break
			}
			a.remove(t)
			a.free[l] -= t.bytes
			a.slots[l]--
			a.running[runner{t.account, l}]++
			close(t.admitted)
		}
	}
}

// next returns the first in a lane whose account has none there, or nil.
func (a *admission) next(l lane) *ticket {
	for _, t := range a.queue {
		if t.lane == l && (t.account == "" || a.running[runner{t.account, l}] == 0) {
			return t
		}
	}
	return nil
}
