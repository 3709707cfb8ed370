package page

import (
	"context"
	"fmt"
)

// Offset is a page by number. Items is never nil.
type Offset[T any] struct {
	Items []T `json:"items"`
	// Total is how many items all pages have together.
	Total int `json:"total"`
	// IsLowerBound tells that there are more than Total, which nobody has counted.
	IsLowerBound bool `json:"total_is_lower_bound,omitempty"`
	// Page counts from 1.
	Page int `json:"page"`
	// Size is how many items a page holds at most.
	Size int `json:"size"`
	// Pages is how many there are; 0 for an empty list.
	Pages int `json:"pages"`
}

// Keyset is a page by cursor. Items is never nil.
type Keyset[T any] struct {
	Items []T `json:"items"`
	// NextCursor goes on from here; nil at the end.
	NextCursor *string `json:"next_cursor,omitempty"`
}

// Result is a page of either kind: exactly one of the two is set.
type Result[T any] struct {
	Offset *Offset[T]
	Keyset *Keyset[T]
}

// Items returns the items of the page, whichever kind it is.
func (r Result[T]) Items() []T {
	switch {
	case r.Offset != nil:
		return r.Offset.Items
	case r.Keyset != nil:
		return r.Keyset.Items
	default:
		return nil
	}
}

// Map turns every item of a page into something else.
func Map[T, U any](r Result[T], f func(T) U) Result[U] {
	return Choose(r, func(item T) (U, bool) { return f(item), true })
}

// Choose turns items of a page into something else and leaves others out. The page goes
// on behind the last one all the same.
func Choose[T, U any](r Result[T], f func(T) (U, bool)) Result[U] {
	items := make([]U, 0, len(r.Items()))
	for _, item := range r.Items() {
		if chosen, ok := f(item); ok {
			items = append(items, chosen)
		}
	}
	switch {
	case r.Offset != nil:
		o := r.Offset
		return Result[U]{Offset: &Offset[U]{items, o.Total, o.IsLowerBound, o.Page, o.Size, o.Pages}}
	case r.Keyset != nil:
		return Result[U]{Keyset: &Keyset[U]{items, r.Keyset.NextCursor}}
	default:
		return Result[U]{}
	}
}

// Source is how a list is read.
type Source[T any] struct {
	// List reads the rows of a query, narrowed by its Where or Condition and
	// ordered by its Order or OrderBy. By cursor offset is 0.
	List func(ctx context.Context, limit, offset int) ([]T, error)
	// Count counts the rows of the whole list, without a query's Where. It is not
	// asked by cursor, nor when the page shows by itself where the list ends.
	Count func(ctx context.Context) (int, error)
	// IsLowerBound, when it is set, tells whether what Count counted is not all there is.
	IsLowerBound func() bool
	// Key returns an item's value of a column that the list is sorted by, or of
	// its id, by [Column.Name]: string, int, int64, float64, time.Time or
	// uuid.UUID, exactly as the database has it.
	Key func(item T, column string) any
}

// Fetch reads one page.
func Fetch[T any](ctx context.Context, q Query, from Source[T]) (Result[T], error) {
	items, err := from.List(ctx, q.Limit(), q.Offset())
	if err != nil {
		return Result[T]{}, err
	}
	if items == nil {
		items = []T{}
	}
	if q.keyset {
		next, err := nextCursor(q, items, from.Key)
		if err != nil {
			return Result[T]{}, err
		}
		return Result[T]{Keyset: &Keyset[T]{Items: items[:min(len(items), q.Size)], NextCursor: next}}, nil
	}
	total, bounded := q.Offset()+len(items), false
	// A page that is not full is the last one, unless it lies behind the end.
	if len(items) == q.Size || len(items) == 0 && q.Page > 1 {
		if total, err = from.Count(ctx); err != nil {
			return Result[T]{}, err
		}
		bounded = from.IsLowerBound != nil && from.IsLowerBound()
	}
	return Result[T]{Offset: &Offset[T]{
		Items: items, Total: total, IsLowerBound: bounded, Page: q.Page, Size: q.Size, Pages: (total + q.Size - 1) / q.Size,
	}}, nil
}

func nextCursor[T any](q Query, items []T, key func(T, string) any) (*string, error) {
	if len(items) <= q.Size {
		return nil, nil //nolint:nilnil // At the end there is no cursor.
	}
	last := items[q.Size-1]
	types := make([]Type, len(q.columns))
	keys := make([]any, len(q.columns))
	for i, c := range q.columns {
		types[i] = c.Type
		keys[i] = key(last, c.Name)
	}
	cursor, err := q.codec.encode(q.print, types, keys)
	if err != nil {
		return nil, fmt.Errorf("sorted by %s: %w", q.columns[0].Name, err)
	}
	return &cursor, nil
}
