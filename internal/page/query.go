package page

import (
	"cmp"
	"strconv"
	"strings"

	"entgo.io/ent/dialect/sql"
)

// ByCursor reports whether the page is asked for by cursor.
func (q Query) ByCursor() bool { return q.keyset }

// Limit returns how many rows to fetch: by cursor one more than the page holds,
// which tells whether there is a next one.
func (q Query) Limit() int {
	if q.keyset {
		return q.Size + 1
	}
	return q.Size
}

// Offset returns how many rows to skip; 0 by cursor.
func (q Query) Offset() int {
	if q.keyset {
		return 0
	}
	return (q.Page - 1) * q.Size
}

// After returns the keys of the last row that was seen, the sort column's and the
// id's; nil at the start. It is for lists that are cut in memory.
func (q Query) After() []any { return q.after }

// Where is the ent predicate that skips what was seen already:
//
//	client.Area.Query().Where(q.Where).Order(q.Order)
//
// It is a row comparison, (created_at, id) < ($1, $2), which PostgreSQL answers
// from an index on both columns in that order.
func (q Query) Where(s *sql.Selector) {
	if q.after == nil {
		return
	}
	s.Where(sql.P(func(b *sql.Builder) {
		columns := make([]string, len(q.columns))
		for i, c := range q.columns {
			columns[i] = c.as(s.C(c.Name))
		}
		b.WriteString("(" + strings.Join(columns, ", ") + q.operator())
		for i, c := range q.columns {
			if i > 0 {
				b.Comma()
			}
			before, behind, _ := strings.Cut(cmp.Or(c.Through, "%s"), "%s")
			b.WriteString(before).Arg(q.after[i]).WriteString(behind)
		}
		b.WriteByte(')')
	}))
}

// operator stands between the two rows of a comparison, of what comes behind a row.
func (q Query) operator() string {
	if q.order == Desc {
		return ") < ("
	}
	return ") > ("
}

// Order is the ent order: the sort column, and the id to break ties, all in the same
// direction, as the row comparison needs it.
func (q Query) Order(s *sql.Selector) {
	for _, c := range q.columns {
		s.OrderExpr(sql.Expr(c.as(s.C(c.Name)) + " " + strings.ToUpper(string(q.order))))
	}
}

// Condition is [Query.Where] for plain SQL: a condition whose placeholders are
// numbered from first, and their arguments. At the start it is TRUE without any.
func (q Query) Condition(first int) (string, []any) {
	if q.after == nil {
		return "TRUE", nil
	}
	columns := make([]string, len(q.columns))
	placeholders := make([]string, len(q.columns))
	for i, c := range q.columns {
		columns[i] = c.as(c.Name)
		placeholders[i] = c.as("$" + strconv.Itoa(first+i))
	}
	return "(" + strings.Join(columns, ", ") + q.operator() + strings.Join(placeholders, ", ") + ")", q.after
}

// OrderBy is [Query.Order] for plain SQL: what stands behind ORDER BY.
func (q Query) OrderBy() string {
	terms := make([]string, len(q.columns))
	for i, c := range q.columns {
		terms[i] = c.as(c.Name) + " " + strings.ToUpper(string(q.order))
	}
	return strings.Join(terms, ", ")
}

// Keys are the names of the columns whose values a row's place is told by.
func (q Query) Keys() []string {
	names := make([]string, len(q.columns))
	for i, c := range q.columns {
		names[i] = c.Name
	}
	return names
}

// ByRelevance reports whether the page is of a search, the best first or last.
func (q Query) ByRelevance() bool { return q.columns[0].Name == Relevance }
