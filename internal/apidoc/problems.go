package apidoc

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/idempotency"
	"github.com/picaspot/picaspot/internal/problem"
	"github.com/picaspot/picaspot/internal/reqctx"
)

const problemType = "application/problem+json"

// example is what a problem says.
type example struct {
	Detail string
	Errors []fault.Field
}

//go:embed problems.yaml
var problemTexts []byte

func readExamples() (map[string]example, error) {
	examples := map[string]example{}
	if err := yaml.Unmarshal(problemTexts, &examples); err != nil {
		return nil, fmt.Errorf("read the examples of problems: %w", err)
	}
	return examples, nil
}

// Problems returns the codes of the problems that an operation answers with, by
// status: those that it names itself, as x-problems, and those that come of what
// stands around it.
func Problems(method, path string, item *openapi3.PathItem, op *openapi3.Operation) (map[string][]string, error) {
	codes := map[string][]string{}
	own, _ := op.Extensions["x-problems"].(map[string]any)
	for status, named := range own {
		list, ok := named.([]any)
		if !ok {
			return nil, fmt.Errorf("x-problems of %s is no list", status)
		}
		for _, code := range list {
			codes[status] = append(codes[status], fmt.Sprint(code))
		}
	}
	add := func(status int, more ...string) {
		if response := op.Responses.Status(status); response != nil && response.Value.Content[problemType] != nil {
			codes[strconv.Itoa(status)] = append(codes[strconv.Itoa(status)], more...)
		}
	}
	has := func(name string) bool {
		return slices.ContainsFunc(append(slices.Clone(item.Parameters), op.Parameters...), func(p *openapi3.ParameterRef) bool { return p.Value.Name == name })
	}
	add(http.StatusBadRequest, "invalid_request")
	if has("cursor") {
		add(http.StatusBadRequest, "invalid_pagination", "invalid_cursor", "cursor_mismatch")
	}
	permission, _ := op.Extensions["x-permission"].(string)
	if permission != "public" {
		add(http.StatusUnauthorized, "unauthenticated", "invalid_token", "expired_token", "session_ended")
	}
	if strings.Contains(permission, ":") {
		add(http.StatusForbidden, "forbidden", "second_factor_required")
	}
	if method != http.MethodGet { // Documented or not.
		codes["403"] = append(codes["403"], "cross_origin")
	}
	if strings.Contains(path, "{") {
		add(http.StatusNotFound, "not_found")
	}
	if has(idempotency.Header) {
		add(http.StatusConflict, "idempotency_key_in_use")
		add(http.StatusUnprocessableEntity, "idempotency_key_reused")
	}
	if has("If-Match") {
		add(http.StatusPreconditionFailed, "version_changed", "version_excluded")
	}
	bodyProblems(op, add)
	add(http.StatusTooManyRequests, "rate_limited")
	add(http.StatusInternalServerError, "internal")
	add(http.StatusServiceUnavailable, "timeout", "database_unavailable")
	return codes, nil
}

// bodyProblems adds what comes of the bodies of an operation.
func bodyProblems(op *openapi3.Operation, add func(status int, codes ...string)) {
	if ok := op.Responses.Status(http.StatusOK); ok != nil && slices.ContainsFunc(slices.Collect(maps.Keys(ok.Value.Content)), isImage) {
		add(http.StatusNotFound, "file_not_found")
		add(http.StatusServiceUnavailable, "storage_unavailable")
	}
	if op.RequestBody == nil {
		return
	}
	content := op.RequestBody.Value.Content
	add(http.StatusRequestEntityTooLarge, "body_too_large")
	add(http.StatusUnsupportedMediaType, "unsupported_media_type")
	isForm := content["multipart/form-data"] != nil
	if isForm {
		add(http.StatusBadRequest, "form_malformed")
	} else {
		add(http.StatusBadRequest, "body_malformed")
	}
	if isForm || slices.ContainsFunc(slices.Collect(maps.Keys(content)), isImage) {
		add(http.StatusBadRequest, "photo_broken")
		add(http.StatusRequestEntityTooLarge, "photo_too_large", "photo_too_many_pixels")
		add(http.StatusUnsupportedMediaType, "photo_format", "photo_animated")
		add(http.StatusServiceUnavailable, "storage_unavailable")
	}
}

func isImage(contentType string) bool { return strings.HasPrefix(contentType, "image/") }

// problemExamples puts the problems of an operation where the contract refers to what
// operations have in common.
func (c *call) problemExamples(root, responses *yaml.Node, item *openapi3.PathItem, examples map[string]example) error {
	codes, err := Problems(c.method, c.path, item, c.op)
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(responses.Content); i += 2 {
		status, reference := responses.Content[i].Value, child(responses.Content[i+1], "$ref")
		if len(codes[status]) == 0 || reference == nil {
			continue
		}
		own := &yaml.Node{Kind: yaml.MappingNode}
		for _, code := range codes[status] {
			text, there := examples[code]
			if !there {
				return fmt.Errorf("the problem %s has no example", code)
			}
			value, err := c.problem(status, code, text)
			if err != nil {
				return err
			}
			own.Content = append(own.Content, scalar(code), &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("value"), value}})
		}
		name := reference.Value[strings.LastIndex(reference.Value, "/")+1:]
		shared := child(child(child(root, "components"), "responses"), name)
		response := &yaml.Node{Kind: yaml.MappingNode}
		for j := 0; j+1 < len(shared.Content); j += 2 {
			key, value := shared.Content[j], shared.Content[j+1]
			if key.Value == "content" {
				schema := child(child(value, problemType), "schema")
				value = mapping(problemType, mapping("schema", schema, "examples", own))
			}
			response.Content = append(response.Content, key, value)
		}
		responses.Content[i+1] = response
	}
	return nil
}

// problem is the body that the server would write.
func (c *call) problem(status, code string, text example) (*yaml.Node, error) {
	switch code {
	case "forbidden":
		text.Detail = fmt.Sprintf("Your role does not allow %v.", c.op.Extensions["x-permission"])
	case "unsupported_media_type":
		text.Detail = "Send " + strings.Join(slices.Sorted(maps.Keys(c.op.RequestBody.Value.Content)), " or ") + "."
	case "busy":
		if c.answers == "text/event-stream" {
			text.Detail = "The service can't keep more streams open. Try again in a moment, or ask for the attempt."
		}
	case "role_unknown":
		if c.schema != nil && c.schema.Value.Properties["inherits"] != nil {
			text.Errors = slices.Clone(text.Errors)
			text.Errors[0].Pointer = "/inherits/0"
		}
	case "invalid_request":
		text.Errors = []fault.Field{c.mistake()}
	}
	number, err := strconv.Atoi(status)
	if err != nil {
		return nil, fmt.Errorf("problems of the status %s: %w", status, err)
	}
	ctx := reqctx.With(context.Background(), reqctx.Request{ID: "01932c11-55aa-7b32-8f0e-2f4b5e6d7c8a"})
	recorder := httptest.NewRecorder()
	method := c.method
	if method == http.MethodHead { // Its answer has no body to show.
		method = http.MethodGet
	}
	problem.WriteFault(recorder, httptest.NewRequestWithContext(ctx, method, c.target(), nil), number, fault.New(fault.Internal, code, text.Detail).With(text.Errors...))
	var body yaml.Node
	if err := yaml.Unmarshal(recorder.Body.Bytes(), &body); err != nil {
		return nil, fmt.Errorf("the problem %s as YAML: %w", code, err)
	}
	plain(&body)
	return body.Content[0], nil
}

// mistake is one that the operation would refuse.
func (c *call) mistake() fault.Field {
	if c.schema != nil && !c.isFile() && len(c.schema.Value.Required) > 0 {
		return fault.Field{Pointer: "/" + c.schema.Value.Required[0], Code: "required", Message: "The field is missing."}
	}
	if query := c.at(openapi3.ParameterInQuery); len(query) > 0 {
		return fault.Field{Parameter: query[0].name, Code: "required", Message: "The parameter is missing."}
	}
	return fault.Field{Parameter: "colour", Code: "unknown", Message: "There is no such parameter."}
}

func mapping(pairs ...any) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, part := range pairs {
		switch part := part.(type) {
		case string:
			node.Content = append(node.Content, scalar(part))
		case *yaml.Node:
			node.Content = append(node.Content, part)
		}
	}
	return node
}

// plain takes from YAML how JSON wrote it.
func plain(node *yaml.Node) {
	node.Style = 0
	for _, part := range node.Content {
		plain(part)
	}
}
