package search

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// walked is how many ids [Walk] reads at a time. Each time the index is read for all
// matches and they are put in order, so it is many: 24 bytes each.
const walked = 100_000

// Walk reads all rows that a search finds, the oldest first, as often as its next ids
// are asked for. Neither a connection nor a snapshot is held in between.
type Walk struct {
	search Search
	text   Text
	// query is the tsquery of the text, as it was typed or corrected.
	query string
	// last is where the next ids go on.
	last struct {
		createdAt time.Time
		id        uuid.UUID
	}
	// size is how many ids are read at a time.
	size            int
	isBegun, isDone bool
}

// Walk begins to read all that is found. The search's query of a page plays no part.
func (s Search) Walk() *Walk { return &Walk{search: s, size: walked} }

// Next returns the ids of the rows that come next, none when there are no more.
func (w *Walk) Next(ctx context.Context) (ids []uuid.UUID, err error) {
	if w.isDone {
		return nil, nil
	}
	err = pgx.BeginTxFunc(ctx, w.search.Pool, pgx.TxOptions{BeginQuery: begin}, func(tx pgx.Tx) error {
		if w.isBegun {
			ids, err = w.read(ctx, tx)
			return err
		}
		ids, err = w.begin(ctx, tx)
		return err
	})
	w.isDone = err == nil && len(ids) < w.size
	return ids, err
}

// begin takes the text apart, and for mistyped if it has few matches, as a page does.
func (w *Walk) begin(ctx context.Context, tx pgx.Tx) (ids []uuid.UUID, err error) {
	if w.text, err = Parse(ctx, tx, w.search.Text); err != nil || w.text.key == "" {
		return nil, err
	}
	w.query, w.isBegun = w.text.Query(), true
	ids, err = w.read(ctx, tx)
	if err != nil || len(ids) >= few || w.query == "" {
		return ids, err
	}
	if err := w.text.correct(ctx, tx); err != nil {
		return nil, err
	}
	w.query = w.text.loose()
	w.last.createdAt, w.last.id = time.Time{}, uuid.Nil
	return w.read(ctx, tx)
}

// read reads the next ids. <table>_search and <table>_name serve the matches, unless the
// planner takes the index of a filter that leaves fewer rows.
func (w *Walk) read(ctx context.Context, tx pgx.Tx) ([]uuid.UUID, error) {
	found := w.search.rows("id", "created_at")
	found.Where(matching(found, w.text, w.query))
	if w.last.id != uuid.Nil {
		found.Where(sql.CompositeGT([]string{found.C("created_at"), found.C("id")}, w.last.createdAt, w.last.id))
	}
	b := builder("-- name: search_walk\nWITH found AS MATERIALIZED (").Join(found)
	b.WriteString(fmt.Sprintf(") SELECT id, created_at FROM found ORDER BY created_at, id LIMIT %d", w.size))
	statement, args := b.Query()
	rows, err := tx.Query(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("search all %s: %w", w.search.Table, err)
	}
	var ids []uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&w.last.id, &w.last.createdAt}, func() error {
		ids = append(ids, w.last.id)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("search all %s: %w", w.search.Table, err)
	}
	return ids, nil
}
