package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/importer/source"
	"github.com/picaspot/picaspot/internal/importfile"
	"github.com/picaspot/picaspot/internal/imports"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// ImportLandmarks implements POST /api/v1/landmarks/import.
func (s *Server) ImportLandmarks(ctx context.Context, request api.ImportLandmarksRequestObject) (api.ImportLandmarksResponseObject, error) {
	form, err := readImportForm(request.Body)
	defer form.close()
	if err != nil {
		return nil, err
	}
	made, err := s.Imports.Submit(ctx, imports.Submit{File: form.file.File, Options: form.options})
	if err != nil {
		return nil, err
	}
	return api.ImportLandmarks202JSONResponse{
		Body:    toAPIImport(ctx, made),
		Headers: api.ImportLandmarks202ResponseHeaders{Location: ptr(importPath(made))},
	}, nil
}

// ListImports implements GET /api/v1/imports.
func (s *Server) ListImports(ctx context.Context, request api.ListImportsRequestObject) (api.ListImportsResponseObject, error) {
	p := request.Params
	list, err := s.Imports.List(ctx, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListImports200JSONResponse{
		Items: convert(ctx, list.Items(), toAPIImport), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// GetImport implements GET /api/v1/imports/{import_id}.
func (s *Server) GetImport(ctx context.Context, request api.GetImportRequestObject) (api.GetImportResponseObject, error) {
	found, err := s.Imports.Get(ctx, request.ImportID)
	if err != nil {
		return nil, err
	}
	return api.GetImport200JSONResponse(toAPIImport(ctx, found)), nil
}

// CancelImport implements POST /api/v1/imports/{import_id}/cancel.
func (s *Server) CancelImport(ctx context.Context, request api.CancelImportRequestObject) (api.CancelImportResponseObject, error) {
	cancelled, err := s.Imports.Cancel(ctx, request.ImportID)
	if err != nil {
		return nil, err
	}
	return api.CancelImport200JSONResponse(toAPIImport(ctx, cancelled)), nil
}

// GetImportReport implements GET /api/v1/imports/{import_id}/report.
func (s *Server) GetImportReport(ctx context.Context, request api.GetImportReportRequestObject) (api.GetImportReportResponseObject, error) {
	body, size, err := s.Imports.Report(ctx, request.ImportID)
	if err != nil {
		return nil, err
	}
	return api.GetImportReport200TextCsvResponse{
		Body: body, ContentLength: size,
		Headers: api.GetImportReport200ResponseHeaders{
			CacheControl: ptr(noStore), ContentDisposition: ptr(`attachment; filename="` + datedName("rejected", ".csv") + `"`),
		},
	}, nil
}

func importPath(r *ent.ImportRun) string { return "/api/v1/imports/" + r.ID.String() }

func toAPIImport(ctx context.Context, r *ent.ImportRun) api.Import {
	var report, failure *string
	if r.Report != nil {
		report = ptr(importPath(r) + "/report")
	}
	if r.Error != "" {
		failure = &r.Error
	}
	o := r.Options
	return api.Import{
		ID: r.ID, UserID: r.UserID, Kind: api.ImportKind(r.Kind), Status: api.ImportStatus(r.Status),
		FileName: o.Name, Area: o.Area, Namespace: o.Namespace, Strict: o.Strict, DryRun: o.DryRun,
		Bytes: o.Bytes, BytesRead: r.BytesRead, RowsRead: r.RowsRead,
		Created: r.Created, Updated: r.Updated, Unchanged: r.Unchanged, Rejected: r.Rejected,
		Error: maybe(failure), ReportURL: maybe(report),
		CreatedAt: reqctx.In(ctx, r.CreatedAt), UpdatedAt: reqctx.In(ctx, r.UpdatedAt), FinishedAt: maybe(inZone(ctx, r.FinishedAt)),
	}
}

// importForm is the form of an import, read part by part as it arrives.
type importForm struct {
	file    *spooled
	options importfile.Options
}

func (f *importForm) close() {
	if f.file != nil {
		_ = f.file.Close() // Nothing reads it any more, and it has no name.
	}
}

// importTexts are the fields that are texts, with the most characters that they have.
var importTexts = map[string]int{
	"area": 100, "namespace": 100, "entry": 500, "columns": 1000, "encoding": 40, "format": 20,
	"id_field": 200, "name_field": 200, "description_field": 200, "hint_field": 200, "area_field": 200,
	"latitude_field": 200, "longitude_field": 200,
	"area_path_field": 200, "difficulty_field": 200, "unlock_radius_field": 200,
	"photo_latitude_field": 200, "photo_longitude_field": 200, "photo_radius_field": 200,
	"verified_field": 200, "created_at_field": 200, "updated_at_field": 200,
}

// readImportForm reads a form and names all its faults at once. The caller closes the
// form, also after an error.
func readImportForm(parts *multipart.Reader) (*importForm, error) {
	form := &importForm{}
	form.options.Fields = map[string]string{}
	seen := map[string]bool{}
	var faults []fault.Field
	add := func(name, code, message string) {
		faults = append(faults, fault.Field{Pointer: "/" + strings.ToValidUTF8(name, "?"), Code: code, Message: message})
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return form, malformedForm(err)
		}
		name := part.FormName()
		if seen[name] {
			add(name, "repeated", "The field is there more than once.")
			continue
		}
		seen[name] = true
		if name == "file" {
			if form.file, err = spool(part); err != nil {
				return form, malformedForm(err)
			}
			form.options.Name, form.options.Bytes = fileName(part.FileName()), form.file.size
			continue
		}
		// A character has four bytes at most, and no text has more than a thousand.
		value, err := io.ReadAll(io.LimitReader(part, 4*maxFieldBytes+1))
		if err != nil {
			return form, malformedForm(err)
		}
		if code, message := form.set(name, string(value)); code != "" {
			add(name, code, message)
		}
	}
	if form.file == nil || form.file.size == 0 {
		add("file", "required", "A file is missing.")
	}
	if len(faults) > 0 {
		return form, invalidRequest(faults)
	}
	return form, nil
}

// set takes in a field, or returns the code and the message of its fault.
func (f *importForm) set(name, value string) (code, message string) {
	o := &f.options
	if longest, ok := importTexts[name]; ok {
		switch {
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			return "encoding", "Text in UTF-8 without NUL is expected."
		case utf8.RuneCountInString(value) > longest:
			return "maxLength", fmt.Sprintf("The field is longer than %d characters.", longest)
		}
		if column, ok := strings.CutSuffix(name, "_field"); ok {
			o.Fields[column] = value
			return "", ""
		}
	}
	truth := func(to *bool) (code, message string) {
		if value != "true" && value != "false" {
			return "type", "It is either true or false."
		}
		*to, _ = strconv.ParseBool(value)
		return "", ""
	}
	switch name {
	case "area":
		o.Area = value
	case "namespace":
		o.Namespace = value
	case "entry":
		o.Entry = value
	case "columns":
		if value != "" {
			o.Columns = strings.Split(value, ",")
		}
	case "encoding":
		o.Encoding = value
	case "format":
		if !slices.Contains(source.Formats(), source.Format(value)) {
			return "enum", fmt.Sprintf("It is one of %v.", source.Formats())
		}
		o.Format = value
	case "strict":
		return truth(&o.Strict)
	case "dry_run":
		return truth(&o.DryRun)
	case "polygons":
		return truth(&o.Polygons)
	default:
		return "unknown", "There is no such field."
	}
	return "", ""
}

// fileName is what a client calls a file, as it can be kept and shown.
func fileName(name string) string {
	const longest = 100
	name = strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), "?")
	if name == "" {
		return "import"
	}
	// The extension tells the format.
	if runes := []rune(name); len(runes) > longest {
		return string(runes[len(runes)-longest:])
	}
	return name
}
