// Package keyring holds the keys that sign access tokens. They lie in the
// database, sealed with the installation's secret, so that every replica signs
// and accepts the same ones.
package keyring

import (
	"context"
	"fmt"
	"log/slog"
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

// reloadInterval is within what time a process knows of a new key. It is far below
// [publishLead].
const reloadInterval = 10 * time.Second

// Watch takes in what other processes add or retire, until ctx ends. While the
// database is away the keys that were read last are in use.
func (k *Keyring) Watch(ctx context.Context) {
	tick := time.NewTicker(reloadInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := k.Reload(ctx); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "signing keys not read again", "error", err)
			}
		}
	}
}

func (k *Keyring) ensureKey(ctx context.Context) error {
	return k.locked(ctx, func(ctx context.Context, tx *store.Tx) error {
		exists, err := tx.SigningKey.Query().Where(signingkey.RetiresAtIsNil()).Exist(ctx)
		if err != nil || exists {
			return err
		}
		_, err = k.add(ctx, tx, time.Now().UTC().Truncate(time.Second))
		return err
	})
}

// locked runs fn in a transaction, one process at a time.
func (k *Keyring) locked(ctx context.Context, fn func(context.Context, *store.Tx) error) error {
	return k.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, "-- name: keyring_lock_creation\nSELECT pg_advisory_xact_lock($1)", int64(creationLock)); err != nil {
			return fmt.Errorf("lock the keyring: %w", err)
		}
		return fn(ctx, tx)
	})
}

// add makes a key that signs from a time on.
func (k *Keyring) add(ctx context.Context, tx *store.Tx, from time.Time) (uuid.UUID, error) {
	key, err := token.GenerateKey(from)
	if err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(key.ID)
	if err != nil {
		return uuid.Nil, fmt.Errorf("key id: %w", err)
	}
	sealed, err := token.Seal(k.secret, key.ID, key.Private)
	if err != nil {
		return uuid.Nil, err
	}
	if err := tx.SigningKey.Create().SetID(id).SetSealedPrivateKey(sealed).SetActivatesAt(from).Exec(ctx); err != nil {
		return uuid.Nil, fmt.Errorf("add a signing key: %w", err)
	}
	return id, nil
}
