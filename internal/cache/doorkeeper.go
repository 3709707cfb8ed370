package cache

import (
	"hash/maphash"
	"sync/atomic"
	"time"
)

const (
	// doors is how many keys a doorkeeper tells apart, about.
	doors = 1 << 19
	// remembered is for how many minutes it remembers a key.
	remembered = 10
)

// doorkeeper tells what was asked for before, so that no work goes into copies of
// what is asked for once. Two keys may be taken for one, which costs a copy made too
// early (G. Einziger, R. Friedman, B. Manes, "TinyLFU", ACM ToS 13 (2017), section 3.4.2).
type doorkeeper struct {
	seed  maphash.Seed
	begun time.Time
	// seen is the minute, counted from 1, in which a key was last asked for.
	seen [doors]atomic.Uint32
}

func newDoorkeeper() *doorkeeper { return &doorkeeper{seed: maphash.MakeSeed(), begun: time.Now()} }

func (d *doorkeeper) door(key string) *atomic.Uint32 {
	return &d.seen[maphash.String(d.seed, key)%doors]
}

func (d *doorkeeper) now() uint32 { return uint32(time.Since(d.begun)/time.Minute) + 1 } //nolint:gosec // Thousands of years.

func recent(last, now uint32) bool { return last != 0 && now-last <= remembered }

// Popular reports whether all of the keys were asked for before, lately, in this
// process, so that copies of them are worth their while. While Redis is away none are.
func (c *Cache) Popular(keys []string) bool {
	if c == nil || c.redis.Away() {
		return false
	}
	now := c.doors.now()
	for _, key := range keys {
		if !recent(c.doors.door(key).Load(), now) {
			return false
		}
	}
	return true
}

// Note is [Cache.Popular], and remembers that the keys were asked for.
func (c *Cache) Note(keys []string) bool {
	if c == nil || c.redis.Away() {
		return false
	}
	now, popular := c.doors.now(), true
	for _, key := range keys {
		door := c.doors.door(key)
		last := door.Load()
		popular = recent(last, now) && popular
		if last != now {
			door.Store(now) // Written once a minute: the line stays in every core's cache.
		}
	}
	return popular
}
