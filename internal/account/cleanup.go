package account

import (
	"context"
	"fmt"
	"time"

	"github.com/picaspot/picaspot/ent/mailtoken"
	"github.com/picaspot/picaspot/ent/mixin"
	entsession "github.com/picaspot/picaspot/ent/session"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/store"
)

// How long what has no use any more is kept, so that it can be looked into.
const (
	endedSessionRetention = 90 * 24 * time.Hour
	mailTokenRetention    = 90 * 24 * time.Hour
	// unverifiedRetention is how long a registration may wait for the proof of its
	// address before its name is free again.
	unverifiedRetention = 7 * 24 * time.Hour
	// cleanUpBatch bounds how many rows one transaction removes.
	cleanUpBatch = 1000
)

// CleanUpArgs are the periodic job that removes what has expired.
type CleanUpArgs struct{}

// Kind names the job.
func (CleanUpArgs) Kind() string { return "account_clean_up" }

// CleanUp removes sessions and mail tokens that ended long ago, and registrations
// whose address was never proven.
func (s *Service) CleanUp(ctx context.Context) error {
	now := mixin.Now()
	for _, remove := range []func(context.Context, *store.Tx) (int, error){
		func(ctx context.Context, tx *store.Tx) (int, error) {
			old := now.Add(-endedSessionRetention)
			ids, err := tx.Session.Query().
				Where(entsession.Or(entsession.EndedAtLT(old), entsession.ExpiresAtLT(old), entsession.IdleExpiresAtLT(old))).
				Limit(cleanUpBatch).IDs(ctx)
			if err != nil || len(ids) == 0 {
				return 0, err
			}
			return tx.Session.Delete().Where(entsession.IDIn(ids...)).Exec(ctx)
		},
		func(ctx context.Context, tx *store.Tx) (int, error) {
			ids, err := tx.MailToken.Query().Where(mailtoken.ExpiresAtLT(now.Add(-mailTokenRetention))).Limit(cleanUpBatch).IDs(ctx)
			if err != nil || len(ids) == 0 {
				return 0, err
			}
			return tx.MailToken.Delete().Where(mailtoken.IDIn(ids...)).Exec(ctx)
		},
		func(ctx context.Context, tx *store.Tx) (int, error) {
			ids, err := tx.User.Query().
				Where(entuser.EmailVerifiedAtIsNil(), entuser.CreatedAtLT(now.Add(-unverifiedRetention))).
				ForUpdate().Limit(cleanUpBatch).IDs(ctx)
			if err != nil || len(ids) == 0 {
				return 0, err
			}
			return tx.User.Delete().Where(entuser.IDIn(ids...)).Exec(mixin.WithDeleted(ctx))
		},
	} {
		if err := s.inBatches(ctx, remove); err != nil {
			return fmt.Errorf("clean up accounts: %w", err)
		}
	}
	return nil
}

func (s *Service) inBatches(ctx context.Context, remove func(context.Context, *store.Tx) (int, error)) error {
	for {
		removed := 0
		err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			removed, err = remove(ctx, tx)
			return err
		})
		if err != nil || removed < cleanUpBatch {
			return err
		}
	}
}
