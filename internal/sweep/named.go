package sweep

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// named are the rows that name files, in the byte order of the keys.
type named struct {
	tx   pgx.Tx
	rows pgx.Rows
	// current is the first row that was not passed yet; done says that there is none.
	current Row
	done    bool
}

// named begins to read the rows that name files. They are sorted by the database, on
// its disk when they are many: an index that serves this would have to be written with
// each attempt. They arrive as fast as they are read.
func (s *Service) named(ctx context.Context) (_ *named, err error) {
	tx, err := s.store.Pool.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("read the rows that name files: %w", err)
	}
	n := &named{tx: tx}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	// The transaction lasts until the last file was listed.
	for _, limit := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		if _, err := tx.Exec(ctx, "SET LOCAL "+limit+" = 0"); err != nil {
			return nil, fmt.Errorf("read the rows that name files: %w", err)
		}
	}
	if n.rows, err = tx.Query(ctx, namedSQL); err != nil {
		return nil, fmt.Errorf("read the rows that name files: %w", err)
	}
	return n, nil
}

// namedSQL reads all columns that name files. No index serves it.
var namedSQL = "-- name: sweep_named\nSELECT * FROM (" + selects() + `) named(key, table_name, column_name, id) WHERE key <> '' ORDER BY key COLLATE "C"`

func selects() string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = fmt.Sprintf("(SELECT %s->>'key', '%s', '%s', id FROM %s)", c.Name, c.Table, c.Name, c.Table)
	}
	return strings.Join(parts, " UNION ALL ")
}

// next reads the next row.
func (n *named) next() error {
	if !n.rows.Next() {
		n.done = true
		if err := n.rows.Err(); err != nil {
			return fmt.Errorf("read the rows that name files: %w", err)
		}
		return nil
	}
	r := &n.current
	if err := n.rows.Scan(&r.Key, &r.Table, &r.Column, &r.ID); err != nil {
		return fmt.Errorf("read the rows that name files: %w", err)
	}
	return nil
}

// skipTo passes the rows up to a key, or all when it is empty, and reports whether one
// names the key. Rows that it passes before the key name files that are not there.
func (n *named) skipTo(key string, report *Report) (found bool, err error) {
	for !n.done && (key == "" || n.current.Key <= key) {
		report.Rows++
		if n.current.Key == key {
			found = true
		} else {
			report.MissingCount++
			if len(report.Missing) < maxListed {
				report.Missing = append(report.Missing, n.current)
			}
		}
		if err := n.next(); err != nil {
			return false, err
		}
	}
	return found, nil
}

func (n *named) close() {
	if n.rows != nil {
		n.rows.Close()
	}
	_ = n.tx.Rollback(context.Background()) // It has read only.
}
