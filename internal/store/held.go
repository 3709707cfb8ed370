package store

import (
	"context"

	"github.com/picaspot/picaspot/ent/mixin"
)

// Held is a transaction that [Store.InTx] leaves open, so that what is made of its
// outcome can become part of it.
type Held struct {
	store *Store
	tx    *Tx
	// broken is why it can't commit any more.
	broken error
}

type heldKey struct{}

// Hold returns a context in which all transactions are one: the first
// [Store.InTx] begins it, further ones go on with it, and none commits it.
// [Held.Commit] or [Held.Rollback] ends it. Until then nobody else sees what it
// changed, queries outside of it included, and it has a connection and its locks: a
// service that reads what it has written does so inside, or in [Tx.AfterCommit].
func Hold(ctx context.Context) (context.Context, *Held) {
	held := &Held{}
	return context.WithValue(ctx, heldKey{}, held), held
}

func heldFrom(ctx context.Context) *Held {
	held, _ := ctx.Value(heldKey{}).(*Held)
	return held
}

// Began reports whether there is a transaction to commit.
func (h *Held) Began() bool { return h.tx != nil }

// Commit runs last in the transaction and commits it. When either fails, or
// something before did, it is rolled back. There has to be a transaction, and the
// context is not one of [Hold].
func (h *Held) Commit(ctx context.Context, last func(ctx context.Context, tx *Tx) error) error {
	defer h.Rollback()
	if err := h.goOn(ctx, last); err != nil {
		return err
	}
	return h.store.commit(ctx, h.tx)
}

// Rollback undoes the transaction, unless it has ended or never begun.
func (h *Held) Rollback() {
	if h.tx != nil {
		_ = h.tx.tx.Rollback() // As in inTx.
	}
}

// goOn runs fn in the transaction. After an error PostgreSQL takes nothing more.
func (h *Held) goOn(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if h.broken == nil {
		h.broken = fn(mixin.InTx(ctx), h.tx)
	}
	return h.broken
}
