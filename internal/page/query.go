package page

import (
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
	columns := make([]string, len(q.columns))
	for i, c := range q.columns {
		columns[i] = s.C(c.Name)
	}
	if q.order == Desc {
		s.Where(sql.CompositeLT(columns, q.after...))
	} else {
		s.Where(sql.CompositeGT(columns, q.after...))
	}
}

// Order is the ent order: the sort column, and the id to break ties, both in the
// same direction, as the row comparison needs it.
func (q Query) Order(s *sql.Selector) {
	for _, c := range q.columns {
		if q.order == Desc {
			s.OrderBy(sql.Desc(s.C(c.Name)))
		} else {
			s.OrderBy(sql.Asc(s.C(c.Name)))
		}
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
		columns[i] = c.Name
		placeholders[i] = "$" + strconv.Itoa(first+i)
	}
	operator := ") > ("
	if q.order == Desc {
		operator = ") < ("
	}
	return "(" + strings.Join(columns, ", ") + operator + strings.Join(placeholders, ", ") + ")", q.after
}

// OrderBy is [Query.Order] for plain SQL: what stands behind ORDER BY.
func (q Query) OrderBy() string {
	terms := make([]string, len(q.columns))
	for i, c := range q.columns {
		terms[i] = c.Name + " " + strings.ToUpper(string(q.order))
	}
	return strings.Join(terms, ", ")
}
