package idempotency

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/internal/store"
)

// claim is a request's hold on a key.
type claim struct {
	id      uuid.UUID
	userID  uuid.UUID
	keyHash []byte
}

func newClaim(userID uuid.UUID, key string) claim {
	hash := sha256.Sum256([]byte(key))
	return claim{id: uuid.New(), userID: userID, keyHash: hash[:]}
}

// claimSQL takes a key that is free: new, expired, or claimed by a request that
// died. Otherwise it returns what is known of the request that has the key, which
// is nothing when that one came at the same moment. It does not wait for the disk: a
// claim that a crash of the database takes along had its request ended by it too,
// and an answer is never on disk before its claim.
const claimSQL = `-- name: idempotency_claim
WITH claimed AS (
  INSERT INTO idempotency_keys AS k (user_id, key_hash, claim, fingerprint, claimed_until, expires_at)
  SELECT $1::uuid, $2::bytea, $3::uuid, $4::bytea, now() + $5::interval, now() + $6::interval
  WHERE set_config('synchronous_commit', 'off', true) = 'off'
  ON CONFLICT (user_id, key_hash) DO UPDATE SET
    claim = excluded.claim, fingerprint = excluded.fingerprint, answer = NULL,
    claimed_until = excluded.claimed_until, expires_at = excluded.expires_at
  WHERE k.expires_at <= now() OR (k.answer IS NULL AND k.claimed_until <= now())
  RETURNING claim
)
SELECT true, NULL::bytea, NULL::bytea FROM claimed
UNION ALL
SELECT false, fingerprint, answer FROM idempotency_keys
WHERE user_id = $1 AND key_hash = $2 AND expires_at > now() AND NOT EXISTS (SELECT FROM claimed)`

// holder is what is known of the request that has a key.
type holder struct {
	// claimed tells that it is the one that asked.
	claimed bool
	// fingerprint is nil while its body still arrives, answer until there is one.
	fingerprint, answer []byte
}

// claim takes a key for as long as its request may take, or tells who has it.
func (s *Service) claim(ctx context.Context, c claim, asked []byte, lasts time.Duration) (holder, error) {
	var h holder
	err := s.store.Pool.QueryRow(ctx, claimSQL, c.userID, c.keyHash, c.id, asked, lasts, Retention).
		Scan(&h.claimed, &h.fingerprint, &h.answer)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return holder{}, store.Classify(fmt.Errorf("claim the idempotency key: %w", err))
	}
	return h, nil
}

const recordSQL = `-- name: idempotency_record
UPDATE idempotency_keys SET fingerprint = $4, answer = $5
WHERE user_id = $1 AND key_hash = $2 AND claim = $3`

// record writes the answer, or fails when another request has the key by now.
func (c claim) record(ctx context.Context, tx *store.Tx, asked, sealed []byte) error {
	result, err := tx.ExecContext(ctx, recordSQL, c.userID, c.keyHash, c.id, asked, sealed)
	if err != nil {
		return fmt.Errorf("record the answer: %w", err)
	}
	if recorded, err := result.RowsAffected(); err != nil || recorded == 0 {
		return errors.Join(err, errInProgress)
	}
	return nil
}

const releaseSQL = `-- name: idempotency_release
DELETE FROM idempotency_keys WHERE user_id = $1 AND key_hash = $2 AND claim = $3 AND answer IS NULL`
