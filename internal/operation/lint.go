package operation

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/idempotency"
)

// verbs are the words that an operationId begins with, so that the generated
// clients have methods that read well. A new one is added here, on purpose.
var verbs = []string{
	"add", "apply", "cancel", "change", "confirm", "create", "delete", "end", "export", "find", "follow", "get", "import",
	"list", "login", "logout", "mark", "purge", "put", "refresh", "register", "remove", "replace", "request", "resend", "reset",
	"resolve", "restore", "retry", "revoke", "search", "send", "set", "start", "stop", "unfollow", "unverify", "update",
	"validate", "verify",
}

// alone are the verbs that need no noun.
var alone = []string{"login", "logout"}

var operationID = regexp.MustCompile(`^([a-z]+)((?:[A-Z][A-Za-z0-9]*)?)$`)

// Lint holds a spec to the rules of this project and returns a sentence for
// each one that is broken, sorted. What OpenAPI itself asks for is not among
// them: [Load] checks that.
func Lint(doc *openapi3.T) []string {
	l := linter{ids: map[string]bool{}, tags: map[string]bool{}}
	for _, tag := range doc.Tags {
		l.tags[tag.Name] = true
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			l.at = method + " " + path
			l.operation(path, item, op)
		}
	}
	l.described(doc)
	slices.Sort(l.said)
	return l.said
}

// described checks that each property of a named schema says what it is, itself
// or through the schema that it refers to.
func (l *linter) described(doc *openapi3.T) {
	for name, ref := range doc.Components.Schemas {
		l.at = "schema " + name
		l.properties("", ref.Value)
	}
}

func (l *linter) properties(path string, schema *openapi3.Schema) {
	for name, property := range schema.Properties {
		if property.Value.Description == "" && !slices.ContainsFunc(property.Value.AllOf, func(part *openapi3.SchemaRef) bool { return part.Value.Description != "" }) {
			l.say("has the property %s without a description", path+name)
		}
		if property.Ref == "" {
			l.properties(path+name+".", property.Value)
		}
	}
	inline := slices.Concat(schema.AllOf, schema.AnyOf, schema.OneOf, openapi3.SchemaRefs{schema.Items, schema.AdditionalProperties.Schema})
	for _, part := range inline {
		if part != nil && part.Ref == "" {
			l.properties(path, part.Value)
		}
	}
}

type linter struct {
	at   string
	said []string
	ids  map[string]bool
	tags map[string]bool
}

func (l *linter) say(format string, args ...any) {
	l.said = append(l.said, l.at+" "+fmt.Sprintf(format, args...))
}

func (l *linter) operation(path string, item *openapi3.PathItem, op *openapi3.Operation) {
	l.name(op.OperationID)
	if op.Summary == "" {
		l.say("has no summary")
	}
	if op.Description == "" {
		l.say("has no description")
	}
	if len(op.Tags) == 0 {
		l.say("has no tag")
	}
	for _, tag := range op.Tags {
		if !l.tags[tag] {
			l.say("has the tag %q, which the spec does not declare", tag)
		}
	}
	for _, p := range append(slices.Clone(item.Parameters), op.Parameters...) {
		if p.Value.Description == "" {
			l.say("has the parameter %s without a description", p.Value.Name)
		}
		// Swagger UI fills it in, and a reader who tries the operation sends it unawares.
		if !p.Value.Required && (p.Value.Example != nil || p.Value.Schema != nil && p.Value.Schema.Value.Example != nil) {
			l.say("has an example for the parameter %s, which is optional: put it into the description", p.Value.Name)
		}
	}
	needed := []int{400, 500}
	needed = append(needed, l.permission(op)...)
	needed = append(needed, l.idempotent(item, op)...)
	if strings.Contains(path, "{") {
		needed = append(needed, 404)
	}
	if op.RequestBody != nil {
		needed = append(needed, 413, 415)
		l.requestBody(op.RequestBody.Value)
	}
	if limit, there := op.Extensions["x-rate-limit"]; there {
		needed = append(needed, 429)
		if name, _ := limit.(string); name == "" {
			l.say("has an x-rate-limit that names no class")
		}
	}
	for _, status := range needed {
		if op.Responses.Status(status) == nil {
			l.say("does not document %d", status)
		}
	}
	l.responses(op.Responses)
	l.secret(op)
}

// secretName is what a property is called that holds a secret.
var secretName = regexp.MustCompile(`(^|_)(secret|token|codes|password|challenge)$`)

// secret checks that answers with a secret are not compressed, nor any of those that
// cookies may ask for.
func (l *linter) secret(op *openapi3.Operation) {
	if _, there := op.Extensions["x-compress"]; there {
		return
	}
	if slices.Contains(op.Tags, "auth") {
		l.say("is one of auth, and does not say x-compress: false")
	}
	for status, response := range op.Responses.Map() {
		for _, media := range response.Value.Content {
			if name := secretIn(media.Schema, map[*openapi3.Schema]bool{}); name != "" && strings.HasPrefix(status, "2") {
				l.say("answers with %s, which sounds like a secret, and does not say x-compress: false", name)
			}
		}
	}
}

// secretIn returns the name of a property beneath a schema that sounds like a secret,
// or nothing.
func secretIn(ref *openapi3.SchemaRef, seen map[*openapi3.Schema]bool) string {
	if ref == nil || ref.Value == nil || seen[ref.Value] {
		return ""
	}
	s := ref.Value
	seen[s] = true
	parts := slices.Concat(s.AllOf, s.AnyOf, s.OneOf, openapi3.SchemaRefs{s.Items, s.AdditionalProperties.Schema})
	for name, property := range s.Properties {
		if secretName.MatchString(name) {
			return name
		}
		parts = append(parts, property)
	}
	for _, part := range parts {
		if name := secretIn(part, seen); name != "" {
			return name
		}
	}
	return ""
}

func (l *linter) name(id string) {
	if l.ids[id] {
		l.say("has the operationId %q, which another one has too", id)
	}
	l.ids[id] = true
	parts := operationID.FindStringSubmatch(id)
	switch {
	case id == "":
		l.say("has no operationId")
	case parts == nil || !slices.Contains(verbs, parts[1]) || parts[2] == "" && !slices.Contains(alone, parts[1]):
		l.say("has the operationId %q, which does not read as a verb and a noun in camelCase", id)
	}
}

// permission checks x-permission, and returns which errors come of it.
func (l *linter) permission(op *openapi3.Operation) []int {
	extension, there := op.Extensions["x-permission"]
	if !there {
		l.say("has no x-permission")
		return nil
	}
	switch value, _ := extension.(string); value {
	case public:
		if op.Security == nil || len(*op.Security) > 0 {
			l.say("is public, and its security asks for a token")
		}
		return nil
	case authenticated:
		l.secured(op)
		return []int{401}
	default:
		if _, err := authz.ParsePermission(value); err != nil {
			l.say("has the x-permission %v, which is neither public, authenticated nor resource:action", extension)
		}
		l.secured(op)
		return []int{401, 403}
	}
}

// idempotent checks that each POST that creates something says whether it takes a
// key (x-idempotent), and those that do how, and returns which errors come of it.
func (l *linter) idempotent(item *openapi3.PathItem, op *openapi3.Operation) []int {
	extension, there := op.Extensions["x-idempotent"]
	takes, ok := extension.(bool)
	isPost := item.Post == op
	switch creates := op.Responses.Status(201) != nil || op.Responses.Status(202) != nil; {
	case there && !ok:
		l.say("has an x-idempotent that is neither true nor false: %v", extension)
	case !there && isPost && creates:
		l.say("creates something, and does not say whether it is x-idempotent")
	case takes && !isPost:
		l.say("is x-idempotent, which is for POST: other methods are by nature, or by If-Match")
	case takes && op.Extensions["x-permission"] == public:
		l.say("is x-idempotent and public: there is no caller to whom a key would belong")
	}
	if takes != (op.Parameters.GetByInAndName(openapi3.ParameterInHeader, idempotency.Header) != nil) {
		l.say("has to have the parameter %s and be x-idempotent, or neither", idempotency.Header)
	}
	if !takes {
		return nil
	}
	for status, response := range op.Responses.Map() {
		if strings.HasPrefix(status, "2") && response.Value.Headers[idempotency.ReplayedHeader] == nil {
			l.say("does not document the header %s of the response %s", idempotency.ReplayedHeader, status)
		}
	}
	return []int{409, 422}
}

func (l *linter) secured(op *openapi3.Operation) {
	if op.Security != nil && len(*op.Security) == 0 {
		l.say("is not public, and its security asks for no token")
	}
}

func (l *linter) requestBody(body *openapi3.RequestBody) {
	for _, contentType := range slices.Sorted(maps.Keys(body.Content)) {
		media := body.Content[contentType]
		what := "the request body " + contentType
		l.named(what, media.Schema)
		if isJSON(contentType) || contentType == formType {
			l.example(what, media, openapi3.VisitAsRequest(), true)
		}
		if strings.HasPrefix(contentType, "multipart/") {
			l.formExamples(what, media.Schema.Value)
		}
		l.closed(what, "", media.Schema, map[*openapi3.Schema]bool{})
	}
}

// formExamples checks that the numbers and texts of a form have examples: Swagger
// UI fills in each field by itself, a number without an example with its maximum.
func (l *linter) formExamples(what string, schema *openapi3.Schema) {
	for name, property := range schema.Properties {
		p := property.Value
		if p.Example == nil && p.Format != "binary" && p.Format != "date-time" && len(p.Enum) == 0 {
			l.say("has the field %s without an example in %s", name, what)
		}
	}
}

func (l *linter) responses(responses *openapi3.Responses) {
	for _, status := range slices.Sorted(maps.Keys(responses.Map())) {
		for contentType, media := range responses.Value(status).Value.Content {
			what := fmt.Sprintf("the response %s %s", status, contentType)
			l.named(what, media.Schema)
			if isJSON(contentType) {
				l.example(what, media, openapi3.VisitAsResponse(), strings.HasPrefix(status, "2") && !isFree(media.Schema))
			}
		}
	}
}

// example checks the examples of a body against its schema. A body without one
// is a fault when it is needed.
func (l *linter) example(what string, media *openapi3.MediaType, direction openapi3.SchemaValidationOption, needed bool) {
	var examples []any
	if media.Example != nil {
		examples = append(examples, media.Example)
	}
	for _, name := range slices.Sorted(maps.Keys(media.Examples)) {
		if example := media.Examples[name].Value; example != nil {
			examples = append(examples, example.Value)
		}
	}
	if len(examples) == 0 && needed {
		l.say("has no example for %s", what)
	}
	if media.Schema == nil {
		l.say("has no schema for %s", what)
		return
	}
	for _, example := range examples {
		err := media.Schema.Value.VisitJSON(example, openapi3.MultiErrors(), direction, formats)
		for _, broken := range schemaErrors(err) {
			l.say("has an example for %s that does not fit its schema at %q: %s", what, pointerTo(broken.JSONPointer()...), sentence(broken))
		}
	}
}

// isFree tells an object of which the schema says nothing, as the document of
// another standard: there is no name and no example that would say more.
func isFree(ref *openapi3.SchemaRef) bool {
	return ref != nil && ref.Value.Type.Is(openapi3.TypeObject) && len(ref.Value.Properties) == 0 && len(ref.Value.AllOf) == 0
}

// named checks that objects in a body are schemas with a name, which become
// types with a name in the clients.
func (l *linter) named(what string, ref *openapi3.SchemaRef) {
	switch {
	case ref == nil || ref.Ref != "":
	case ref.Value.Type.Is(openapi3.TypeArray):
		l.named(what, ref.Value.Items)
	case len(ref.Value.Properties) > 0, len(ref.Value.AllOf)+len(ref.Value.OneOf)+len(ref.Value.AnyOf) > 0:
		l.say("has an anonymous schema for %s", what)
	}
}

// closed checks that every object in a request refuses fields that it does not
// know.
func (l *linter) closed(what, path string, ref *openapi3.SchemaRef, seen map[*openapi3.Schema]bool) {
	if ref == nil || ref.Value == nil || seen[ref.Value] {
		return
	}
	s := ref.Value
	seen[s] = true
	if s.Type.Is(openapi3.TypeObject) && s.AdditionalProperties.Schema == nil &&
		(s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has) {
		l.say("takes unknown fields in %s at %q: say additionalProperties: false", what, path)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		l.closed(what, path+"/"+name, s.Properties[name], seen)
	}
	l.closed(what, path+"/items", s.Items, seen)
	l.closed(what, path+"/*", s.AdditionalProperties.Schema, seen)
}
