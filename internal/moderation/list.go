package moderation

import (
	"context"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/predicate"
	entreport "github.com/picaspot/picaspot/ent/report"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/search"
)

// Filter narrows a list of reports; nil does not.
type Filter struct {
	Status      *entreport.Status
	SubjectType *entreport.SubjectType
	SubjectID   *uuid.UUID
	ReporterID  *uuid.UUID
	// Search keeps reports with the words of it in the reporter's comment or the
	// moderator's note; the last word may go on. Empty does not narrow.
	Search string
}

// Get returns a report or a [fault.NotFound].
func (s *Service) Get(ctx context.Context, id uuid.UUID) (*ent.Report, error) {
	found, err := s.store.Ent.Report.Get(ctx, id)
	return found, missing(err)
}

var list = page.List{
	Name: "reports", Default: "created_at",
	SortBy: map[string]page.Column{
		"created_at": {Name: entreport.FieldCreatedAt, Type: page.Time, Order: page.Asc},
		"updated_at": {Name: entreport.FieldUpdatedAt, Type: page.Time, Order: page.Asc},
	},
}

// searched is the text of which report_search has the words.
func searched(s *sql.Selector) string {
	return s.C(entreport.FieldComment) + " || ' ' || " + s.C(entreport.FieldNote)
}

// List returns a page of the reports, oldest first.
func (s *Service) List(ctx context.Context, f Filter, params page.Params) (page.Result[*ent.Report], error) {
	q, err := list.Resolve(params, s.cursors, f)
	if err != nil {
		return page.Result[*ent.Report]{}, err
	}
	var where []predicate.Report
	if f.Status != nil {
		where = append(where, entreport.StatusEQ(*f.Status))
	}
	if f.SubjectType != nil {
		where = append(where, entreport.SubjectTypeEQ(*f.SubjectType))
	}
	if f.SubjectID != nil {
		where = append(where, entreport.SubjectID(*f.SubjectID))
	}
	if f.ReporterID != nil {
		where = append(where, entreport.ReporterID(*f.ReporterID))
	}
	if f.Search != "" {
		text, err := search.Parse(ctx, s.store.Pool, f.Search)
		if err != nil {
			return page.Result[*ent.Report]{}, err
		}
		where = append(where, text.Words(searched))
	}
	return page.Fetch(ctx, q, page.Source[*ent.Report]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.Report, error) {
			return s.store.Ent.Report.Query().Where(append(where, q.Where)...).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) {
			return s.store.Ent.Report.Query().Where(where...).Count(ctx)
		},
		Key: func(r *ent.Report, column string) any {
			switch column {
			case entreport.FieldID:
				return r.ID
			case entreport.FieldUpdatedAt:
				return r.UpdatedAt
			default:
				return r.CreatedAt
			}
		},
	})
}
