package operation_test

import (
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/internal/operation"
)

// contract loads openapi.yaml afresh, so that a test may spoil it.
func contract(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(picaspot.OpenAPI)
	require.NoError(t, err)
	return doc
}

func TestContractKeepsItsRules(t *testing.T) {
	t.Parallel()
	doc := contract(t)
	// Lint holds examples against their schemas, except those of forms with
	// files, which have no example of a file.
	require.NoError(t, doc.Validate(t.Context(), openapi3.DisableExamplesValidation()))
	require.Empty(t, operation.Lint(doc), "openapi.yaml breaks the rules of Lint")
}

func TestLintNamesWhatIsBroken(t *testing.T) {
	t.Parallel()
	const (
		createArea = "POST /api/v1/areas "
		getArea    = "GET /api/v1/areas/{area_id} "
		getMe      = "GET /api/v1/me "
		login      = "POST /api/v1/auth/login "
	)
	area := func(doc *openapi3.T) *openapi3.Operation { return doc.Paths.Find("/api/v1/areas").Post }
	me := func(doc *openapi3.T) *openapi3.Operation { return doc.Paths.Find("/api/v1/me").Get }
	one := func(doc *openapi3.T) *openapi3.Operation { return doc.Paths.Find("/api/v1/areas/{area_id}").Get }
	requestOf := func(op *openapi3.Operation) *openapi3.MediaType {
		return op.RequestBody.Value.Content["application/json"]
	}
	openTo := func(has bool) openapi3.BoolSchema { return openapi3.BoolSchema{Has: &has} }
	for name, test := range map[string]struct {
		spoil func(doc *openapi3.T)
		want  string
	}{
		"no permission": {func(doc *openapi3.T) { delete(area(doc).Extensions, "x-permission") }, createArea + "has no x-permission"},
		"a malformed permission": {func(doc *openapi3.T) { area(doc).Extensions["x-permission"] = "area" },
			createArea + "has the x-permission area, which is neither public, authenticated nor resource:action"},
		"public behind security": {func(doc *openapi3.T) { doc.Paths.Find("/api/v1/auth/login").Post.Security = nil },
			login + "is public, and its security asks for a token"},
		"a permission without security": {func(doc *openapi3.T) { area(doc).Security = openapi3.NewSecurityRequirements() },
			createArea + "is not public, and its security asks for no token"},
		"no summary":        {func(doc *openapi3.T) { area(doc).Summary = "" }, createArea + "has no summary"},
		"no description":    {func(doc *openapi3.T) { area(doc).Description = "" }, createArea + "has no description"},
		"no tag":            {func(doc *openapi3.T) { area(doc).Tags = nil }, createArea + "has no tag"},
		"an undeclared tag": {func(doc *openapi3.T) { area(doc).Tags = []string{"aeras"} }, createArea + `has the tag "aeras", which the spec does not declare`},
		"no operationId":    {func(doc *openapi3.T) { area(doc).OperationID = "" }, createArea + "has no operationId"},
		"an operationId in snake_case": {func(doc *openapi3.T) { area(doc).OperationID = "create_area" },
			createArea + `has the operationId "create_area", which does not read as a verb and a noun in camelCase`},
		"an operationId without a verb": {func(doc *openapi3.T) { area(doc).OperationID = "areaCreation" },
			createArea + `has the operationId "areaCreation", which does not read as a verb and a noun in camelCase`},
		"an operationId that is a verb": {func(doc *openapi3.T) { area(doc).OperationID = "create" },
			createArea + `has the operationId "create", which does not read as a verb and a noun in camelCase`},
		"an operationId twice": {func(doc *openapi3.T) { area(doc).OperationID = "getMe" }, `has the operationId "getMe", which another one has too`},
		"no example of a request": {func(doc *openapi3.T) { requestOf(area(doc)).Example = nil },
			createArea + "has no example for the request body application/json"},
		"no example of a response": {func(doc *openapi3.T) { me(doc).Responses.Status(200).Value.Content["application/json"].Example = nil },
			getMe + "has no example for the response 200 application/json"},
		"an example that lacks a field": {func(doc *openapi3.T) { requestOf(area(doc)).Example = map[string]any{} },
			createArea + `has an example for the request body application/json that does not fit its schema at "/name": The field is missing.`},
		"a named example with a wrong format": {func(doc *openapi3.T) {
			requestOf(area(doc)).Examples = openapi3.Examples{"nested": &openapi3.ExampleRef{Value: openapi3.NewExample(map[string]any{"name": "x", "parent_area_id": "1"})}}
		}, createArea + `has an example for the request body application/json that does not fit its schema at "/parent_area_id": A UUID as`},
		"an undocumented 400":     {func(doc *openapi3.T) { area(doc).Responses.Delete("400") }, createArea + "does not document 400"},
		"an undocumented 401":     {func(doc *openapi3.T) { me(doc).Responses.Delete("401") }, getMe + "does not document 401"},
		"an undocumented 403":     {func(doc *openapi3.T) { area(doc).Responses.Delete("403") }, createArea + "does not document 403"},
		"an undocumented 404":     {func(doc *openapi3.T) { one(doc).Responses.Delete("404") }, getArea + "does not document 404"},
		"an undocumented 413":     {func(doc *openapi3.T) { area(doc).Responses.Delete("413") }, createArea + "does not document 413"},
		"an undocumented 415":     {func(doc *openapi3.T) { area(doc).Responses.Delete("415") }, createArea + "does not document 415"},
		"an undocumented 429":     {func(doc *openapi3.T) { area(doc).Responses.Delete("429") }, createArea + "does not document 429"},
		"an undocumented 500":     {func(doc *openapi3.T) { area(doc).Responses.Delete("500") }, createArea + "does not document 500"},
		"a limit without a class": {func(doc *openapi3.T) { area(doc).Extensions["x-rate-limit"] = 5 }, createArea + "has an x-rate-limit that names no class"},
		"a creation that says nothing about keys": {func(doc *openapi3.T) { delete(area(doc).Extensions, "x-idempotent") },
			createArea + "creates something, and does not say whether it is x-idempotent"},
		"keys neither taken nor refused": {func(doc *openapi3.T) { area(doc).Extensions["x-idempotent"] = "yes" },
			createArea + "has an x-idempotent that is neither true nor false: yes"},
		"keys without the parameter": {func(doc *openapi3.T) { area(doc).Parameters = nil },
			createArea + "has to have the parameter Idempotency-Key and be x-idempotent, or neither"},
		"the parameter without keys": {func(doc *openapi3.T) { area(doc).Extensions["x-idempotent"] = false },
			createArea + "has to have the parameter Idempotency-Key and be x-idempotent, or neither"},
		"keys of a GET": {func(doc *openapi3.T) { me(doc).Extensions["x-idempotent"] = true }, getMe + "is x-idempotent, which is for POST"},
		"keys of nobody": {func(doc *openapi3.T) { doc.Paths.Find("/api/v1/auth/login").Post.Extensions["x-idempotent"] = true },
			login + "is x-idempotent and public: there is no caller to whom a key would belong"},
		"an undocumented replay": {func(doc *openapi3.T) { delete(area(doc).Responses.Status(201).Value.Headers, "Idempotency-Replayed") },
			createArea + "does not document the header Idempotency-Replayed of the response 201"},
		"a compressed operation of auth": {func(doc *openapi3.T) { delete(doc.Paths.Find("/api/v1/auth/login").Post.Extensions, "x-compress") },
			login + "answers with"},
		"a compressed secret": {func(doc *openapi3.T) {
			delete(doc.Paths.Find("/api/v1/admin/webhooks/{webhook_id}/secret").Post.Extensions, "x-compress")
		}, "answers with secret, which sounds like a secret, and does not say x-compress: false"},
		"an undocumented 409 for keys": {func(doc *openapi3.T) { area(doc).Responses.Delete("409") }, createArea + "does not document 409"},
		"a property without description": {func(doc *openapi3.T) { doc.Components.Schemas["Area"].Value.Properties["name"].Value.Description = "" },
			"schema Area has the property name without a description"},
		"an inherited property without description": {func(doc *openapi3.T) {
			doc.Components.Schemas["AreaList"].Value.AllOf[1].Value.Properties["items"].Value.Description = ""
		}, "schema AreaList has the property items without a description"},
		"a reference to a schema without description": {func(doc *openapi3.T) { doc.Components.Schemas["Image"].Value.Description = "" },
			"schema Area has the property image without a description"},
		"a field of a form without example": {func(doc *openapi3.T) {
			doc.Components.Schemas["AttemptCreate"].Value.Properties["latitude"].Value.Example = nil
		}, "POST /api/v1/landmarks/{landmark_id}/attempts has the field latitude without an example in the request body multipart/form-data"},
		"a parameter without description": {func(doc *openapi3.T) { one(doc).Parameters[0].Value.Description = "" }, getArea + "has the parameter If-None-Match without a description"},
		"a request that takes anything": {func(doc *openapi3.T) { requestOf(area(doc)).Schema.Value.AdditionalProperties = openTo(true) },
			createArea + `takes unknown fields in the request body application/json at ""`},
		"a nested request that takes anything": {func(doc *openapi3.T) {
			doc.Components.Schemas["Position"].Value.AdditionalProperties = openapi3.BoolSchema{}
		},
			`POST /api/v1/landmarks takes unknown fields in the request body application/json at "/photo_location"`},
		"an anonymous request":  {func(doc *openapi3.T) { requestOf(area(doc)).Schema.Ref = "" }, createArea + "has an anonymous schema for the request body application/json"},
		"an anonymous response": {func(doc *openapi3.T) { me(doc).Responses.Status(200).Value.Content["application/json"].Schema.Ref = "" }, getMe + "has an anonymous schema for the response 200 application/json"},
		"an anonymous item": {func(doc *openapi3.T) {
			schema := me(doc).Responses.Status(200).Value.Content["application/json"].Schema
			list := openapi3.NewArraySchema()
			list.Items = &openapi3.SchemaRef{Value: schema.Value}
			me(doc).Responses.Status(200).Value.Content["application/json"].Schema = &openapi3.SchemaRef{Value: list}
		}, getMe + "has an anonymous schema for the response 200 application/json"},
		"a body without a schema": {func(doc *openapi3.T) { me(doc).Responses.Status(200).Value.Content["application/json"].Schema = nil },
			getMe + "has no schema for the response 200 application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := contract(t)
			test.spoil(doc)
			require.Contains(t, strings.Join(operation.Lint(doc), "\n"), test.want)
		})
	}
}

func TestLoadRefusesWhatCannotBeServedSafely(t *testing.T) {
	t.Parallel()
	area := func(doc *openapi3.T) *openapi3.Operation { return doc.Paths.Find("/api/v1/areas").Post }
	content := func(doc *openapi3.T) openapi3.Content { return area(doc).RequestBody.Value.Content }
	listing := func(doc *openapi3.T) *openapi3.Parameter {
		return doc.Paths.Find("/api/v1/areas").Get.Parameters[0].Value
	}
	for name, test := range map[string]struct {
		spoil func(doc *openapi3.T)
		want  string
	}{
		"no permission":           {func(doc *openapi3.T) { delete(area(doc).Extensions, "x-permission") }, "POST /api/v1/areas has no x-permission"},
		"an empty permission":     {func(doc *openapi3.T) { area(doc).Extensions["x-permission"] = "" }, "POST /api/v1/areas has a malformed x-permission"},
		"a permission of no text": {func(doc *openapi3.T) { area(doc).Extensions["x-permission"] = true }, "POST /api/v1/areas has a malformed x-permission"},
		"a malformed permission":  {func(doc *openapi3.T) { area(doc).Extensions["x-permission"] = "Public" }, "POST /api/v1/areas has a malformed x-permission"},
		"no operationId":          {func(doc *openapi3.T) { area(doc).OperationID = "" }, "POST /api/v1/areas has no operationId"},
		"an operationId twice":    {func(doc *openapi3.T) { area(doc).OperationID = "getMe" }, "getMe"},
		"a limit without a class": {func(doc *openapi3.T) { area(doc).Extensions["x-rate-limit"] = 5 }, "has an x-rate-limit that names no class"},
		"keys as text":            {func(doc *openapi3.T) { area(doc).Extensions["x-idempotent"] = "true" }, "has an x-idempotent that is neither true nor false"},
		"keys of nobody": {func(doc *openapi3.T) { doc.Paths.Find("/api/v1/auth/login").Post.Extensions["x-idempotent"] = true },
			"is x-idempotent and public"},
		"a wish for compression": {func(doc *openapi3.T) { area(doc).Extensions["x-compress"] = true }, "has an x-compress that is not false"},
		"a pattern that is none": {func(doc *openapi3.T) {
			listing(doc).Schema = &openapi3.SchemaRef{Value: openapi3.NewStringSchema().WithPattern("(")}
		}, "the spec is not valid"},
		"a body that can't be validated": {func(doc *openapi3.T) { content(doc)["text/html"] = content(doc)["application/json"] },
			"has a body of text/html, which can't be validated"},
		"a body without a schema": {func(doc *openapi3.T) { content(doc)["application/json"].Schema = nil }, "has a body of application/json without a schema"},
		"a file beside a form":    {func(doc *openapi3.T) { content(doc)["image/png"] = content(doc)["application/json"] }, "takes files beside other bodies"},
		"an object in the query": {func(doc *openapi3.T) {
			listing(doc).Schema = &openapi3.SchemaRef{Value: openapi3.NewObjectSchema()}
		}, "has the parameter is_verified, which is an object"},
		"a parameter without a schema": {func(doc *openapi3.T) {
			listing(doc).Schema = nil
			listing(doc).Content = openapi3.NewContentWithJSONSchema(openapi3.NewBoolSchema())
		}, "has the parameter is_verified without a schema"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := contract(t)
			test.spoil(doc)
			table, err := operation.Load(doc)
			require.ErrorContains(t, err, test.want)
			require.Nil(t, table)
		})
	}
}
