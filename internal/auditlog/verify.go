package auditlog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// chains is how many there are, numbered from 0: as many as audit_chain_heads has.
	chains = 16
	// verifyBatch is how many links are read at a time.
	verifyBatch = 2000
	// maxFaults is how many faults a report lists.
	maxFaults = 100
)

// Head is the end of a chain: its last link. One that is kept elsewhere proves later
// that the chain was not rewritten or cut off before it.
type Head struct {
	Chain int
	Seq   int64
	Hash  []byte
}

// FaultKind is what is wrong.
type FaultKind string

// What can be wrong with the log.
const (
	// RowChanged is a row that is not what it was when it was written.
	RowChanged FaultKind = "row_changed"
	// RowMissing is a link whose row is gone, without retention having dropped it.
	RowMissing FaultKind = "row_missing"
	// RowUnlinked is a row that is in no chain: it came into the table past the
	// triggers, or its link was removed.
	RowUnlinked FaultKind = "row_unlinked"
	// LinkChanged is a link with another hash than follows from the one before.
	LinkChanged FaultKind = "link_changed"
	// LinkMissing is a gap in a chain.
	LinkMissing FaultKind = "link_missing"
	// HeadMismatch is a chain that does not end where its head says.
	HeadMismatch FaultKind = "head_mismatch"
	// HeadLost is a head kept elsewhere that is not in its chain any more.
	HeadLost FaultKind = "head_lost"
	// PruningUnrecorded is a dropping of months that the log does not tell of.
	PruningUnrecorded FaultKind = "pruning_unrecorded"
)

// Fault is something wrong with the log.
type Fault struct {
	Kind FaultKind
	// Chain and Seq are the place; Chain is -1 where it is in none.
	Chain int
	Seq   int64
	// EntryID and CreatedAt tell the row; zero where it is about none.
	EntryID   uuid.UUID
	CreatedAt time.Time
	Detail    string
}

// Report is what a verification found.
type Report struct {
	// Rows is how many rows are what they were, each in its place.
	Rows int64
	// Pruned is how many links stand for rows that retention dropped, all of them
	// from before PrunedBefore.
	Pruned       int64
	PrunedBefore time.Time
	// Heads are the ends of the chains.
	Heads []Head
	// Faults are the first ones found, FaultCount how many there are.
	Faults     []Fault
	FaultCount int
}

// linksSQL walks a chain. The row is looked up for each link by its primary key (the
// limit keeps the planner from reading the whole log for it). It is written out as
// audit_link_hash of the migrations does it.
const linksSQL = `-- name: auditlog_links
SELECT l.seq, l.audit_id, l.audit_created_at, l.hash, a.row
FROM (SELECT * FROM audit_links WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3) l
LEFT JOIN LATERAL (
  SELECT convert_to(jsonb_build_array(
    id::text, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), actor_id::text, action, entity_type,
    entity_id::text, changes::text, ip_address, user_agent, request_id)::text, 'UTF8') AS row
  FROM audit_logs WHERE created_at = l.audit_created_at AND id = l.audit_id LIMIT 1
) a ON TRUE
ORDER BY l.seq`

// unlinkedSQL merges the log with its links; the primary key and audit_link_row are
// in the same order.
const unlinkedSQL = `-- name: auditlog_unlinked
SELECT a.id, a.created_at FROM audit_logs a
WHERE NOT EXISTS (
  SELECT FROM audit_links l WHERE l.audit_created_at = a.created_at AND l.audit_id = a.id AND l.chain BETWEEN 0 AND $1
)
ORDER BY a.created_at, a.id`

// Verify reads the whole log and finds what is not as it was written. What it finds
// wrong is in the report, an error is that it could not look. It sees the log of one
// moment and is no hindrance to those who write; kept are heads of an earlier
// verification, each of which has to be in its chain still. Without such heads a
// log that its owner rewrote as a whole, hashes and all, can't be told from a true one.
func (s *Service) Verify(ctx context.Context, kept []Head) (Report, error) {
	v := verification{}
	err := pgx.BeginTxFunc(ctx, s.store.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		v.tx = tx
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		if err := v.prunings(ctx); err != nil {
			return err
		}
		for chain := range chains {
			if err := v.chain(ctx, chain); err != nil {
				return err
			}
		}
		if err := v.unlinked(ctx); err != nil {
			return err
		}
		for _, head := range kept {
			if err := v.kept(ctx, head); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Report{}, fmt.Errorf("verify the audit log: %w", err)
	}
	return v.report, nil
}

// verification is one run of Verify.
type verification struct {
	tx     pgx.Tx
	report Report
}

func (v *verification) fault(f Fault) {
	v.report.FaultCount++
	if len(v.report.Faults) < maxFaults {
		v.report.Faults = append(v.report.Faults, f)
	}
}

// prunings looks up before when rows are rightly gone. Only the last pruning counts:
// the records of those before it may be among what it dropped.
func (v *verification) prunings(ctx context.Context) error {
	var (
		before time.Time
		id     uuid.UUID
		told   bool
	)
	err := v.tx.QueryRow(ctx, `-- name: auditlog_last_pruning
		SELECT p.before, p.audit_id, a.id IS NOT NULL
		FROM audit_prunings p LEFT JOIN audit_logs a ON a.id = p.audit_id AND a.created_at = p.at
		  AND a.action = 'audit_pruned' AND (a.changes->'before'->>'after')::timestamptz = p.before
		ORDER BY p.before DESC, p.at DESC LIMIT 1`).Scan(&before, &id, &told)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	case !told:
		v.fault(Fault{
			Kind: PruningUnrecorded, Chain: -1, EntryID: id,
			Detail: "audit_prunings says that all before " + before.UTC().Format(time.RFC3339) + " was dropped, the log does not",
		})
	default:
		v.report.PrunedBefore = before
	}
	return nil
}

// link is a link as it is read, with its row as text, nil when that is gone.
type link struct {
	seq       int64
	id        uuid.UUID
	createdAt time.Time
	hash      []byte
	row       []byte
}

// walk is where the verification of a chain stands.
type walk struct {
	chain int
	seq   int64
	hash  []byte
	// suspect is a link that does not fit its row. Either of them was changed; the
	// next link, which was made from the true hash, shows which. computed is the hash
	// that the suspect should have.
	suspect  *link
	computed []byte
}

// genesis is what the first link of a chain is made from.
func genesis(chain int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "picaspot audit chain %d", chain))
	return sum[:]
}

func linkHash(previous, row []byte) []byte {
	digest := sha256.New()
	digest.Write(previous)
	digest.Write(row)
	return digest.Sum(nil)
}

func (v *verification) chain(ctx context.Context, chain int) error {
	w := walk{chain: chain, hash: genesis(chain)}
	for {
		rows, err := v.tx.Query(ctx, linksSQL, chain, w.seq, verifyBatch)
		if err != nil {
			return err
		}
		var (
			l    link
			read int
		)
		_, err = pgx.ForEachRow(rows, []any{&l.seq, &l.id, &l.createdAt, &l.hash, &l.row}, func() error {
			read++
			v.link(&w, l)
			return nil
		})
		if err != nil {
			return err
		}
		if read < verifyBatch {
			return v.head(ctx, &w)
		}
	}
}

// link looks at the next link of a chain.
func (v *verification) link(w *walk, l link) {
	isGap := l.seq != w.seq+1
	if isGap {
		v.settle(w, false)
		v.fault(Fault{
			Kind: LinkMissing, Chain: w.chain, Seq: w.seq + 1,
			Detail: fmt.Sprintf("%d links are missing before link %d", l.seq-w.seq-1, l.seq),
		})
	}
	var computed []byte
	switch {
	case l.row == nil:
		v.settle(w, false)
		if l.createdAt.Before(v.report.PrunedBefore) {
			v.report.Pruned++
		} else {
			v.fault(Fault{Kind: RowMissing, Chain: w.chain, Seq: l.seq, EntryID: l.id, CreatedAt: l.createdAt, Detail: "the row is gone"})
		}
	case isGap:
		// What the link was made from is gone, so nothing tells whether its row is true.
	case bytes.Equal(l.hash, linkHash(w.hash, l.row)):
		v.settle(w, false)
		v.report.Rows++
	case w.suspect != nil && bytes.Equal(l.hash, linkHash(w.computed, l.row)):
		v.settle(w, true)
		v.report.Rows++
	default:
		v.settle(w, false)
		computed = linkHash(w.hash, l.row)
	}
	w.seq, w.hash = l.seq, bytes.Clone(l.hash)
	if computed != nil {
		l.row = nil
		w.suspect, w.computed = &l, computed
	}
}

// settle decides what was changed, a suspect's link or its row.
func (v *verification) settle(w *walk, isLink bool) {
	l := w.suspect
	if l == nil {
		return
	}
	w.suspect = nil
	f := Fault{Chain: w.chain, Seq: l.seq, EntryID: l.id, CreatedAt: l.createdAt}
	if f.Kind, f.Detail = RowChanged, "the row is not what was written"; isLink {
		f.Kind, f.Detail = LinkChanged, "the link has another hash than follows from the one before and its row"
		v.report.Rows++
	}
	v.fault(f)
}

// head compares the end of a chain with what the database keeps of it.
func (v *verification) head(ctx context.Context, w *walk) error {
	head := Head{Chain: w.chain}
	err := v.tx.QueryRow(ctx, "-- name: auditlog_head\nSELECT seq, hash FROM audit_chain_heads WHERE chain = $1", w.chain).Scan(&head.Seq, &head.Hash)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	isHere := err == nil && head.Seq == w.seq
	v.settle(w, w.suspect != nil && isHere && bytes.Equal(head.Hash, w.computed))
	switch {
	case err != nil:
		v.fault(Fault{Kind: HeadMismatch, Chain: w.chain, Seq: w.seq, Detail: "the chain has no head"})
	case !isHere:
		v.fault(Fault{
			Kind: HeadMismatch, Chain: w.chain, Seq: w.seq + 1,
			Detail: fmt.Sprintf("the chain ends at link %d, its head at %d", w.seq, head.Seq),
		})
	case !bytes.Equal(head.Hash, w.hash):
		v.fault(Fault{Kind: HeadMismatch, Chain: w.chain, Seq: w.seq, Detail: "the last link has another hash than the head"})
	}
	v.report.Heads = append(v.report.Heads, Head{Chain: w.chain, Seq: w.seq, Hash: w.hash})
	return nil
}

// unlinked looks for rows in no chain.
func (v *verification) unlinked(ctx context.Context) error {
	rows, err := v.tx.Query(ctx, unlinkedSQL, chains-1)
	if err != nil {
		return err
	}
	f := Fault{Kind: RowUnlinked, Chain: -1, Detail: "the row is in no chain"}
	_, err = pgx.ForEachRow(rows, []any{&f.EntryID, &f.CreatedAt}, func() error {
		v.fault(f)
		return nil
	})
	return err
}

// kept looks for a head from elsewhere in its chain.
func (v *verification) kept(ctx context.Context, head Head) error {
	hash := genesis(head.Chain)
	if head.Seq > 0 {
		err := v.tx.QueryRow(ctx, "-- name: auditlog_link\nSELECT hash FROM audit_links WHERE chain = $1 AND seq = $2", head.Chain, head.Seq).Scan(&hash)
		if errors.Is(err, pgx.ErrNoRows) {
			v.fault(Fault{Kind: HeadLost, Chain: head.Chain, Seq: head.Seq, Detail: "the chain has no such link any more"})
			return nil
		}
		if err != nil {
			return err
		}
	}
	if !bytes.Equal(hash, head.Hash) {
		v.fault(Fault{Kind: HeadLost, Chain: head.Chain, Seq: head.Seq, Detail: "the link has another hash than the one that was kept"})
	}
	return nil
}
