package unlock

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
)

const (
	// channel is what changes of attempts are announced on, by their ids.
	channel = "picaspot_attempts"
	// lookInterval is how often attempts that are followed are looked at when no news
	// comes.
	lookInterval = 3 * time.Second
	// lookTimeout bounds one look.
	lookTimeout = 3 * time.Second
	// MaxFollowed is how many attempts an account may follow at once in one process.
	MaxFollowed = 10
	// retryAfter is when an account may find that it follows fewer.
	retryAfter = 10 * time.Second
)

var (
	errFollowsMany = fault.New(fault.RateLimited, "too_many_streams", "You follow as many attempts as you may at once. End a stream, or ask for the attempt.").After(retryAfter)
	errFull        = fault.New(fault.Unavailable, "busy", "The service can't keep more streams open. Try again in a moment, or ask for the attempt.")
)

// Followers are those who wait for a change of an attempt, whichever process makes
// it. All of them share one connection to the database, which is opened for the first.
type Followers struct {
	store *store.Store
	limit int

	mu       sync.Mutex
	byID     map[uuid.UUID]map[*Follower]bool
	byUser   map[uuid.UUID]int
	open     int
	ended    chan struct{} // Closed when nobody may follow any more.
	isClosed bool
	stop     context.CancelFunc // nil until somebody follows.
	watching sync.WaitGroup
}

// NewFollowers makes room for so many at once.
func NewFollowers(s *store.Store, limit int) *Followers {
	return &Followers{
		store: s, limit: limit, byID: map[uuid.UUID]map[*Follower]bool{}, byUser: map[uuid.UUID]int{}, ended: make(chan struct{}),
	}
}

// Follower waits for changes of one attempt.
type Follower struct {
	followers     *Followers
	user, attempt uuid.UUID
	changed       chan struct{}
}

// Follow begins to wait for changes of an attempt, on behalf of a user. What the
// attempt is like has to be read after it, so that no change falls in between. The
// follower has to be closed.
func (f *Followers) Follow(user, attempt uuid.UUID) (*Follower, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.isClosed, f.open >= f.limit:
		return nil, errFull
	case f.byUser[user] >= MaxFollowed:
		return nil, errFollowsMany
	}
	if f.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f.stop = cancel
		f.watching.Go(func() { f.watch(ctx) })
	}
	follower := &Follower{followers: f, user: user, attempt: attempt, changed: make(chan struct{}, 1)}
	if f.byID[attempt] == nil {
		f.byID[attempt] = map[*Follower]bool{}
	}
	f.byID[attempt][follower] = true
	f.byUser[user]++
	f.open++
	return follower, nil
}

// Changed tells that the attempt may have changed since it was read.
func (f *Follower) Changed() <-chan struct{} { return f.changed }

// Ended is closed when there will be no more news, since the process ends.
func (f *Follower) Ended() <-chan struct{} { return f.followers.ended }

// Close ends the wait.
func (f *Follower) Close() {
	all := f.followers
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.byID[f.attempt], f)
	if len(all.byID[f.attempt]) == 0 {
		delete(all.byID, f.attempt)
	}
	if all.byUser[f.user]--; all.byUser[f.user] == 0 {
		delete(all.byUser, f.user)
	}
	all.open--
}

// Open tells how many there are.
func (f *Followers) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// Close sends all of them away, and lets nobody in any more.
func (f *Followers) Close() {
	f.mu.Lock()
	if !f.isClosed {
		f.isClosed = true
		close(f.ended)
	}
	if f.stop != nil {
		f.stop()
	}
	f.mu.Unlock()
	f.watching.Wait()
}

// watch wakes those whose attempt changes, until ctx ends.
func (f *Followers) watch(ctx context.Context) {
	store.Listener{
		Channel: channel, Interval: lookInterval,
		Notified: func(_ context.Context, payload string) {
			if id, err := uuid.Parse(payload); err == nil {
				f.wake(id)
			}
		},
		Poll: func(ctx context.Context) {
			if err := f.look(ctx); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "attempts that are followed can't be looked at", "error", err)
			}
		},
	}.Run(ctx, f.store.Pool.Config().ConnConfig)
}

// wake tells the followers of an attempt. One that was told already, and did not read
// the attempt since, needs not be told twice.
func (f *Followers) wake(attempt uuid.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for follower := range f.byID[attempt] {
		select {
		case follower.changed <- struct{}{}:
		default:
		}
	}
}

// lookSQL finds, of some attempts, those that are decided or gone. Served by
// attempts_pkey.
const lookSQL = `-- name: unlock_decided
SELECT followed.id FROM unnest($1::uuid[]) AS followed(id)
WHERE NOT EXISTS (SELECT FROM attempts a WHERE a.id = followed.id AND a.status = 'pending')`

// look wakes those whose attempt was decided.
func (f *Followers) look(ctx context.Context) error {
	f.mu.Lock()
	followed := make([]uuid.UUID, 0, len(f.byID))
	for id := range f.byID {
		followed = append(followed, id)
	}
	f.mu.Unlock()
	if len(followed) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	rows, err := f.store.Pool.Query(ctx, lookSQL, followed)
	if err != nil {
		return fmt.Errorf("look at followed attempts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("look at followed attempts: %w", err)
		}
		f.wake(id)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look at followed attempts: %w", err)
	}
	return nil
}

// announce tells the followers of an attempt, in every process, once the transaction
// commits.
func announce(ctx context.Context, tx *store.Tx, attempt uuid.UUID) error {
	if _, err := tx.ExecContext(ctx, "-- name: unlock_announce\nSELECT pg_notify($1, $2)", channel, attempt.String()); err != nil {
		return fmt.Errorf("announce the verdict: %w", err)
	}
	return nil
}
