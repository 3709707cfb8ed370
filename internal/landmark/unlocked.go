package landmark

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/internal/cache"
)

// maxUnlocked bounds how many unlocks of one user are kept. Who has more is rare,
// and PostGIS is asked for them.
const maxUnlocked = 50_000

// unlockedSet is what a user has unlocked.
type unlockedSet map[uuid.UUID]struct{}

func (s unlockedSet) has(id uuid.UUID) bool {
	_, found := s[id]
	return found
}

// tooMany reports whether the set is cut off.
func (s unlockedSet) tooMany() bool { return len(s) > maxUnlocked }

// userWord is what stands for a user's unlocks in the cache's generations.
func userWord(user uuid.UUID) string { return "u" + user.String() }

var unlockedKind = &cache.Kind[unlockedSet]{
	Name: "unlocks",
	Encode: func(s unlockedSet) []byte {
		data := make([]byte, 0, len(s)*16)
		for id := range s {
			data = append(data, id[:]...)
		}
		return data
	},
	Decode: func(data []byte) (unlockedSet, error) {
		if len(data)%16 != 0 {
			return nil, errCutOff
		}
		s := make(unlockedSet, len(data)/16)
		for id := range slices.Chunk(data, 16) {
			s[uuid.UUID(id)] = struct{}{}
		}
		return s, nil
	},
	Size: func(s unlockedSet) int { return len(s) * 32 }, // With the room that a map leaves.
}

// unlockedSQL is served by unlock_user_id_landmark_id.
const unlockedSQL = `-- name: landmark_unlocked
SELECT landmark_id FROM unlocks WHERE user_id = $1 AND deleted_at IS NULL ORDER BY landmark_id LIMIT $2`

// unlocked returns what a user has unlocked.
func (s *Service) unlocked(ctx context.Context, user uuid.UUID) (unlockedSet, error) {
	word := userWord(user)
	return cache.Get(ctx, s.cache, unlockedKind, word, word, func(ctx context.Context) (unlockedSet, error) {
		rows, err := s.store.Pool.Query(ctx, unlockedSQL, user, maxUnlocked+1)
		if err != nil {
			return nil, fmt.Errorf("unlocked landmarks: %w", err)
		}
		var id uuid.UUID
		ids := unlockedSet{}
		if _, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			ids[id] = struct{}{}
			return nil
		}); err != nil {
			return nil, fmt.Errorf("unlocked landmarks: %w", err)
		}
		return ids, nil
	})
}
