package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// ListAuditLogs implements GET /api/v1/admin/audit-logs.
func (s *Server) ListAuditLogs(ctx context.Context, request api.ListAuditLogsRequestObject) (api.ListAuditLogsResponseObject, error) {
	p := request.Params
	list, err := s.Audit.List(ctx, auditlog.Filter{
		ActorID: p.ActorID, Action: p.Action, EntityType: p.EntityType, EntityID: p.EntityID,
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
		ActorID: p.ActorID, Action: p.Action, EntityType: p.EntityType, EntityID: p.EntityID,
		From: p.From, To: p.To, RequestID: p.RequestID,
	})
	if err != nil {
		return nil, err
	}
	return auditExport{ctx: ctx, each: each}, nil
}

// exportPatience is how long a client of an export may take for a batch of entries.
const exportPatience = time.Minute

// auditExport is the answer of an export, which the generated response could give as
// a reader only, and without saying that it broke off.
type auditExport struct {
	ctx  context.Context // The request's, for an answer that is still made while it is sent.
	each func(context.Context, func([]auditlog.Entry) error) error
}

// VisitExportAuditLogsResponse sends the entries, a batch at a time. When it fails on
// the way the connection is cut, so that nobody takes the part for the whole.
func (e auditExport) VisitExportAuditLogsResponse(w http.ResponseWriter) error {
	out := http.NewResponseController(w)
	begun := false
	begin := func() {
		if begun {
			return
		}
		begun = true
		h := w.Header()
		h.Set("Content-Type", "application/x-ndjson")
		h.Set("Cache-Control", noStore)
		h.Set("Content-Disposition", `attachment; filename="picaspot-audit-`+time.Now().UTC().Format(time.DateOnly)+`.ndjson"`)
		w.WriteHeader(http.StatusOK)
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	err := e.each(e.ctx, func(entries []auditlog.Entry) error {
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
		begin()
		// The server's own deadline is that of a whole answer.
		if err := out.SetWriteDeadline(time.Now().Add(exportPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if _, err := lines.WriteTo(w); err != nil {
			return err
		}
		return out.Flush()
	})
	if err == nil {
		begin()
		return nil
	}
	if !begun {
		return err
	}
	if e.ctx.Err() == nil {
		slog.ErrorContext(e.ctx, "audit export broke off", "error", err)
	}
	panic(http.ErrAbortHandler)
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
