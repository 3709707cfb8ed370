package keyring

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/signingkey"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/token"
)

// publishLead is how long a key is published before it signs: longer than anybody
// keeps the JWKS, and than a process takes to know of it.
const publishLead = 10 * time.Minute

// Rotate adds a key that signs from ten minutes from now on, and retires the
// present ones once the last token that they signed has expired; tokenTTL is the
// life of a token. While a rotation is under way another one is a
// [fault.Conflict].
func (k *Keyring) Rotate(ctx context.Context, tokenTTL time.Duration) (uuid.UUID, error) {
	return k.rotate(ctx, time.Now().Add(publishLead), tokenTTL+token.Leeway)
}

// Replace is for keys that somebody else may have: a new one signs at once, and the
// tokens of all others are refused within seconds. Clients get new ones by their
// refresh tokens.
func (k *Keyring) Replace(ctx context.Context) (uuid.UUID, error) {
	return k.rotate(ctx, time.Now(), 0)
}

func (k *Keyring) rotate(ctx context.Context, from time.Time, overlap time.Duration) (uuid.UUID, error) {
	from = from.UTC().Truncate(time.Second)
	var added uuid.UUID
	err := k.locked(ctx, func(ctx context.Context, tx *store.Tx) error {
		if overlap > 0 {
			if err := noneUnderWay(ctx, tx); err != nil {
				return err
			}
		}
		retires := from.Add(overlap)
		err := tx.SigningKey.Update().
			Where(signingkey.Or(signingkey.RetiresAtIsNil(), signingkey.RetiresAtGT(retires))).
			SetRetiresAt(retires).Exec(ctx)
		if err != nil {
			return fmt.Errorf("retire signing keys: %w", err)
		}
		if added, err = k.add(ctx, tx, from); err != nil {
			return err
		}
		return audit.Insert(ctx, tx, audit.Event{Action: audit.KeysRotated, EntityType: "signing_key", EntityID: added})
	})
	if err != nil {
		return uuid.Nil, err
	}
	return added, k.Reload(ctx)
}

func noneUnderWay(ctx context.Context, tx *store.Tx) error {
	next, err := tx.SigningKey.Query().Where(signingkey.ActivatesAtGT(time.Now())).First(ctx)
	switch {
	case store.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("look for a rotation: %w", err)
	}
	return fault.New(fault.Conflict, "rotation_under_way", fmt.Sprintf("Key %s begins to sign at %s.", next.ID, next.ActivatesAt.Format(time.RFC3339)))
}

// List returns all keys, those that have retired too, the oldest first.
func (k *Keyring) List(ctx context.Context) ([]*ent.SigningKey, error) {
	return k.store.Ent.SigningKey.Query().Order(signingkey.ByActivatesAt()).All(ctx)
}
