package apidoc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// kotlin is the call by the client's method of the same name, in the section of the tag.
func (c *call) kotlin() (string, error) {
	var arguments []string
	add := func(name, value string) { arguments = append(arguments, camel(name)+" = "+value) }
	for _, in := range []string{openapi3.ParameterInPath, openapi3.ParameterInQuery, openapi3.ParameterInHeader} {
		for _, p := range c.at(in) {
			value, err := kotlinValue(&openapi3.SchemaRef{Value: p.schema}, p.value, "  ")
			if err != nil {
				return "", fmt.Errorf("parameter %s: %w", p.name, err)
			}
			add(p.name, value)
		}
	}
	object, _ := c.body.(map[string]any)
	switch {
	case c.contentType == "":
	case c.isFile():
		add("body", "photo")
	case c.contentType == "text/csv":
		add("body", "policy")
	case c.contentType == "multipart/form-data", c.contentType == "application/x-www-form-urlencoded":
		for _, name := range fields(c.body) {
			property := c.schema.Value.Properties[name]
			value := "photo"
			if !c.isBinary(name) {
				var err error
				if value, err = kotlinField(c.op.OperationID, name, property, object[name], "  "); err != nil {
					return "", err
				}
			}
			add(name, value)
		}
	default:
		value, err := kotlinValue(c.schema, c.body, "  ")
		if err != nil {
			return "", err
		}
		add(typeName(c.schema), value)
	}
	start := "client." + c.op.Tags[0] + "." + c.op.OperationID + "("
	if c.answers != "" {
		start = "val answer = " + start
	}
	return start + parenthesised(arguments, "") + ")\n", nil
}

// kotlinField is the value of a field. An enum without a name is named after the field
// and what has it, a schema or the operation of a form.
func kotlinField(of, name string, schema *openapi3.SchemaRef, value any, indent string) (string, error) {
	if len(schema.Value.Enum) > 0 && typeName(schema) == "" && value != nil {
		return upperFirst(of) + upperFirst(camel(name)) + "." + enumName(value), nil
	}
	return kotlinValue(schema, value, indent)
}

// kotlinValue is a value of a schema in Kotlin, of the types that the client has.
func kotlinValue(ref *openapi3.SchemaRef, value any, indent string) (string, error) {
	schema := ref.Value
	if name := typeName(ref); len(schema.Enum) > 0 && name != "" {
		return name + "." + enumName(value), nil
	}
	switch value := value.(type) {
	case string:
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "\n", `\n`).Replace(value) + `"`
		switch schema.Format {
		case "uuid":
			return "UUID.fromString(" + quoted + ")", nil
		case "date-time":
			return "OffsetDateTime.parse(" + quoted + ")", nil
		}
		return quoted, nil
	case []any:
		var of []string
		for _, element := range value {
			item, err := kotlinValue(schema.Items, element, indent)
			if err != nil {
				return "", err
			}
			of = append(of, item)
		}
		collection := "listOf("
		if schema.UniqueItems {
			collection = "setOf("
		}
		return collection + strings.Join(of, ", ") + ")", nil
	case map[string]any:
		name := typeName(ref)
		if name == "" {
			return "", fmt.Errorf("an object without a name: %s", compactJSON(value))
		}
		var of []string
		for _, field := range fields(value) {
			property := propertyOf(schema, field)
			if property == nil {
				return "", fmt.Errorf("%s has no field %s", name, field)
			}
			item, err := kotlinField(name, field, property, value[field], indent+"  ")
			if err != nil {
				return "", fmt.Errorf("%s: %w", field, err)
			}
			if property.Value.Nullable && !slices.Contains(schema.Required, field) {
				item = "Present(" + item + ")"
			}
			of = append(of, camel(field)+" = "+item)
		}
		return name + "(" + parenthesised(of, indent) + ")", nil
	case nil:
		return "null", nil
	default:
		written := compactJSON(value)
		if schema.Type.Is(openapi3.TypeNumber) && !strings.ContainsAny(written, ".e") {
			written += ".0"
		}
		return written, nil
	}
}

func propertyOf(schema *openapi3.Schema, name string) *openapi3.SchemaRef {
	if property := schema.Properties[name]; property != nil {
		return property
	}
	for _, part := range schema.AllOf {
		if property := propertyOf(part.Value, name); property != nil {
			return property
		}
	}
	return nil
}

// typeName is the name of a schema, also of one that is wrapped to say more about it.
func typeName(ref *openapi3.SchemaRef) string {
	if ref.Ref == "" && len(ref.Value.AllOf) == 1 {
		ref = ref.Value.AllOf[0]
	}
	return ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
}

func enumName(value any) string {
	return strings.ToUpper(strings.ReplaceAll(fmt.Sprint(value), "-", "_"))
}

// parenthesised is what stands between parentheses, on one line where it fits.
func parenthesised(arguments []string, indent string) string {
	line := strings.Join(arguments, ", ")
	if len(indent)+len(line) <= width-20 && !strings.Contains(line, "\n") {
		return line
	}
	inner := indent + "  "
	return "\n" + inner + strings.Join(arguments, ",\n"+inner) + ",\n" + indent
}

// camel is a name of the contract as Kotlin writes it.
func camel(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' })
	for i, word := range words {
		if i == 0 {
			words[i] = strings.ToLower(word[:1]) + word[1:]
		} else {
			words[i] = upperFirst(word)
		}
	}
	return strings.Join(words, "")
}

func upperFirst(word string) string { return strings.ToUpper(word[:1]) + word[1:] }
