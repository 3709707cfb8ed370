package trash

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/search"
)

// Filter narrows the list of the trash; nil and empty do not.
type Filter struct {
	Kind      Kind
	DeletedBy *uuid.UUID
	// From is the first moment of deletion that is listed, To the first that is not any more.
	From, To *time.Time
	// Search keeps what has the words of it in its name, of which the last one may go on.
	Search string
}

// Entry is the root of a deletion.
type Entry struct {
	Kind       Kind
	ID         uuid.UUID
	Name       string
	DeletionID uuid.UUID
	DeletedAt  time.Time
	// DeletedBy is nil when a job deleted it, or an operator.
	DeletedBy *uuid.UUID
	// PurgeAt is when it will be removed for good.
	PurgeAt time.Time
	// ComesBack is what its deletion took, itself included.
	ComesBack Counts
}

var list = page.List{
	Name: "trash", Default: "deleted_at",
	SortBy: map[string]page.Column{"deleted_at": {Name: "deleted_at", Type: page.Time}},
}

// listSQL reads as many roots of each table as the page can need, each from that
// table's index on deleted_at and id; the indexes on deletion_id serve the counts.
const listSQL = `-- name: trash_list
SELECT kind, id, name, deletion_id, deleted_at, deleted_by,
  (SELECT count(*) FROM areas x WHERE x.deletion_id = paged.deletion_id AND x.deleted_at IS NOT NULL),
  (SELECT count(*) FROM landmarks x WHERE x.deletion_id = paged.deletion_id AND x.deleted_at IS NOT NULL),
  (SELECT count(*) FROM unlocks x WHERE x.deletion_id = paged.deletion_id AND x.deleted_at IS NOT NULL),
  (SELECT count(*) FROM users x WHERE x.deletion_id = paged.deletion_id AND x.deleted_at IS NOT NULL)
FROM (SELECT * FROM (
  %s
) merged ORDER BY %[2]s LIMIT $1 OFFSET $2) paged
ORDER BY %[2]s`

// List returns a page of the roots in the trash that the caller may manage.
func (s *Service) List(ctx context.Context, f Filter, params page.Params) (page.Result[Entry], error) {
	var own *uuid.UUID
	if caller, _ := authz.CallerFrom(ctx); caller.Scope != authz.Any {
		own = &caller.UserID
	}
	q, err := list.Resolve(params, s.cursors, []any{f, own})
	if err != nil {
		return page.Result[Entry]{}, err
	}
	words, err := s.words(ctx, f.Search)
	if err != nil {
		return page.Result[Entry]{}, err
	}
	return page.Fetch(ctx, q, page.Source[Entry]{
		List: func(ctx context.Context, limit, offset int) ([]Entry, error) {
			condition, after := q.Condition(3)
			args := append([]any{limit, offset}, after...)
			selects, args := f.selects(own, words, condition, args, " ORDER BY "+q.OrderBy()+" LIMIT $1::int + $2::int")
			return s.entries(ctx, fmt.Sprintf(listSQL, strings.Join(selects, "\n  UNION ALL\n  "), q.OrderBy()), args)
		},
		Count: func(ctx context.Context) (n int, err error) {
			selects, args := f.selects(own, words, "TRUE", nil, "")
			err = s.store.Pool.QueryRow(ctx, "-- name: trash_count\nSELECT count(*) FROM ("+strings.Join(selects, "\n  UNION ALL\n  ")+") merged", args...).Scan(&n)
			return n, err
		},
		Key: func(e Entry, column string) any {
			if column == "deleted_at" {
				return e.DeletedAt
			}
			return e.ID
		},
	})
}

// words is the tsquery of a search; nil when there is none, which narrows nothing.
func (s *Service) words(ctx context.Context, typed string) (*string, error) {
	if typed == "" {
		return nil, nil //nolint:nilnil // Nothing is looked for.
	}
	text, err := search.Parse(ctx, s.store.Pool, typed)
	query := text.Query()
	return &query, err
}

func (s *Service) entries(ctx context.Context, statement string, args []any) ([]Entry, error) {
	rows, err := s.store.Pool.Query(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("list the trash: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Entry, err error) {
		err = row.Scan(&e.Kind, &e.ID, &e.Name, &e.DeletionID, &e.DeletedAt, &e.DeletedBy,
			&e.ComesBack.Areas, &e.ComesBack.Landmarks, &e.ComesBack.Unlocks, &e.ComesBack.Users)
		e.PurgeAt = e.DeletedAt.Add(s.retention)
		return e, err
	})
}

// selects are a statement for each table, with the arguments of all of them,
// limited to what belongs to a user unless own is nil; tail ends each. The words are
// looked up in area_trash_search, landmark_trash_search and user_trash_search; unlocks
// have the names of their landmarks, and there are few of them.
func (f Filter) selects(own *uuid.UUID, words *string, condition string, args []any, tail string) ([]string, []any) {
	var where strings.Builder
	add := func(term string, value any) {
		args = append(args, value)
		fmt.Fprintf(&where, term, len(args))
	}
	if f.DeletedBy != nil {
		add(" AND t.deleted_by = $%d", *f.DeletedBy)
	}
	if f.From != nil {
		add(" AND t.deleted_at >= $%d", *f.From)
	}
	if f.To != nil {
		add(" AND t.deleted_at < $%d", *f.To)
	}
	mine := ""
	if own != nil {
		args = append(args, *own)
		mine = fmt.Sprintf(" = $%d", len(args))
	}
	named := ""
	switch {
	case words == nil:
	case *words == "":
		where.WriteString(" AND FALSE")
	default:
		args = append(args, *words)
		named = fmt.Sprintf(") @@ $%d::tsquery", len(args))
	}
	var selects []string
	for _, t := range tables {
		if f.Kind != "" && f.Kind != t.kind {
			continue
		}
		owned := ""
		if mine != "" {
			owned = " AND t." + t.owner + mine
		}
		if named != "" {
			owned += " AND search_vector(" + t.label + named
		}
		selects = append(selects, "(SELECT '"+string(t.kind)+"' AS kind, t.id, "+t.label+" AS name, t.deletion_id, t.deleted_at, t.deleted_by FROM "+t.name+
			" t WHERE t.deleted_at IS NOT NULL AND "+condition+where.String()+owned+" AND "+t.root+tail+")")
	}
	return selects, args
}
