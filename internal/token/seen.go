package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// shards keeps requests from waiting for one another's look-ups.
	shards = 32
	// evictionSample is how many entries are looked at to find one to drop.
	evictionSample = 8
)

// verified is the outcome of verifying a token, with the key that did it.
type verified struct {
	claims Claims
	key    *Key
}

// holds reports whether the outcome would be the same now: the token has not
// expired, and its key is still in the key set and is the same key.
func (v *verified) holds(keys *KeySet, now time.Time) bool {
	if !now.Before(v.claims.ExpiresAt) {
		return false
	}
	key := keys.verifier(v.claims.KeyID, now)
	return key == v.key || key != nil && v.key.Private.Public().(ed25519.PublicKey).Equal(key.Private.Public())
}

// seen remembers verified tokens by their SHA-256, never the tokens themselves.
// Only tokens that we signed get in, so that nobody else can fill it.
type seen struct {
	shards [shards]shard
	// limit is how many entries a shard may have.
	limit int
}

type shard struct {
	mu      sync.RWMutex
	entries map[[sha256.Size]byte]verified
}

func newSeen(size int) *seen {
	s := &seen{limit: max(1, size/shards)}
	for i := range s.shards {
		s.shards[i].entries = make(map[[sha256.Size]byte]verified)
	}
	return s
}

func (s *seen) shard(digest [sha256.Size]byte) *shard { return &s.shards[digest[0]%shards] }

func (s *seen) get(digest [sha256.Size]byte) (verified, bool) {
	sh := s.shard(digest)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	v, ok := sh.entries[digest]
	return v, ok
}

// put remembers an outcome. A full shard drops, of a few entries picked at
// random, one that has expired or else the one that expires first.
func (s *seen) put(digest [sha256.Size]byte, v verified, now time.Time) {
	sh := s.shard(digest)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, replaces := sh.entries[digest]; !replaces && len(sh.entries) >= s.limit {
		sh.evict(now)
	}
	sh.entries[digest] = v
}

func (sh *shard) evict(now time.Time) {
	var (
		oldest  [sha256.Size]byte
		expires time.Time
		looked  int
	)
	for digest, entry := range sh.entries {
		if looked == 0 || entry.claims.ExpiresAt.Before(expires) {
			oldest, expires = digest, entry.claims.ExpiresAt
		}
		if looked++; looked == evictionSample || !now.Before(expires) {
			break
		}
	}
	delete(sh.entries, oldest)
}
