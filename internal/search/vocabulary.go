package search

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ForgetArgs are the periodic job that removes words from the vocabulary.
type ForgetArgs struct{}

// Kind names the job.
func (ForgetArgs) Kind() string { return "search_vocabulary" }

// forgetSQL reads every name, so that nothing has to be counted when one is written. A
// word that comes back with a name while it runs may be lost: it is still found as it
// is written, and corrected again once another name has it.
const forgetSQL = `-- name: search_forget
WITH used AS (
  SELECT DISTINCT w.word
  FROM (SELECT name FROM areas UNION ALL SELECT name FROM landmarks) named, search_correctable(named.name) w (word)
)
DELETE FROM search_vocabulary v WHERE NOT EXISTS (SELECT FROM used u WHERE u.word = v.word)`

// Forget removes the words that no name has any more, neither of what lives nor of what
// is in the trash: what was purged leaves no trace.
func Forget(ctx context.Context, pool *pgxpool.Pool) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, forgetSQL)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget words: %w", err)
	}
	return nil
}
