package moderation

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	entreport "github.com/picaspot/picaspot/ent/report"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
	"github.com/picaspot/picaspot/internal/webhook"
)

var (
	errClosed      = fault.New(fault.Conflict, "report_closed", "The report is decided already.")
	errActionUnfit = fault.New(fault.Unprocessable, "action_unfit", "The action does not fit.").
			With(fault.Field{
			Pointer: "/action", Code: "unfit",
			Message: "Areas and landmarks are unverified or deleted, users suspended, and a report that is dismissed has no action.",
		})
	errSubjectGone = fault.New(fault.Conflict, "subject_gone", "What was reported is gone. Resolve the report without an action, or with delete.")
)

// noteAlong is the note of reports that are resolved with another one.
const noteAlong = "Resolved with another report."

// action is what can become of a subject.
type action struct {
	// permission is what the operation asks for that does the same by itself.
	permission authz.Permission
	do         func(context.Context, *store.Tx, uuid.UUID) error
}

// actionsOf returns what can become of each kind of subject, beside nothing.
func actionsOf(p Parts) map[entreport.Action]map[entreport.SubjectType]action {
	return map[entreport.Action]map[entreport.SubjectType]action{
		entreport.ActionUnverify: {
			entreport.SubjectTypeArea: {"area:verify", func(ctx context.Context, tx *store.Tx, id uuid.UUID) error {
				_, err := p.Areas.SetVerifiedTx(ctx, tx, id, false)
				return err
			}},
			entreport.SubjectTypeLandmark: {"landmark:verify", func(ctx context.Context, tx *store.Tx, id uuid.UUID) error {
				_, err := p.Landmarks.SetVerifiedTx(ctx, tx, id, false)
				return err
			}},
		},
		entreport.ActionDelete: {
			entreport.SubjectTypeArea: {"area:delete", func(ctx context.Context, tx *store.Tx, id uuid.UUID) error {
				return p.Areas.DeleteTx(ctx, tx, id, version.Precondition{})
			}},
			entreport.SubjectTypeLandmark: {"landmark:delete", func(ctx context.Context, tx *store.Tx, id uuid.UUID) error {
				return p.Landmarks.DeleteTx(ctx, tx, id, version.Precondition{})
			}},
		},
		entreport.ActionSuspend: {
			entreport.SubjectTypeUser: {"user:manage", func(ctx context.Context, tx *store.Tx, id uuid.UUID) error {
				status := entuser.StatusSuspended
				_, err := p.Accounts.ManageTx(ctx, tx, id, account.Change{Status: &status}, version.Precondition{})
				return err
			}},
		},
	}
}

// Resolution is the decision about a report.
type Resolution struct {
	// Status is resolved or dismissed.
	Status entreport.Status
	// Action is what becomes of the subject; empty for nothing.
	Action entreport.Action
	// Note is what the moderator says.
	Note string
}

// Resolve decides an open report and takes the action in the same transaction. A
// report that is decided is a conflict; an action that does not fit its subject is
// unprocessable, and one for which the caller lacks the permission on any object is
// forbidden. Deletion and suspension resolve the other open reports on the subject
// along. What is gone already counts as deleted; every other action on it is a
// conflict.
func (s *Service) Resolve(ctx context.Context, id uuid.UUID, in Resolution, pre version.Precondition) (*ent.Report, error) {
	in.Action = cmp.Or(in.Action, entreport.ActionNone)
	var resolved *ent.Report
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := pre.Check(found.UpdatedAt); err != nil {
			return err
		}
		if found.Status != entreport.StatusOpen {
			return errClosed
		}
		if err := s.act(ctx, tx, found, in); err != nil {
			return err
		}
		caller, _ := authz.CallerFrom(ctx)
		now := mixin.Now()
		resolved, err = tx.Report.UpdateOne(found).
			SetStatus(in.Status).SetAction(in.Action).SetNote(in.Note).
			SetResolvedBy(caller.UserID).SetResolvedAt(now).Save(ctx)
		if err != nil {
			return fmt.Errorf("resolve the report: %w", err)
		}
		if err := webhook.Emit(ctx, tx, webhook.ReportResolved, webhook.OfReport(resolved)); err != nil {
			return err
		}
		if in.Action != entreport.ActionDelete && in.Action != entreport.ActionSuspend {
			return nil
		}
		err = tx.Report.Update().Where(openOn(found.SubjectType, found.SubjectID)).
			SetStatus(in.Status).SetAction(in.Action).SetNote(noteAlong).
			SetResolvedBy(caller.UserID).SetResolvedAt(now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("resolve the other reports: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resolved, nil
}

// lock returns a report, locked together with its subject.
func lock(ctx context.Context, tx *store.Tx, id uuid.UUID) (*ent.Report, error) {
	seen, err := tx.Report.Get(ctx, id)
	if err != nil {
		return nil, missing(err)
	}
	// The subject first, as everywhere; it never changes.
	if err := lockSubject(ctx, tx, seen.SubjectType, seen.SubjectID); err != nil {
		return nil, err
	}
	found, err := tx.Report.Query().Where(entreport.ID(id)).ForUpdate().Only(ctx)
	return found, missing(err)
}

// act does to a report's subject what was decided.
func (s *Service) act(ctx context.Context, tx *store.Tx, of *ent.Report, in Resolution) error {
	if in.Action == entreport.ActionNone {
		return nil
	}
	action, fits := s.actions[in.Action][of.SubjectType]
	if !fits || in.Status != entreport.StatusResolved {
		return errActionUnfit
	}
	if s.authz.May(ctx, action.permission) != authz.Any {
		return fault.New(fault.Forbidden, "forbidden", fmt.Sprintf("Your role does not allow %s.", action.permission))
	}
	// From here on the caller goes as far as that permission lets them.
	caller, _ := authz.CallerFrom(ctx)
	caller.Scope = authz.Any
	err := action.do(authz.WithCaller(ctx, caller), tx, of.SubjectID)
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	if in.Action == entreport.ActionDelete {
		return nil
	}
	return errSubjectGone
}

func missing(err error) error {
	if store.IsNotFound(err) {
		return errNotFound
	}
	return err
}
