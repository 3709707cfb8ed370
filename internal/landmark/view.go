package landmark

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/batch"
	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/reqctx"
)

var views = cache.Views("landmark")

// errLookupBroken is what those get whose look-up panicked.
var errLookupBroken = errors.New("the look-up was broken off")

// AnyWord is what stands for all landmarks in the cache's generations.
const AnyWord = "landmarks"

// Word is what stands for a landmark in the cache's generations.
func Word(id uuid.UUID) string { return "l" + id.String() }

// viewSQL is a look-up of some landmarks by primary key, served by landmarks_pkey. It
// stands for ent's own, which takes longer than the database does. The database is not to
// see how many there are: it would make a new plan for each look-up of few, which takes
// longer than the look-up.
const viewSQL = "-- name: landmark_view\nSELECT " + columns + `
FROM landmarks l WHERE l.id = ANY(ARRAY(SELECT unnest($1::uuid[]))) AND l.deleted_at IS NULL`

const (
	// lookupsAtOnce is how many look-ups are under way at once; the landmarks that are
	// asked for meanwhile go together in the next one.
	lookupsAtOnce = 2
	// lookupTimeout bounds a look-up, which does not end with the request of one who asks.
	lookupTimeout = 10 * time.Second
)

// lookup is a look-up of landmarks that are asked for at the same time.
type lookup struct {
	ids   []uuid.UUID
	found map[uuid.UUID]cache.View
	err   error
}

func (s *Service) newLookups() *batch.Joint[*lookup] {
	return &batch.Joint[*lookup]{
		AtOnce: lookupsAtOnce,
		Begin:  func() *lookup { return &lookup{err: errLookupBroken} },
		Run: func(l *lookup) {
			ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
			defer cancel()
			l.found, l.err = s.lookUp(ctx, l.ids)
		},
	}
}

// lookUp returns those of some landmarks that are there.
func (s *Service) lookUp(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]cache.View, error) {
	rows, err := s.store.Pool.Query(ctx, viewSQL, ids)
	if err != nil {
		return nil, err
	}
	var l ent.Landmark
	found := make(map[uuid.UUID]cache.View, len(ids))
	_, err = pgx.ForEachRow(rows, scanned(&l), func() (err error) {
		found[l.ID], err = cache.NewView(&l, l.UpdatedAt, s.render)
		return err
	})
	return found, err
}

// View returns a living landmark as it is shown, or [fault.NotFound].
func (s *Service) View(ctx context.Context, id uuid.UUID) (cache.View, error) {
	tally := reqctx.TallyOf(ctx)
	load := func(context.Context) (cache.View, error) {
		begun := time.Now()
		done := s.lookups.Do(func(l *lookup) { l.ids = append(l.ids, id) })
		tally.AddQuery(time.Since(begun))
		if done.err != nil {
			return cache.View{}, fmt.Errorf("view a landmark: %w", done.err)
		}
		found, ok := done.found[id]
		if !ok {
			return cache.View{}, errNotFound
		}
		return found, nil
	}
	word := Word(id)
	if !s.cache.Note([]string{word}) {
		return load(ctx)
	}
	return cache.Get(ctx, s.cache, views, word, word, load)
}
