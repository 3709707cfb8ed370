package session

import (
	"context"
	"time"

	"github.com/google/uuid"
)

var (
	MarkKey  = markKey
	EntryKey = entryKey
)

const Skew = skew

// SetGuard sets how long after a mark nothing is kept.
func (r *Registry) SetGuard(guard time.Duration) { r.guard = guard }

// Mark marks a user as changed.
func (r *Registry) Mark(ctx context.Context, user uuid.UUID) error { return r.mark(ctx, user) }

// Insist tries to mark a user until it is done.
func (r *Registry) Insist(ctx context.Context, user uuid.UUID) { r.insist(ctx, user) }
