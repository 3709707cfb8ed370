package page

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
)

var places = List{
	Name: "places",
	SortBy: map[string]Column{
		"created_at": {Name: "created_at", Type: Time},
		"name":       {Name: "name", Type: Text},
		"points":     {Name: "points", Type: Integer, Order: Desc},
		"distance":   {Name: "distance", Type: Float},
		"id":         {Name: "id", Type: UUID},
		"title":      {Name: "name", Type: Text, Through: "lower(%s)"},
		"rating":     {Name: "points", Type: Integer, Then: []Column{{Name: "created_at", Type: Time}}},
	},
	Default: "created_at",
}

type filters struct {
	Verified *bool
	Search   string
}

func codec(t testing.TB) *Codec {
	t.Helper()
	c, err := NewCodec(bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	return c
}

func ptr[T any](v T) *T { return &v }

func resolve(t testing.TB, p Params) Query {
	t.Helper()
	q, err := places.Resolve(p, codec(t), filters{})
	require.NoError(t, err)
	return q
}

func TestResolveDefaults(t *testing.T) {
	t.Parallel()
	q := resolve(t, Params{})
	require.Equal(t, 1, q.Page)
	require.Equal(t, DefaultSize, q.Size)
	require.False(t, q.ByCursor())
	require.Equal(t, "created_at DESC, id DESC", q.OrderBy(), "times descend")
	require.Equal(t, "name ASC, id ASC", resolve(t, Params{SortBy: "name"}).OrderBy(), "the rest ascends")
	require.Equal(t, "points DESC, id DESC", resolve(t, Params{SortBy: "points"}).OrderBy(), "the column's own default")
	require.Equal(t, "points ASC, id ASC", resolve(t, Params{SortBy: "points", SortOrder: Asc}).OrderBy())
	require.Equal(t, "id DESC", resolve(t, Params{SortBy: "id", SortOrder: Desc}).OrderBy(), "ids need nothing to break ties")
}

func TestLimitAndOffset(t *testing.T) {
	t.Parallel()
	q := resolve(t, Params{Page: 3, Size: 10})
	require.Equal(t, 10, q.Limit())
	require.Equal(t, 20, q.Offset())
	q = resolve(t, Params{Cursor: ptr(""), Size: 10})
	require.True(t, q.ByCursor())
	require.Equal(t, 11, q.Limit(), "one more tells whether there is a next page")
	require.Zero(t, q.Offset())
	require.Equal(t, MaxDepth-MaxSize, resolve(t, Params{Page: MaxDepth / MaxSize, Size: MaxSize}).Offset())
}

func TestResolveNamesEveryFault(t *testing.T) {
	t.Parallel()
	feed := List{Name: "feed", SortBy: places.SortBy, Default: "created_at", CursorOnly: true}
	ranked := List{Name: "ranked", SortBy: places.SortBy, Default: "created_at", Ranked: true}
	for name, tc := range map[string]struct {
		list   List
		params Params
		want   []string
	}{
		"negative page":       {places, Params{Page: -1}, []string{"page out_of_range"}},
		"negative size":       {places, Params{Size: -1}, []string{"size out_of_range"}},
		"size above the most": {places, Params{Size: 101}, []string{"size out_of_range"}},
		"both":                {places, Params{Page: 1, Cursor: ptr("")}, []string{"cursor page_and_cursor"}},
		"too deep":            {places, Params{Page: 1001, Size: 100}, []string{"page too_deep"}},
		"no overflow":         {places, Params{Page: 1<<63 - 1, Size: 100}, []string{"page too_deep"}},
		"unknown column":      {places, Params{SortBy: "password"}, []string{"sort_by unknown"}},
		"unknown order":       {places, Params{SortOrder: "up"}, []string{"sort_order unknown"}},
		"no pages":            {feed, Params{Page: 1}, []string{"page not_supported"}},
		"never ranked":        {places, Params{SortBy: Relevance, Searched: true}, []string{"sort_by unknown"}},
		"nothing to rank":     {ranked, Params{SortBy: Relevance}, []string{"sort_by needs_search"}},
		"all at once": {
			places, Params{Page: 2, Size: 500, Cursor: ptr(""), SortBy: "x", SortOrder: "y"},
			[]string{"size out_of_range", "cursor page_and_cursor", "sort_by unknown", "sort_order unknown"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tc.list.Resolve(tc.params, codec(t), nil)
			require.ErrorIs(t, err, fault.New(fault.Invalid, "invalid_pagination", ""))
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			var got []string
			for _, field := range f.Fields {
				got = append(got, field.Parameter+" "+field.Code)
			}
			require.Equal(t, tc.want, got)
		})
	}
	q, err := feed.Resolve(Params{}, codec(t), nil)
	require.NoError(t, err)
	require.True(t, q.ByCursor(), "a list without page numbers starts by cursor")
}

func TestASearchIsSortedByRelevance(t *testing.T) {
	t.Parallel()
	ranked := List{Name: "ranked", SortBy: places.SortBy, Default: "created_at", Ranked: true}
	for order, params := range map[string]Params{
		"relevance DESC, id DESC":            {Searched: true},
		"relevance ASC, id ASC":              {Searched: true, SortBy: Relevance, SortOrder: Asc},
		"name ASC, id ASC":                   {Searched: true, SortBy: "name"},
		"created_at DESC, id DESC":           {},
		"distance DESC, id DESC":             {SortBy: "distance", SortOrder: Desc},
		"lower(name) ASC, id ASC":            {SortBy: "title"},
		"points ASC, created_at ASC, id ASC": {SortBy: "rating"},
	} {
		q, err := ranked.Resolve(params, codec(t), nil)
		require.NoError(t, err)
		require.Equal(t, order, q.OrderBy())
		require.Equal(t, strings.HasPrefix(order, Relevance), q.ByRelevance())
	}
	q, err := places.Resolve(Params{Searched: true}, codec(t), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"created_at", "id"}, q.Keys(), "a list that is not ranked keeps its order")
}

func TestFiltersThatCantBeWritten(t *testing.T) {
	t.Parallel()
	_, err := places.Resolve(Params{Cursor: ptr("")}, codec(t), func() {})
	require.Error(t, err)
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

// place is a row; few values of each column, so that ties are many.
type place struct {
	id       uuid.UUID
	created  time.Time
	name     string
	points   int
	distance float64
}

func (p place) key(column string) any {
	switch column {
	case "created_at":
		return p.created
	case "name":
		return p.name
	case "points":
		return p.points
	case "distance":
		return p.distance
	case "id":
		return p.id
	default:
		return nil
	}
}

func compare(a, b any) int {
	switch x := a.(type) {
	case string:
		return strings.Compare(x, b.(string))
	case int:
		// A cursor gives back 64 bits.
		if y, ok := b.(int64); ok {
			return cmp.Compare(int64(x), y)
		}
		return cmp.Compare(x, b.(int))
	case float64:
		return cmp.Compare(x, b.(float64))
	case time.Time:
		return x.Compare(b.(time.Time))
	case uuid.UUID:
		y := b.(uuid.UUID)
		return bytes.Compare(x[:], y[:])
	}
	panic(fmt.Sprintf("%T", a))
}

// table answers a query as a database does.
func table(rows []place, q Query) Source[place] {
	rank := func(p place, keys []any) int {
		for i, c := range q.columns {
			if r := compare(p.key(c.Name), keys[i]); r != 0 {
				return r
			}
		}
		return 0
	}
	keysOf := func(p place) []any {
		keys := make([]any, len(q.columns))
		for i, c := range q.columns {
			keys[i] = p.key(c.Name)
		}
		return keys
	}
	direction := 1
	if q.order == Desc {
		direction = -1
	}
	return Source[place]{
		List: func(_ context.Context, limit, offset int) ([]place, error) {
			sorted := slices.SortedFunc(slices.Values(rows), func(a, b place) int { return direction * rank(a, keysOf(b)) })
			if _, after := q.Condition(1); after != nil {
				sorted = slices.DeleteFunc(sorted, func(p place) bool { return direction*rank(p, after) <= 0 })
			}
			sorted = sorted[min(offset, len(sorted)):]
			return sorted[:min(limit, len(sorted))], nil
		},
		Count: func(context.Context) (int, error) { return len(rows), nil },
		Key:   place.key,
	}
}

func randomPlaces(n int) []place {
	start := time.Date(2026, 11, 1, 9, 30, 0, 123456000, time.FixedZone("", 3600))
	rows := make([]place, n)
	for i := range rows {
		rows[i] = place{
			id:       uuid.New(),
			created:  start.Add(time.Duration(rand.IntN(5)) * time.Microsecond),
			name:     []string{"", "Łódź <&>", "a\"\\\u2028", "\u0001", "日本"}[rand.IntN(5)],
			points:   rand.IntN(5) - 2,
			distance: []float64{0, 0.1, 1e-300, 1.0 / 3, 1e21}[rand.IntN(5)],
		}
	}
	return rows
}

func TestCursorWalksEveryRowOnceInOrder(t *testing.T) {
	t.Parallel()
	rows := randomPlaces(57)
	for sortBy := range places.SortBy {
		for _, order := range []Order{Asc, Desc} {
			t.Run(sortBy+" "+string(order), func(t *testing.T) {
				t.Parallel()
				whole := resolve(t, Params{SortBy: sortBy, SortOrder: order})
				want, err := table(rows, whole).List(context.Background(), len(rows), 0)
				require.NoError(t, err)

				var got []place
				cursor := ptr("")
				for step := 0; cursor != nil; step++ {
					require.Less(t, step, len(rows)+1, "the walk does not end")
					// The size may change on the way.
					q := resolve(t, Params{SortBy: sortBy, SortOrder: order, Cursor: cursor, Size: 1 + step%9})
					result, err := Fetch(context.Background(), q, table(rows, q))
					require.NoError(t, err)
					require.Nil(t, result.Offset)
					got = append(got, result.Items()...)
					cursor = result.Keyset.NextCursor
				}
				require.Equal(t, want, got)
			})
		}
	}
}

func TestPagesByNumber(t *testing.T) {
	t.Parallel()
	counted := 0
	fetch := func(rows, page int) Offset[place] {
		q := resolve(t, Params{Page: page, Size: 10})
		source := table(randomPlaces(rows), q)
		count := source.Count
		source.Count = func(ctx context.Context) (int, error) { counted++; return count(ctx) }
		result, err := Fetch(context.Background(), q, source)
		require.NoError(t, err)
		require.Nil(t, result.Keyset)
		require.NotNil(t, result.Items())
		return *result.Offset
	}
	for _, tc := range []struct{ rows, page, items, pages, counts int }{
		{0, 1, 0, 0, 0},
		{0, 2, 0, 0, 1},
		{9, 1, 9, 1, 0},
		{10, 1, 10, 1, 1},
		{11, 1, 10, 2, 1},
		{11, 2, 1, 2, 0},
		{11, 3, 0, 2, 1},
	} {
		counted = 0
		got := fetch(tc.rows, tc.page)
		require.Len(t, got.Items, tc.items, "%+v", tc)
		require.Equal(t, []int{tc.rows, tc.page, 10, tc.pages, tc.counts}, []int{got.Total, got.Page, got.Size, got.Pages, counted}, "%+v", tc)
	}
}

func TestATotalThatWasNotCountedOut(t *testing.T) {
	t.Parallel()
	for page, bounded := range map[int]bool{1: true, 2: false} {
		q := resolve(t, Params{Page: page, Size: 10})
		source := table(randomPlaces(15), q)
		source.IsLowerBound = func() bool { return true }
		result, err := Fetch(context.Background(), q, source)
		require.NoError(t, err)
		require.Equal(t, bounded, result.Offset.IsLowerBound, "page %d shows whether it is the last one", page)
	}
}

func TestKeysetEndsWithoutCursor(t *testing.T) {
	t.Parallel()
	q := resolve(t, Params{Cursor: ptr(""), Size: 10})
	for rows, more := range map[int]bool{0: false, 10: false, 11: true} {
		result, err := Fetch(context.Background(), q, table(randomPlaces(rows), q))
		require.NoError(t, err)
		require.Len(t, result.Items(), min(rows, 10))
		require.Equal(t, more, result.Keyset.NextCursor != nil)
		text, err := json.Marshal(result.Keyset)
		require.NoError(t, err)
		require.Equal(t, more, strings.Contains(string(text), "next_cursor"))
		require.NotContains(t, string(text), "null")
	}
}

func TestFetchPassesErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	rows := randomPlaces(11)
	ctx := context.Background()

	q := resolve(t, Params{Size: 10})
	source := table(rows, q)
	source.Count = func(context.Context) (int, error) { return 0, broken }
	_, err := Fetch(ctx, q, source)
	require.ErrorIs(t, err, broken)

	source.List = func(context.Context, int, int) ([]place, error) { return nil, broken }
	_, err = Fetch(ctx, q, source)
	require.ErrorIs(t, err, broken)

	q = resolve(t, Params{Cursor: ptr(""), Size: 10})
	source = table(rows, q)
	source.Key = func(place, string) any { return nil }
	_, err = Fetch(ctx, q, source)
	require.ErrorContains(t, err, "created_at")
}

func TestMap(t *testing.T) {
	t.Parallel()
	double := func(n int) string { return strings.Repeat("x", n) }
	require.Equal(t,
		Result[string]{Offset: &Offset[string]{[]string{"x", "xx"}, 12, true, 2, 2, 6}},
		Map(Result[int]{Offset: &Offset[int]{[]int{1, 2}, 12, true, 2, 2, 6}}, double))
	require.Equal(t,
		Result[string]{Keyset: &Keyset[string]{[]string{}, ptr("c")}},
		Map(Result[int]{Keyset: &Keyset[int]{nil, ptr("c")}}, double))
	require.Equal(t, Result[string]{}, Map(Result[int]{}, double))
	even := func(n int) (string, bool) { return double(n), n%2 == 0 }
	require.Equal(t,
		Result[string]{Keyset: &Keyset[string]{[]string{"xx"}, ptr("c")}},
		Choose(Result[int]{Keyset: &Keyset[int]{[]int{1, 2}, ptr("c")}}, even))
}

func TestSQL(t *testing.T) {
	t.Parallel()
	id, created := uuid.New(), time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	build := func(q Query) (string, []any) {
		s := sql.Dialect(dialect.Postgres).Select("id").From(sql.Table("areas"))
		s.Where(sql.EQ(s.C("is_verified"), true))
		q.Where(s)
		q.Order(s)
		return s.Query()
	}
	for name, tc := range map[string]struct {
		params     Params
		keys       []any
		ent, plain string
	}{
		"descending": {
			Params{}, []any{created, id},
			`SELECT "id" FROM "areas" WHERE "areas"."is_verified" AND ("areas"."created_at", "areas"."id") < ($1, $2) ORDER BY "areas"."created_at" DESC, "areas"."id" DESC`,
			"(created_at, id) < ($4, $5)",
		},
		"ascending": {
			Params{SortBy: "name"}, []any{"x'; DROP TABLE areas", id},
			`SELECT "id" FROM "areas" WHERE "areas"."is_verified" AND ("areas"."name", "areas"."id") > ($1, $2) ORDER BY "areas"."name" ASC, "areas"."id" ASC`,
			"(name, id) > ($4, $5)",
		},
		"through a function": {
			Params{SortBy: "title"}, []any{"Łódź", id},
			`SELECT "id" FROM "areas" WHERE "areas"."is_verified" AND (lower("areas"."name"), "areas"."id") > (lower($1), $2) ORDER BY lower("areas"."name") ASC, "areas"."id" ASC`,
			"(lower(name), id) > (lower($4), $5)",
		},
		"by three columns": {
			Params{SortBy: "rating", SortOrder: Desc}, []any{int64(3), created, id},
			`SELECT "id" FROM "areas" WHERE "areas"."is_verified" AND ("areas"."points", "areas"."created_at", "areas"."id") < ($1, $2, $3) ORDER BY "areas"."points" DESC, "areas"."created_at" DESC, "areas"."id" DESC`,
			"(points, created_at, id) < ($4, $5, $6)",
		},
		"by id": {
			Params{SortBy: "id"}, []any{id},
			`SELECT "id" FROM "areas" WHERE "areas"."is_verified" AND ("areas"."id") > ($1) ORDER BY "areas"."id" ASC`,
			"(id) > ($4)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.params.Cursor = ptr("")
			start := resolve(t, tc.params)
			text, args := build(start)
			require.NotContains(t, text, "$1", "nothing was seen yet")
			require.Empty(t, args)
			condition, args := start.Condition(4)
			require.Equal(t, "TRUE", condition)
			require.Empty(t, args)

			types := make([]Type, len(start.columns))
			for i, c := range start.columns {
				types[i] = c.Type
			}
			cursor, err := codec(t).encode(start.print, types, tc.keys)
			require.NoError(t, err)
			tc.params.Cursor = &cursor
			q := resolve(t, tc.params)
			text, args = build(q)
			require.Equal(t, tc.ent, text)
			require.Equal(t, tc.keys, args)
			condition, args = q.Condition(4)
			require.Equal(t, tc.plain, condition)
			require.Equal(t, tc.keys, args)
		})
	}
}
