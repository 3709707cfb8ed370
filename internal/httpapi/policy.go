package httpapi

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/version"
)

// GetPolicy implements GET /api/v1/admin/policy.
func (s *Server) GetPolicy(_ context.Context, request api.GetPolicyRequestObject) (api.GetPolicyResponseObject, error) {
	live := s.Policy.Live()
	tag, notModified := etag(rbac.PolicyETag(live.Version()), request.Params.IfNoneMatch)
	if notModified {
		return api.GetPolicy304Response{}, nil
	}
	return api.GetPolicy200TextCsvResponse{
		Body: strings.NewReader(live.Text()), ContentLength: int64(len(live.Text())), Headers: api.GetPolicy200ResponseHeaders{ETag: tag},
	}, nil
}

// ReplacePolicy implements PUT /api/v1/admin/policy.
func (s *Server) ReplacePolicy(ctx context.Context, request api.ReplacePolicyRequestObject) (api.ReplacePolicyResponseObject, error) {
	text, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	made, err := s.Policy.Replace(ctx, version.Conditions(&request.Params.IfMatch, request.Params.IfNoneMatch), deref(request.Params.Comment, ""), string(text))
	if err != nil {
		return nil, err
	}
	body, err := s.policyVersion(ctx, made)
	return api.ReplacePolicy200JSONResponse{
		Body: body, Headers: api.ReplacePolicy200ResponseHeaders{ETag: ptr(rbac.PolicyETag(made.Version))},
	}, err
}

// ListPolicyVersions implements GET /api/v1/admin/policy/versions.
func (s *Server) ListPolicyVersions(ctx context.Context, request api.ListPolicyVersionsRequestObject) (api.ListPolicyVersionsResponseObject, error) {
	p := request.Params
	list, err := s.Policy.Versions(ctx, params(p.Page, p.Size, p.Cursor, p.SortBy, p.SortOrder))
	if err != nil {
		return nil, err
	}
	info := toAPIPageInfo(list)
	return api.ListPolicyVersions200JSONResponse{
		Items: convert(ctx, list.Items(), toAPIPolicyVersion), NextCursor: info.NextCursor,
		Total: info.Total, Page: info.Page, Size: info.Size, Pages: info.Pages,
	}, nil
}

// RestorePolicyVersion implements POST /api/v1/admin/policy/versions/{version}/revert.
func (s *Server) RestorePolicyVersion(ctx context.Context, request api.RestorePolicyVersionRequestObject) (api.RestorePolicyVersionResponseObject, error) {
	made, err := s.Policy.Revert(ctx, version.Conditions(request.Params.IfMatch, request.Params.IfNoneMatch), request.Version)
	if err != nil {
		return nil, err
	}
	body, err := s.policyVersion(ctx, made)
	return api.RestorePolicyVersion200JSONResponse{
		Body: body, Headers: api.RestorePolicyVersion200ResponseHeaders{ETag: ptr(rbac.PolicyETag(made.Version))},
	}, err
}

func (s *Server) policyVersion(ctx context.Context, v *ent.PolicyVersion) (api.PolicyVersion, error) {
	with, err := s.Policy.WithDiff(ctx, v)
	return toAPIPolicyVersion(ctx, with), err
}

func toAPIPolicyVersion(ctx context.Context, v rbac.PolicyVersion) api.PolicyVersion {
	return api.PolicyVersion{
		Version: v.Version, CreatedAt: reqctx.In(ctx, v.CreatedAt), CreatedBy: maybe(v.CreatedBy),
		Comment: v.Comment, Diff: strings.Join(v.Diff, "\n"),
	}
}

// ValidateAccess implements POST /api/v1/admin/policy/check.
func (s *Server) ValidateAccess(ctx context.Context, request api.ValidateAccessRequestObject) (api.ValidateAccessResponseObject, error) {
	in := request.Body
	if err := checkQuestion(in); err != nil {
		return nil, err
	}
	q := rbac.AccessQuestion{
		Role: deref(in.Role, ""), UserID: in.UserID, Permission: authz.Permission(in.Permission), EntityID: in.EntityID,
		EntityType: string(deref(in.EntityType, "")),
	}
	answer, err := s.Roles.Check(ctx, q)
	if err != nil {
		return nil, err
	}
	considered := make([]string, len(answer.Considered))
	for i, line := range answer.Considered {
		considered[i] = fmt.Sprintf("Line %d: %s", line.Number, line.Text)
	}
	decision := api.PolicyDecision{
		Allowed: answer.Allowed, Decision: api.PolicyDecisionDecision(answer.Decision.String()), Version: answer.Version,
		Role: answer.Role, Path: orEmpty(answer.Path), Reason: answer.Reason, Considered: considered,
	}
	decision.Line.SetNull()
	if answer.Line != nil {
		decision.Line.Set(api.PolicyLine{Number: answer.Line.Number, Text: answer.Line.Text})
	}
	return api.ValidateAccess200JSONResponse(decision), nil
}

// checkQuestion holds a question against what the schema can't say: which fields go
// together.
func checkQuestion(in *api.PolicyCheck) error {
	var faults []fault.Field
	add := func(name, message string) {
		faults = append(faults, fault.Field{Pointer: "/" + name, Code: "combination", Message: message})
	}
	if (in.Role == nil) == (in.UserID == nil) {
		add("role", "Either a role or a user is asked about.")
	}
	if (in.EntityType == nil) != (in.EntityID == nil) {
		add("entity_id", "An object has a kind and an id.")
	}
	if in.EntityID != nil && in.UserID == nil {
		add("user_id", "Whose object it is matters for a user only.")
	}
	if in.EntityType != nil && string(*in.EntityType) != authz.Permission(in.Permission).Resource() {
		add("entity_type", "The object is of the kind that the permission is about.")
	}
	if faults != nil {
		return invalidRequest(faults)
	}
	return nil
}
