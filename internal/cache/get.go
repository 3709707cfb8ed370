package cache

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/picaspot/picaspot/internal/redisconn"
)

// Kind is a kind of copies: what they are called in metrics and in Redis, and how
// they are written there. Values are shared by all who ask, and must not be changed.
type Kind[V any] struct {
	Name   string
	Encode func(V) []byte
	// Decode reads what Encode wrote; it may keep the bytes.
	Decode func([]byte) (V, error)
	// Size is how many bytes a value takes in the process.
	Size func(V) int
}

// Bytes is a kind of copies that are bytes.
func Bytes(name string) *Kind[[]byte] {
	return &Kind[[]byte]{
		Name:   name,
		Encode: func(v []byte) []byte { return v },
		Decode: func(data []byte) ([]byte, error) { return data, nil },
		Size:   func(v []byte) int { return len(v) },
	}
}

// Get returns the value of a key: a copy that is good for the present generation of
// a word, or what load returns. Of those who miss the same generation at once one
// loads and the others wait, so load gets a context that outlives its request. An
// error of load is returned to all of them and not kept.
func Get[V any](ctx context.Context, c *Cache, kind *Kind[V], key, word string, load func(context.Context) (V, error)) (V, error) {
	values, err := GetAll(ctx, c, kind, []string{key}, []string{word}, func(ctx context.Context, _ []int) ([]V, error) {
		value, err := load(ctx)
		return []V{value}, err
	})
	if err != nil {
		var none V
		return none, err
	}
	return values[0], nil
}

// GetAll is [Get] for several keys, each with its word. load is asked once for all
// that are missing, by their places in keys, and returns their values in that order.
// The values are of one state of the database, as those of one query are.
func GetAll[V any](
	ctx context.Context, c *Cache, kind *Kind[V], keys, words []string, load func(ctx context.Context, missing []int) ([]V, error),
) ([]V, error) {
	values := make([]V, len(keys))
	generations := c.generations(ctx, words)
	missing := make([]int, 0, len(keys))
	oldest := time.Time{}
	for i, generation := range generations {
		if generation == "" {
			missing = append(missing, i)
			continue
		}
		e, ok := c.local.GetIfPresent(localKey{kind.Name, keys[i]})
		if !ok || e.generation != generation {
			missing = append(missing, i)
			continue
		}
		values[i] = e.value.(V) //nolint:forcetypeassert // A kind's name stands for one type.
		if oldest.IsZero() || e.at.Before(oldest) {
			oldest = e.at
		}
	}
	if c != nil {
		c.metrics.hit(kind.Name, levelProcess, len(keys)-len(missing), oldest)
	}
	if len(missing) == 0 {
		return values, nil
	}
	if c != nil && !c.redis.Away() {
		missing = fromRedis(ctx, c, kind, keys, generations, missing, values)
	}
	if len(missing) == 0 {
		return values, nil
	}
	alone, err := fill(ctx, c, kind, keys, words, generations, missing, values, load)
	if err != nil || alone || len(keys) == 1 || slices.Equal(generations, c.settled(ctx, words, nil, redisconn.Mark{})) && !slices.Contains(generations, "") {
		return values, err
	}
	// Some are from before a change that others are from after: what moved from one to
	// the other could be in both, or in neither. One query sees one state.
	return load(ctx, places(len(keys)))
}

func places(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func (c *Cache) copyKey(kind, key, generation string) string {
	return "copy:" + c.version + ":" + kind + ":" + key + ":" + tokenOf(generation)
}

// fromRedis fills in the values that Redis has copies of, keeps them in the process,
// and returns what is still missing.
func fromRedis[V any](ctx context.Context, c *Cache, kind *Kind[V], keys, generations []string, missing []int, values []V) []int {
	var names []string
	var asked, still []int
	for _, i := range missing {
		if generations[i] == "" {
			still = append(still, i)
			continue
		}
		names, asked = append(names, c.copyKey(kind.Name, keys[i], generations[i])), append(asked, i)
	}
	if len(asked) == 0 {
		return still
	}
	copies, err := c.read(ctx, names)
	if err != nil {
		c.metrics.errors.Inc()
		return missing
	}
	found := 0
	for n, i := range asked {
		text, ok := copies[n].(string)
		if !ok {
			still = append(still, i)
			continue
		}
		value, err := kind.Decode([]byte(text))
		if err != nil {
			// Of another version of the program, perhaps.
			slog.DebugContext(ctx, "copy not read", "kind", kind.Name, "error", err)
			still = append(still, i)
			continue
		}
		values[i] = value
		c.keep(kind.Name, keys[i], generations[i], value, kind.Size(value))
		found++
	}
	c.metrics.hit(kind.Name, levelRedis, found, time.Time{})
	return still
}

// read is MGET, or in a cluster, where the copies lie on several nodes, GETs.
func (c *Cache) read(ctx context.Context, names []string) ([]any, error) {
	if !c.cluster {
		return c.redis.MGet(ctx, names...).Result()
	}
	pipe := c.redis.Pipeline()
	for _, name := range names {
		pipe.MGet(ctx, name)
	}
	commands, err := pipe.Exec(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]any, 0, len(names))
	for _, command := range commands {
		values, _ := command.(interface{ Val() []any })
		all = append(all, values.Val()...)
	}
	return all, nil
}

// seat is a value that is missing: its place, and the flight that brings it; nil for
// one of no settled generation.
type seat struct {
	place  int
	flight *flight
}

// fill loads what is missing, or waits for those who load it already, and keeps it. It
// reports whether one query brought all the values.
func fill[V any](
	ctx context.Context, c *Cache, kind *Kind[V], keys, words, generations []string, missing []int, values []V,
	load func(ctx context.Context, missing []int) ([]V, error),
) (alone bool, err error) {
	if c == nil {
		loaded, err := load(ctx, missing)
		copy(values, loaded) // All of them were missing.
		return true, err
	}
	c.metrics.miss(kind.Name, len(missing))
	var mine, others []seat
	for _, i := range missing {
		// What has no settled generation is loaded for this request alone: somebody
		// else's query may have begun before a change that this one is to see.
		if generations[i] == "" {
			mine = append(mine, seat{place: i})
			continue
		}
		f, first := c.flights.join(c.copyKey(kind.Name, keys[i], generations[i]))
		if !first {
			others = append(others, seat{place: i, flight: f})
			continue
		}
		// One that landed since we looked has left a copy.
		if e, ok := c.local.GetIfPresent(localKey{kind.Name, keys[i]}); ok && e.generation == generations[i] {
			values[i] = e.value.(V) //nolint:forcetypeassert // A kind's name stands for one type.
			c.flights.land(f, e.value, nil)
			continue
		}
		mine = append(mine, seat{place: i, flight: f})
	}
	if len(mine) > 0 {
		if err := lead(ctx, c, kind, keys, words, generations, mine, values, load); err != nil {
			return false, err
		}
	}
	for _, s := range others {
		value, err := s.flight.wait(ctx)
		if err != nil {
			return false, err
		}
		values[s.place] = value.(V) //nolint:forcetypeassert // The flight's name has the kind's.
	}
	return len(mine) == len(keys), nil
}

// errAbandoned is what those who wait get when the load that they wait for panics.
var errAbandoned = errors.New("cache: the load was abandoned")

// lead loads values for their seats and for all who wait for the same.
func lead[V any](
	ctx context.Context, c *Cache, kind *Kind[V], keys, words, generations []string, mine []seat, values []V,
	load func(ctx context.Context, missing []int) ([]V, error),
) error {
	err := errAbandoned
	defer func() {
		for _, s := range mine {
			if s.flight != nil {
				c.flights.land(s.flight, values[s.place], err)
			}
		}
	}()
	places := make([]int, len(mine))
	for n, s := range mine {
		places[n] = s.place
	}
	// Who waits does not depend on whether the first is still there.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
	defer cancel()
	begun := time.Now()
	var loaded []V
	if loaded, err = load(ctx, places); err != nil {
		return err
	}
	c.metrics.loads.WithLabelValues(kind.Name).Observe(time.Since(begun).Seconds())
	for n, i := range places {
		values[i] = loaded[n]
	}
	pipe := c.redis.Pipeline()
	for _, i := range c.unchanged(ctx, words, generations, places) {
		c.keep(kind.Name, keys[i], generations[i], values[i], kind.Size(values[i]))
		pipe.Set(ctx, c.copyKey(kind.Name, keys[i], generations[i]), kind.Encode(values[i]), life())
	}
	if pipe.Len() > 0 {
		if _, failed := pipe.Exec(ctx); failed != nil {
			c.metrics.errors.Inc() // The next one loads it again.
		}
	}
	return nil
}

// unchanged returns those of the places whose words have settled generations, the same
// still. What is loaded across a change may be from after it: somebody who has asked for
// the generations before it would take it to be of one state with copies of other words.
func (c *Cache) unchanged(ctx context.Context, words, generations []string, places []int) []int {
	var settled, same []int
	var asked []string
	for _, i := range places {
		if generations[i] != "" {
			settled, asked = append(settled, i), append(asked, words[i])
		}
	}
	if len(settled) == 0 {
		return nil
	}
	for n, generation := range c.settled(ctx, asked, nil, redisconn.Mark{}) {
		if i := settled[n]; generation == generations[i] {
			same = append(same, i)
		}
	}
	return same
}

func (c *Cache) keep(kind, key, generation string, value any, size int) {
	c.local.Set(localKey{kind, key}, entry{generation: generation, value: value, bytes: size, at: time.Now()})
}
