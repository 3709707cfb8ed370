package search

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/picaspot/picaspot/internal/page"
)

const (
	// Limit is how many matches a search counts and ranks. Of more, those whose names
	// begin with what was typed come first; which others is up to the database.
	Limit = 1000
	// maxNamed is how many of the names that begin with what was typed are read.
	maxNamed = 100
	// few matches are so few that what was typed is taken for mistyped.
	few = 5
	// stretch is how many rows are read in the order of a sort, to find matches of a
	// search that has more than Limit.
	stretch = 2000
)

// begin sets what bounds a search: room for a bitmap of millions of rows, and one order
// for a scan of a table, or the first thousand matches would be others each time.
const begin = `-- name: search_begin
BEGIN READ ONLY; SET LOCAL work_mem = '64MB'; SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL pg_trgm.similarity_threshold = 0.25`

// Table is one that is searched: it has a name, a description, and the indexes
// <name>_search and <name>_name of its living rows.
type Table string

// The tables with names and descriptions.
const (
	Areas     Table = "areas"
	Landmarks Table = "landmarks"
)

// samples are conditions that a small part of a table's rows meets, whatever their
// words, and that an index <name>_search_sample has. A bitmap of all rows with a word
// takes a quarter of a second where millions have it; that of the part tells that they are
// more than [Limit] and has enough of them. Tables without one do not become that large.
var samples = map[Table]string{Landmarks: "get_byte(uuid_send(%s), 15) < 4"}

// Hit is a row that was found.
type Hit struct {
	ID   uuid.UUID
	keys map[string]any
}

// IDs are the ids of a page of hits.
func IDs(hits page.Result[Hit]) []uuid.UUID {
	ids := make([]uuid.UUID, len(hits.Items()))
	for i, h := range hits.Items() {
		ids[i] = h.ID
	}
	return ids
}

// Rows is a page of hits as the rows that they are, without those that have gone since.
func Rows[T any](hits page.Result[Hit], rows []T, id func(T) uuid.UUID) page.Result[T] {
	byID := make(map[uuid.UUID]T, len(rows))
	for _, row := range rows {
		byID[id(row)] = row
	}
	return page.Choose(hits, func(h Hit) (T, bool) {
		row, there := byID[h.ID]
		return row, there
	})
}

// Search is what is looked for and where.
type Search struct {
	Pool  *pgxpool.Pool
	Table Table
	// Text is what was typed.
	Text string
	// Where narrows the rows, as ent's predicates do.
	Where []func(*sql.Selector)
	Query page.Query
}

// Page returns the page of the query. A search by relevance holds [Limit] rows at most;
// by anything else it holds all matches, of which Limit are counted.
func (s Search) Page(ctx context.Context) (page.Result[Hit], error) {
	var n count
	return page.Fetch(ctx, s.Query, page.Source[Hit]{
		List: func(ctx context.Context, limit, offset int) (hits []Hit, err error) {
			err = pgx.BeginTxFunc(ctx, s.Pool, pgx.TxOptions{BeginQuery: begin}, func(tx pgx.Tx) error {
				hits, n, err = s.find(ctx, tx, limit, offset)
				return err
			})
			return hits, err
		},
		Count:        func(context.Context) (int, error) { return min(n.rows, Limit), nil },
		IsLowerBound: func() bool { return n.more },
		Key: func(h Hit, column string) any {
			if column == "id" {
				return h.ID
			}
			return h.keys[column]
		},
	})
}

// count is how many matches were read, and whether there are more.
type count struct {
	rows int
	more bool
}

func (s Search) find(ctx context.Context, tx pgx.Tx, limit, offset int) ([]Hit, count, error) {
	text, err := Parse(ctx, tx, s.Text)
	if err != nil || text.key == "" {
		return nil, count{}, err
	}
	query := text.Query()
	hits, n, err := s.matches(ctx, tx, text, query, limit, offset)
	switch {
	case err != nil:
		return nil, count{}, err
	case n.rows < few && query != "":
		if err := text.correct(ctx, tx); err != nil {
			return nil, count{}, err
		}
		return s.matches(ctx, tx, text, text.loose(), limit, offset)
	case n.more && !s.Query.ByRelevance():
		hits, err = s.sorted(ctx, tx, text, limit, offset)
	}
	return hits, n, err
}

// matches reads up to [Limit] matches and returns a page of them. <table>_name serves the names, and
// <table>_search_sample and <table>_search the words, unless the planner takes the index of a
// filter that leaves fewer rows.
func (s Search) matches(ctx context.Context, tx pgx.Tx, text Text, query string, limit, offset int) ([]Hit, count, error) {
	columns := s.columns("name")
	named := s.rows(columns...)
	named.Where(begins(named, text)).OrderExpr(sql.Expr(through(named.C("name")))).OrderBy(named.C("id")).Limit(maxNamed + 1)
	b := builder("-- name: search_find\nWITH named AS MATERIALIZED (").Join(named).WriteString(")")
	if query == "" {
		b.WriteString(", found AS (SELECT * FROM named)")
	} else {
		s.worded(b, columns, query)
		b.WriteString(", found AS MATERIALIZED (SELECT * FROM named UNION SELECT * FROM worded)")
	}
	if query != text.Query() {
		// So few that they are told apart by their ids, and not each of a thousand by its words.
		typed := s.rows("id")
		typed.Where(contains(described(typed), text.Query())).Limit(few)
		b.WriteString(", typed AS MATERIALIZED (").Join(typed).WriteString(")")
	}
	b.WriteString(", best AS (SELECT t.*, ")
	if s.Query.ByRelevance() {
		rank(b, text, query)
	} else {
		b.WriteString("0")
	}
	b.WriteString(fmt.Sprintf(" AS %s FROM found t, LATERAL (SELECT name_key(t.name) AS key OFFSET 0) k", page.Relevance))
	if s.Query.ByRelevance() {
		b.WriteString(fmt.Sprintf(" ORDER BY %s DESC, id DESC LIMIT %d", page.Relevance, Limit))
	}
	b.WriteString(") SELECT counted.*, page.* FROM (SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM named)) counted LEFT JOIN (")
	b.Join(s.page(sql.Table("best"), limit, offset)).WriteString(") page ON TRUE ORDER BY " + s.Query.OrderBy())
	return s.read(ctx, tx, b)
}

// worded writes the rows that have the words of a tsquery, more than [Limit] at most.
func (s Search) worded(b *sql.Builder, columns []string, query string) {
	rows := s.rows(columns...)
	rows.Where(contains(described(rows), query)).Limit(Limit + 1)
	sample, ok := samples[s.Table]
	if !ok {
		b.WriteString(", worded AS (").Join(rows).WriteString(")")
		return
	}
	sampled := rows.Clone().Where(sql.ExprP(fmt.Sprintf(sample, rows.C("id"))))
	rows.Where(sql.ExprP("(SELECT count(*) FROM sampled) <= " + strconv.Itoa(Limit)))
	b.WriteString(", sampled AS MATERIALIZED (").Join(sampled).WriteString("), worded AS ((").Join(rows)
	b.WriteString(fmt.Sprintf(") UNION ALL SELECT * FROM sampled WHERE (SELECT count(*) FROM sampled) > %d)", Limit))
}

// rank writes how well a row fits: the whole name, then how the name begins, then all
// words in the name, then all words, then words that were corrected; among these, how
// much of the name it is.
func rank(b *sql.Builder, text Text, query string) {
	typed := text.Query()
	b.WriteString("CASE WHEN k.key = ").Arg(text.key).WriteString(" THEN 4")
	b.WriteString(" WHEN starts_with(k.key, ").Arg(text.key).WriteString(") THEN 3")
	if query != typed {
		b.WriteString(" WHEN t.id NOT IN (SELECT id FROM typed) THEN 0")
	}
	if typed != "" {
		b.WriteString(" WHEN search_vector(t.name) @@ ").Arg(typed).WriteString("::tsquery THEN 2")
	}
	b.WriteString(" ELSE 1 END")
	b.WriteString(" + 0.9 * similarity(k.key, ").Arg(text.key).WriteString(")")
}

// sorted reads a page of all matches, of which there are more than [Limit]. Most likely
// they are many enough to fill it from the rows that come next in the order of the sort,
// which the index of that serves; else all of them are read, as above, and sorted.
func (s Search) sorted(ctx context.Context, tx pgx.Tx, text Text, limit, offset int) ([]Hit, error) {
	next := s.rows(s.columns("name", "description")...)
	s.Query.Where(next)
	s.Query.Order(next)
	next.Limit(stretch)
	hits := s.page(sql.Table("next"), limit, offset)
	hits.Where(matching(hits, text, text.Query()))
	b := builder("-- name: search_next\nWITH next AS (").Join(next).WriteString(") SELECT 0, 0, hits.* FROM (").Join(hits).WriteString(") hits")
	found, _, err := s.read(ctx, tx, b)
	if err != nil || len(found) == limit {
		return found, err
	}
	all := s.rows("id")
	all.Where(matching(all, text, text.Query()))
	b = builder("-- name: search_all\nWITH found AS MATERIALIZED (").Join(all)
	b.WriteString(fmt.Sprintf("), best AS (SELECT t.* FROM found JOIN %s t USING (id)) SELECT 0, 0, hits.* FROM (", s.Table))
	found, _, err = s.read(ctx, tx, b.Join(s.page(sql.Table("best"), limit, offset)).WriteString(") hits"))
	return found, err
}

// columns are the id, the columns of the table that the page is sorted by, and others,
// each once.
func (s Search) columns(others ...string) []string {
	columns := []string{"id"}
	for _, name := range append(s.Query.Keys(), others...) {
		if name != page.Relevance && !slices.Contains(columns, name) {
			columns = append(columns, name)
		}
	}
	return columns
}

// keys are the id and what the page is sorted by.
func (s Search) keys() []string {
	if s.Query.ByRelevance() {
		return append(s.columns(), page.Relevance)
	}
	return s.columns()
}

// page selects the page from a relation that has the columns.
func (s Search) page(from sql.TableView, limit, offset int) *sql.Selector {
	selector := sql.Dialect(dialect.Postgres).Select().From(from)
	for _, name := range s.keys() {
		selector.AppendSelect(selector.C(name))
	}
	s.Query.Where(selector)
	s.Query.Order(selector)
	return selector.Limit(limit).Offset(offset)
}

// rows selects the living rows that the filters leave.
func (s Search) rows(columns ...string) *sql.Selector {
	table := sql.Table(string(s.Table))
	selector := sql.Dialect(dialect.Postgres).Select(table.Columns(columns...)...).From(table)
	selector.Where(sql.IsNull(selector.C("deleted_at")))
	for _, narrow := range s.Where {
		narrow(selector)
	}
	return selector
}

// read executes a statement whose rows are how many matches there are, and how many of
// them by their names, and the columns, which are NULL when the page is empty.
func (s Search) read(ctx context.Context, tx pgx.Tx, b *sql.Builder) (hits []Hit, n count, err error) {
	statement, args := b.Query()
	rows, err := tx.Query(ctx, statement, args...)
	if err != nil {
		return nil, count{}, fmt.Errorf("search %s: %w", s.Table, err)
	}
	defer rows.Close()
	columns := s.keys()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, count{}, fmt.Errorf("search %s: %w", s.Table, err)
		}
		all, _ := values[0].(int64)
		named, _ := values[1].(int64)
		n = count{int(all), all > Limit || named > maxNamed}
		id, ok := values[2].([16]byte)
		if !ok {
			continue
		}
		hit := Hit{ID: id, keys: map[string]any{}}
		for i, name := range columns[1:] {
			hit.keys[name] = values[i+3]
		}
		hits = append(hits, hit)
	}
	if err := rows.Err(); err != nil {
		return nil, count{}, fmt.Errorf("search %s: %w", s.Table, err)
	}
	return hits, n, nil
}
