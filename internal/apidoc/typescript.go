package apidoc

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

const width = 80

// sessionCalls are the operations that the client has no function of the name for:
// its own login and logout start and end a session.
var sessionCalls = []string{"login", "logout"}

func (c *call) typescript() string {
	byPath := slices.Contains(sessionCalls, c.op.OperationID)
	indent := "  "
	if byPath {
		indent = "    "
	}
	var options []string
	var params []string
	for _, in := range []string{openapi3.ParameterInPath, openapi3.ParameterInQuery, openapi3.ParameterInHeader} {
		var of []string
		for _, p := range c.at(in) {
			of = append(of, key(p.name)+": "+literal(p.value, indent))
		}
		if len(of) > 0 {
			params = append(params, in+": "+braced(of, indent))
		}
	}
	if byPath && len(params) > 0 {
		params = []string{"params: " + braced(params, "  ")}
	}
	options = append(options, params...)
	switch {
	case c.contentType == "":
	case c.isFile():
		options = append(options, "body: photo")
	case c.contentType == "text/csv":
		options = append(options, "body: policy")
	default:
		var of []string
		object, _ := c.body.(map[string]any)
		for _, name := range fields(c.body) {
			value := literal(object[name], "    ")
			if c.isBinary(name) {
				value = "photo"
			}
			if entry := key(name) + ": " + value; key(name) == value {
				of = append(of, name)
			} else {
				of = append(of, entry)
			}
		}
		options = append(options, "body: "+braced(of, "  "))
	}
	start := "const { data } = "
	if c.answers == "" {
		start = ""
	}
	if byPath {
		start += fmt.Sprintf("await client.%s('%s'", c.method, c.path)
		if len(options) > 0 {
			start += ", "
		}
	} else {
		start += fmt.Sprintf("await client.%s(", c.op.OperationID)
	}
	if len(options) == 0 {
		return start + ")\n"
	}
	return start + braced(options, "") + ")\n"
}

// braced is an object of entries, on one line where it fits.
func braced(entries []string, indent string) string {
	line := "{ " + strings.Join(entries, ", ") + " }"
	if len(indent)+len(line) <= width-20 && !strings.Contains(line, "\n") {
		return line
	}
	inner := indent + "  "
	return "{\n" + inner + strings.Join(entries, ",\n"+inner) + ",\n" + indent + "}"
}

var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

func key(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return literal(name, "")
}

// literal is a value in TypeScript.
func literal(value any, indent string) string {
	switch value := value.(type) {
	case string:
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(value) + "'"
	case map[string]any:
		var of []string
		for _, name := range fields(value) {
			of = append(of, key(name)+": "+literal(value[name], indent+"  "))
		}
		return braced(of, indent)
	case []any:
		var of []string
		for _, element := range value {
			of = append(of, literal(element, indent))
		}
		return "[" + strings.Join(of, ", ") + "]"
	default:
		return compactJSON(value)
	}
}
