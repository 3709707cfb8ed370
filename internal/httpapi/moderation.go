package httpapi

import (
	"context"
	"time"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	entreport "github.com/picaspot/picaspot/ent/report"
	"github.com/picaspot/picaspot/internal/moderation"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/version"
)

// CreateReport implements POST /api/v1/reports.
func (s *Server) CreateReport(ctx context.Context, request api.CreateReportRequestObject) (api.CreateReportResponseObject, error) {
	made, err := s.Moderation.Report(ctx, moderation.Create{
		SubjectType: entreport.SubjectType(request.Body.SubjectType), SubjectID: request.Body.SubjectID,
		Reason: entreport.Reason(request.Body.Reason), Comment: deref(request.Body.Comment, ""),
	})
	if err != nil {
		return nil, err
	}
	return api.CreateReport201JSONResponse{Body: toAPIReport(ctx, made)}, nil
}

// ListReports implements GET /api/v1/moderation/reports.
func (s *Server) ListReports(ctx context.Context, request api.ListReportsRequestObject) (api.ListReportsResponseObject, error) {
	p := request.Params
	list, err := s.Moderation.List(ctx, moderation.Filter{
		Status: as[entreport.Status](p.Status), SubjectType: as[entreport.SubjectType](p.SubjectType),
		SubjectID: p.SubjectID, ReporterID: p.ReporterID, Search: deref(p.Search, ""),
	}, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListReports200JSONResponse{
		Items: convert(ctx, list.Items(), toAPIReport), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// GetReport implements GET /api/v1/moderation/reports/{report_id}.
func (s *Server) GetReport(ctx context.Context, request api.GetReportRequestObject) (api.GetReportResponseObject, error) {
	found, err := s.Moderation.Get(ctx, request.ReportID)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(version.ETag(found.UpdatedAt), request.Params.IfNoneMatch)
	if notModified {
		return api.GetReport304Response{}, nil
	}
	return api.GetReport200JSONResponse{Body: toAPIReport(ctx, found), Headers: api.GetReport200ResponseHeaders{ETag: tag}}, nil
}

// ResolveReport implements PATCH /api/v1/moderation/reports/{report_id}.
func (s *Server) ResolveReport(ctx context.Context, request api.ResolveReportRequestObject) (api.ResolveReportResponseObject, error) {
	resolved, err := s.Moderation.Resolve(ctx, request.ReportID, moderation.Resolution{
		Status: entreport.Status(request.Body.Status), Action: entreport.Action(deref(request.Body.Action, "")),
		Note: deref(request.Body.Note, ""),
	}, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch))
	if err != nil {
		return nil, err
	}
	return api.ResolveReport200JSONResponse{
		Body:    toAPIReport(ctx, resolved),
		Headers: api.ResolveReport200ResponseHeaders{ETag: ptr(version.ETag(resolved.UpdatedAt))},
	}, nil
}

func toAPIReport(ctx context.Context, r *ent.Report) api.Report {
	return api.Report{
		ID: r.ID, ReporterID: r.ReporterID, SubjectType: api.ReportSubject(r.SubjectType), SubjectID: r.SubjectID,
		Reason: api.ReportReason(r.Reason), Comment: r.Comment, Status: api.ReportStatus(r.Status),
		Action: api.ReportAction(r.Action), Note: r.Note, ResolvedBy: maybe(r.ResolvedBy), ResolvedAt: maybe(inZone(ctx, r.ResolvedAt)),
		CreatedAt: reqctx.In(ctx, r.CreatedAt), UpdatedAt: reqctx.In(ctx, r.UpdatedAt),
	}
}

// inZone is [reqctx.In] for a time that may be absent.
func inZone(ctx context.Context, at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	return ptr(reqctx.In(ctx, *at))
}

// as translates an optional enum of the contract to the same one of the domain.
func as[To, From ~string](value *From) *To {
	if value == nil {
		return nil
	}
	return ptr(To(*value))
}
