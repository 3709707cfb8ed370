// Package page is how lists are cut: by number ([Offset], with a total) and by
// cursor ([Keyset], whose cost does not grow with depth). A list states once
// what it can be sorted by; [List.Resolve] checks what a request asks for, and
// the [Query] that comes out of it applies itself to ent or to plain SQL.
package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/picaspot/picaspot/internal/fault"
)

const (
	// DefaultSize is how many items a page has unless the request says otherwise.
	DefaultSize = 20
	// MaxSize is how many items a page may have.
	MaxSize = 100
	// MaxDepth is how many rows page and size may reach into a list: the database
	// reads and throws away all that stands before a page. Cursors have no limit.
	MaxDepth = 100_000
)

// Order is the direction of a sort.
type Order string

// The two directions.
const (
	Asc  Order = "asc"
	Desc Order = "desc"
)

// Type is the type of a column's values.
type Type uint8

// The types that a list can be sorted by. In a cursor each is kept exactly:
// integers of 64 bits, floats bit by bit, times to the nanosecond.
const (
	Text Type = iota + 1
	Integer
	Float
	Time
	UUID
)

// Column is something that a list can be sorted by. It must not be NULL in any
// row: a row comparison with NULL is neither true nor false, and the row would
// be in no page.
type Column struct {
	// Name is the column; for plain SQL it may be any expression, and it is
	// written into the query as it stands.
	Name string
	Type Type
	// Order is the direction unless the request names one; when it is empty,
	// times descend and everything else ascends.
	Order Order
	// Through is what values are compared by, with %s for the value: name_key(%s). It
	// holds for the column and for the key of a cursor, which is kept as it stands in the
	// row. Empty means the value itself.
	Through string
	// Then are columns that order rows of the same value, before the id does.
	Then []Column
}

// as is what the column compares a value by, which may be a placeholder.
func (c Column) as(value string) string {
	if c.Through == "" {
		return value
	}
	return strings.ReplaceAll(c.Through, "%s", value)
}

func (c Column) defaultOrder() Order {
	switch {
	case c.Order != "":
		return c.Order
	case c.Type == Time:
		return Desc
	default:
		return Asc
	}
}

// List is what is fixed about a list.
type List struct {
	// Name tells lists apart: a cursor of one is refused by every other.
	Name string
	// SortBy are the columns by the name that requests use.
	SortBy map[string]Column
	// Default is the key in SortBy that holds unless the request names another.
	Default string
	// ID is the unique column that breaks ties; "id", a UUID, when it is empty.
	ID Column
	// Ranked lists can be sorted by [Relevance] when they are searched, and are then
	// unless the request says otherwise.
	Ranked bool
	// CursorOnly lists have no page numbers; without a cursor they start.
	CursorOnly bool
}

// Relevance is the key that stands for how well a row fits what was searched for, in a
// column of this name, the best first.
const Relevance = "relevance"

var relevance = Column{Name: Relevance, Type: Float, Order: Desc}

// Params are what a request says about pagination; the zero value is its first
// page.
type Params struct {
	// Page counts from 1; 0 when it is not given.
	Page int
	// Size is how many items; 0 when it is not given.
	Size int
	// Cursor is nil when it is not given; an empty one starts.
	Cursor *string
	// SortBy is a key of [List.SortBy]; empty for the list's default.
	SortBy string
	// SortOrder is empty for the column's default.
	SortOrder Order
	// Searched tells that the list is narrowed by a search, so that its rows have a
	// relevance.
	Searched bool
}

// Query is a checked request for one page of a list.
type Query struct {
	// Page counts from 1; 0 when a cursor is used.
	Page int
	// Size is how many items the page holds at most.
	Size int

	columns []Column
	order   Order
	// after are the keys of the last row that was seen; nil at the start.
	after  []any
	keyset bool
	codec  *Codec
	print  fingerprint
}

// Resolve checks a request against the list. filters are whatever else narrows
// the list (query parameters, the caller where lists differ by it): a struct or
// a map that encoding/json can write; a cursor is good for the same filters and
// sort only.
//
// Faults are [fault.Invalid]: all of the parameters at once under the code
// "invalid_pagination", else a cursor that is none of ours as "invalid_cursor",
// or one from another query as "cursor_mismatch".
func (l List) Resolve(p Params, codec *Codec, filters any) (Query, error) {
	q := Query{Page: p.Page, Size: p.Size, keyset: p.Cursor != nil || l.CursorOnly, codec: codec}
	if q.Size == 0 {
		q.Size = DefaultSize
	}
	if q.Page == 0 && !q.keyset {
		q.Page = 1
	}
	sortBy := p.SortBy
	if sortBy == "" {
		sortBy = l.Default
		if l.Ranked && p.Searched {
			sortBy = Relevance
		}
	}
	column, known := l.SortBy[sortBy]
	if l.Ranked && sortBy == Relevance {
		column, known = relevance, true
	}
	q.order = p.SortOrder
	if q.order == "" {
		q.order = column.defaultOrder()
	}
	if fields := l.faults(p, q, known); len(fields) > 0 {
		return Query{}, fault.New(fault.Invalid, "invalid_pagination", "This page can't be asked for.").With(fields...)
	}

	id := l.ID
	if id.Name == "" {
		id = Column{Name: "id", Type: UUID}
	}
	q.columns = append([]Column{column}, column.Then...)
	if column.Name != id.Name {
		q.columns = append(q.columns, id)
	}
	if !q.keyset {
		return q, nil
	}
	var err error
	if q.print, err = newFingerprint(l.Name, sortBy, q.order, filters); err != nil {
		return Query{}, err
	}
	if p.Cursor != nil && *p.Cursor != "" {
		types := make([]Type, len(q.columns))
		for i, c := range q.columns {
			types[i] = c.Type
		}
		if q.after, err = codec.decode(*p.Cursor, q.print, types); err != nil {
			return Query{}, err
		}
	}
	return q, nil
}

func (l List) faults(p Params, q Query, sortKnown bool) []fault.Field {
	var fields []fault.Field
	add := func(parameter, code, format string, args ...any) {
		fields = append(fields, fault.Field{Parameter: parameter, Code: code, Message: fmt.Sprintf(format, args...)})
	}
	sizeFits := q.Size >= 1 && q.Size <= MaxSize
	if !sizeFits {
		add("size", "out_of_range", "The size is from 1 to %d.", MaxSize)
	}
	switch {
	case p.Page < 0:
		add("page", "out_of_range", "Pages count from 1.")
	case p.Page != 0 && l.CursorOnly:
		add("page", "not_supported", "This list has no page numbers. Use cursor.")
	case p.Page != 0 && p.Cursor != nil:
		add("cursor", "page_and_cursor", "Give either page or cursor, not both.")
	case sizeFits && q.Page > MaxDepth/q.Size:
		add("page", "too_deep", "Page numbers reach %d items deep. Use cursor to go on.", MaxDepth)
	}
	if !sortKnown {
		names := make([]string, 0, len(l.SortBy)+1)
		for name := range l.SortBy {
			names = append(names, name)
		}
		if l.Ranked {
			names = append(names, Relevance)
		}
		slices.Sort(names)
		add("sort_by", "unknown", "This list is sorted by one of: %s.", strings.Join(names, ", "))
	}
	if l.Ranked && p.SortBy == Relevance && !p.Searched {
		add("sort_by", "needs_search", "Only what was searched for has a relevance. Give search, or sort by something else.")
	}
	if q.order != Asc && q.order != Desc {
		add("sort_order", "unknown", "The order is asc or desc.")
	}
	return fields
}
