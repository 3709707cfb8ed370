package apidoc

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// someID stands for ids of which the contract gives no example.
const someID = "01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"

// call is one request of an operation, with the examples of the contract: its
// parameters as far as they are required, and its body.
type call struct {
	method, path string
	op           *openapi3.Operation
	public       bool
	params       []param
	contentType  string
	schema       *openapi3.SchemaRef
	body         any
	// answers is the content type of the success, empty where it has no body.
	answers string
}

type param struct {
	in, name string
	value    any
	schema   *openapi3.Schema
}

func newCall(path, method string, item *openapi3.PathItem, op *openapi3.Operation) (*call, error) {
	c := &call{method: method, path: path, op: op, public: op.Extensions["x-permission"] == "public"}
	for _, ref := range append(slices.Clone(item.Parameters), op.Parameters...) {
		p := ref.Value
		if !p.Required {
			continue
		}
		value, err := exampleOf(p)
		if err != nil {
			return nil, err
		}
		c.params = append(c.params, param{in: p.In, name: p.Name, value: value, schema: p.Schema.Value})
	}
	if op.RequestBody != nil {
		content := op.RequestBody.Value.Content
		c.contentType = slices.Sorted(maps.Keys(content))[0]
		media := content[c.contentType]
		c.schema, c.body = media.Schema, media.Example
		if names := slices.Sorted(maps.Keys(media.Examples)); c.body == nil && len(names) > 0 {
			c.body = media.Examples[names[0]].Value.Value
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses.Map())) {
		if content := op.Responses.Value(status).Value.Content; strings.HasPrefix(status, "2") && len(content) > 0 {
			c.answers = slices.Sorted(maps.Keys(content))[0]
		}
	}
	return c, nil
}

func exampleOf(p *openapi3.Parameter) (any, error) {
	switch s := p.Schema.Value; {
	case p.Example != nil:
		return p.Example, nil
	case s.Example != nil:
		return s.Example, nil
	case s.Default != nil:
		return s.Default, nil
	case s.Format == "uuid":
		return someID, nil
	default:
		return nil, fmt.Errorf("the parameter %s has no example", p.Name)
	}
}

func (c *call) at(in string) []param {
	var found []param
	for _, p := range c.params {
		if p.in == in {
			found = append(found, p)
		}
	}
	return found
}

// fields are the names of a body's fields, those of its example, in the order of the
// alphabet, which is all that is known of an order.
func fields(body any) []string {
	object, _ := body.(map[string]any)
	return slices.Sorted(maps.Keys(object))
}

// isFile tells a body that is a file, of which there is no example.
func (c *call) isFile() bool {
	return strings.HasPrefix(c.contentType, "image/") || strings.HasSuffix(c.contentType, "octet-stream")
}

func (c *call) curl() string {
	var options []string
	if !c.public {
		options = append(options, `-H "Authorization: Bearer $TOKEN"`)
	}
	for _, p := range c.at(openapi3.ParameterInHeader) {
		options = append(options, "-H "+shellQuoted(fmt.Sprintf("%s: %v", p.name, p.value)))
	}
	object, _ := c.body.(map[string]any)
	switch {
	case c.contentType == "":
	case c.isFile():
		contentType := c.contentType
		if strings.HasPrefix(contentType, "image/") {
			contentType = "image/jpeg"
		}
		options = append(options, "-H 'Content-Type: "+contentType+"'", "--data-binary @photo.jpg")
	case c.contentType == "multipart/form-data":
		for _, name := range fields(c.body) {
			part := fmt.Sprintf("%s=%v", name, object[name])
			if c.isBinary(name) {
				part = name + "=@photo.jpg"
			}
			options = append(options, "-F "+shellQuoted(part))
		}
	case c.contentType == "application/x-www-form-urlencoded":
		for _, name := range fields(c.body) {
			options = append(options, "--data-urlencode "+shellQuoted(fmt.Sprintf("%s=%v", name, object[name])))
		}
	case c.contentType == "text/csv":
		options = append(options, "-H 'Content-Type: text/csv'", "--data-binary @policy.csv")
	default:
		options = append(options, "-H 'Content-Type: "+c.contentType+"'", "-d "+shellQuoted(compactJSON(c.body)))
	}
	switch {
	case strings.HasPrefix(c.answers, "image/"):
		options = append(options, "-o image.jpg")
	case c.answers == "application/vnd.mapbox-vector-tile":
		options = append(options, "-o tile.mvt")
	case c.answers == "text/event-stream":
		options = append(options, "-N")
	}
	start := "curl "
	// With a body curl sends a POST by itself.
	switch {
	case c.method == http.MethodHead:
		start += "--head " // With -X HEAD curl waits for a body.
	case c.method != http.MethodGet && (c.method != http.MethodPost || c.contentType == ""):
		start += "-X " + c.method + " "
	}
	return strings.Join(append([]string{start + `"$PICASPOT` + c.target() + `"`}, options...), " \\\n  ") + "\n"
}

// target is the path and the query of the request.
func (c *call) target() string {
	target := c.path
	for _, p := range c.at(openapi3.ParameterInPath) {
		target = strings.ReplaceAll(target, "{"+p.name+"}", url.PathEscape(fmt.Sprint(p.value)))
	}
	var query []string
	for _, p := range c.at(openapi3.ParameterInQuery) {
		query = append(query, p.name+"="+url.QueryEscape(fmt.Sprint(p.value)))
	}
	if len(query) > 0 {
		target += "?" + strings.Join(query, "&")
	}
	return target
}

func (c *call) isBinary(field string) bool {
	property := c.schema.Value.Properties[field]
	return property != nil && property.Value.Format == "binary"
}

func shellQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func compactJSON(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		// An example came from JSON.
		panic(err)
	}
	return string(encoded)
}
