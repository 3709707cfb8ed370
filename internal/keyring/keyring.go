// Package keyring holds the keys that sign access tokens. They lie in the
// database, sealed with the installation's secret, so that every replica signs
// and accepts the same ones.
package keyring

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/signingkey"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

// creationLock is the advisory lock under which the first key is made.
const creationLock = 0x7069636100000002

// Keyring is the current set of keys.
type Keyring struct {
	store   *store.Store
	secret  []byte
	current atomic.Pointer[token.KeySet]
}

// Open loads the keys, and makes the first one in a new installation. The
// secret has to be the one that sealed them.
func Open(ctx context.Context, s *store.Store, secret []byte) (*Keyring, error) {
	k := &Keyring{store: s, secret: secret}
	if err := k.ensureKey(ctx); err != nil {
		return nil, err
	}
	return k, k.Reload(ctx)
}

// Keys returns the current set.
func (k *Keyring) Keys() *token.KeySet { return k.current.Load() }

// Reload takes in what other processes added or retired.
func (k *Keyring) Reload(ctx context.Context) error {
	now := time.Now()
	rows, err := k.store.Ent.SigningKey.Query().
		Where(signingkey.Or(signingkey.RetiresAtIsNil(), signingkey.RetiresAtGT(now))).All(ctx)
	if err != nil {
		return fmt.Errorf("load signing keys: %w", err)
	}
	keys := make([]token.Key, len(rows))
	for i, row := range rows {
		private, err := token.Open(k.secret, row.ID.String(), row.SealedPrivateKey)
		if err != nil {
			return fmt.Errorf("signing key %s does not open with PICASPOT_SECRET_KEY: %w", row.ID, err)
		}
		keys[i] = token.Key{
			ID: row.ID.String(), Private: private, CreatedAt: row.CreatedAt,
			NotBefore: row.ActivatesAt, RetiresAt: row.RetiresAt,
		}
	}
	set, err := token.NewKeySet(keys, now)
	if err != nil {
		return fmt.Errorf("load signing keys: %w", err)
	}
	k.current.Store(set)
	return nil
}

func (k *Keyring) ensureKey(ctx context.Context) error {
	return k.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(creationLock)); err != nil {
			return fmt.Errorf("lock the keyring: %w", err)
		}
		exists, err := tx.SigningKey.Query().Where(signingkey.RetiresAtIsNil()).Exist(ctx)
		if err != nil || exists {
			return err
		}
		now := time.Now().UTC().Truncate(time.Second)
		key, err := token.GenerateKey(now)
		if err != nil {
			return err
		}
		id, err := uuid.Parse(key.ID)
		if err != nil {
			return fmt.Errorf("key id: %w", err)
		}
		sealed, err := token.Seal(k.secret, key.ID, key.Private)
		if err != nil {
			return err
		}
		return tx.SigningKey.Create().SetID(id).SetSealedPrivateKey(sealed).SetActivatesAt(now).Exec(ctx)
	})
}
