// Package moderation is about reports: what users tell the moderators of, and what
// becomes of it.
package moderation

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/predicate"
	entreport "github.com/picaspot/picaspot/ent/report"
	entunlock "github.com/picaspot/picaspot/ent/unlock"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/webhook"
)

var (
	errNotFound       = fault.New(fault.NotFound, "not_found", "There is no such report.")
	errSubjectUnknown = fault.New(fault.Unprocessable, "subject_unknown", "There is no such thing to report.").
				With(fault.Field{Pointer: "/subject_id", Code: "unknown", Message: "There is nothing of this kind and id."})
	errOneself = fault.New(fault.Unprocessable, "subject_oneself", "Nobody reports themself.").
			With(fault.Field{Pointer: "/subject_id", Code: "oneself", Message: "This is your own account."})
)

// Service does what can be done with reports.
type Service struct {
	store   *store.Store
	authz   *authz.Authorizer
	actions map[entreport.Action]map[entreport.SubjectType]action
	cursors *page.Codec
}

// Parts are what moderation is built on.
type Parts struct {
	Store     *store.Store
	Authz     *authz.Authorizer
	Accounts  *account.Service
	Areas     *area.Service
	Landmarks *landmark.Service
	Cursors   *page.Codec
}

// NewService makes the service.
func NewService(p Parts) *Service {
	return &Service{store: p.Store, authz: p.Authz, actions: actionsOf(p), cursors: p.Cursors}
}

// Create is what a new report is made of.
type Create struct {
	SubjectType entreport.SubjectType
	SubjectID   uuid.UUID
	Reason      entreport.Reason
	Comment     string
}

// Report tells the moderators of something that should not be there. What is not
// there, or not any more, is unprocessable, and so is the caller themself; one's
// own things may be reported. While a report of the caller's on the same thing is
// open it is returned as it stands, also to several requests at once.
func (s *Service) Report(ctx context.Context, in Create) (*ent.Report, error) {
	caller, _ := authz.CallerFrom(ctx)
	if in.SubjectType == entreport.SubjectTypeUser && caller.Owns(in.SubjectID) {
		return nil, errOneself
	}
	var made *ent.Report
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := lockSubject(ctx, tx, in.SubjectType, in.SubjectID); err != nil {
			return err
		}
		switch there, err := exists(ctx, tx, in.SubjectType, in.SubjectID); {
		case err != nil:
			return fmt.Errorf("find what is reported: %w", err)
		case !there:
			return errSubjectUnknown
		}
		// Served by report_open_once, which keeps the promise whatever the code does.
		first, err := tx.Report.Query().Where(entreport.ReporterID(caller.UserID), openOn(in.SubjectType, in.SubjectID)).Only(ctx)
		switch {
		case err == nil:
			made = first
			return nil
		case !store.IsNotFound(err):
			return fmt.Errorf("find an earlier report: %w", err)
		}
		made, err = tx.Report.Create().
			SetReporterID(caller.UserID).SetSubjectType(in.SubjectType).SetSubjectID(in.SubjectID).
			SetReason(in.Reason).SetComment(in.Comment).Save(ctx)
		if err != nil {
			return err
		}
		return webhook.Emit(ctx, tx, webhook.ReportCreated, webhook.OfReport(made))
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// openOn limits reports to open ones on a subject.
func openOn(kind entreport.SubjectType, id uuid.UUID) predicate.Report {
	return entreport.And(entreport.SubjectTypeEQ(kind), entreport.SubjectID(id), entreport.StatusEQ(entreport.StatusOpen))
}

// lockSubject lets one transaction at a time report a subject or decide about it:
// two reports at once would not see each other, and two decisions that each
// resolve all open reports would wait for each other.
func lockSubject(ctx context.Context, tx *store.Tx, kind entreport.SubjectType, id uuid.UUID) error {
	if _, err := tx.ExecContext(ctx, "-- name: moderation_lock_subject\nSELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "report:"+string(kind)+":"+id.String()); err != nil {
		return fmt.Errorf("lock what is reported: %w", err)
	}
	return nil
}

// exists reports whether a subject is among the living.
func exists(ctx context.Context, tx *store.Tx, kind entreport.SubjectType, id uuid.UUID) (bool, error) {
	switch kind {
	case entreport.SubjectTypeArea:
		return tx.Area.Query().Where(entarea.ID(id)).Exist(ctx)
	case entreport.SubjectTypeLandmark:
		return tx.Landmark.Query().Where(entlandmark.ID(id)).Exist(ctx)
	case entreport.SubjectTypeUnlock:
		return tx.Unlock.Query().Where(entunlock.ID(id)).Exist(ctx)
	case entreport.SubjectTypeUser:
		return tx.User.Query().Where(entuser.ID(id)).Exist(ctx)
	default:
		return false, fmt.Errorf("unexpected kind of subject %q", kind)
	}
}
