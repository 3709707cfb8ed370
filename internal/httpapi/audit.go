package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// ListAuditLogs implements GET /api/v1/admin/audit-logs.
func (s *Server) ListAuditLogs(ctx context.Context, request api.ListAuditLogsRequestObject) (api.ListAuditLogsResponseObject, error) {
	p := request.Params
	list, err := s.Audit.List(ctx, auditlog.Filter{
		ActorID: p.ActorID, Action: (*audit.Action)(p.Action), EntityType: p.EntityType, EntityID: p.EntityID,
		From: p.From, To: p.To, RequestID: p.RequestID,
	}, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	items := make([]api.AuditEntry, len(list.Items()))
	for i, e := range list.Items() {
		if items[i], err = toAPIAuditEntry(ctx, e); err != nil {
			return nil, err
		}
	}
	info := toAPIPageInfo(list)
	return api.ListAuditLogs200JSONResponse{
		Items: items, NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// ExportAuditLogs implements GET /api/v1/admin/audit-logs/export.
func (s *Server) ExportAuditLogs(ctx context.Context, request api.ExportAuditLogsRequestObject) (api.ExportAuditLogsResponseObject, error) {
	p := request.Params
	each, err := s.Audit.Export(ctx, auditlog.Filter{
		ActorID: p.ActorID, Action: (*audit.Action)(p.Action), EntityType: p.EntityType, EntityID: p.EntityID,
		From: p.From, To: p.To, RequestID: p.RequestID,
	})
	if err != nil {
		return nil, err
	}
	return auditExport{ctx: ctx, each: each}, nil
}

// auditExport is the answer of an export.
type auditExport struct {
	ctx  context.Context // The request's, for an answer that is still made while it is sent.
	each func(context.Context, func([]auditlog.Entry) error) error
}

// VisitExportAuditLogsResponse sends the entries, a batch at a time.
func (e auditExport) VisitExportAuditLogsResponse(w http.ResponseWriter) error {
	answer := stream{
		ctx: e.ctx, what: "audit export", contentType: "application/x-ndjson", filename: datedName("audit", ".ndjson"),
	}
	return answer.write(w, func(send func([]byte) error) error {
		var lines bytes.Buffer
		encoder := json.NewEncoder(&lines)
		return e.each(e.ctx, func(entries []auditlog.Entry) error {
			lines.Reset()
			for _, entry := range entries {
				item, err := toAPIAuditEntry(e.ctx, entry)
				if err != nil {
					return err
				}
				if err := encoder.Encode(item); err != nil {
					return fmt.Errorf("audit entry %s: %w", entry.ID, err)
				}
			}
			return send(lines.Bytes())
		})
	})
}

func toAPIAuditEntry(ctx context.Context, e auditlog.Entry) (api.AuditEntry, error) {
	entry := api.AuditEntry{
		ID: e.ID, CreatedAt: reqctx.In(ctx, e.CreatedAt), ActorID: maybe(e.ActorID), Action: e.Action,
		EntityType: e.EntityType, EntityID: maybe(e.EntityID), IPAddress: e.Address, UserAgent: e.UserAgent, RequestID: e.RequestID,
	}
	if err := json.Unmarshal(e.Changes, &entry.Changes); err != nil {
		return entry, fmt.Errorf("audit entry %s: %w", e.ID, err)
	}
	return entry, nil
}
