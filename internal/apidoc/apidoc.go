// Package apidoc makes of the contract what its readers are shown: to each
// operation it adds who may call it, how that looks in curl, TypeScript and Kotlin,
// and an example of each problem that it answers with. Nobody has to keep these in
// step by hand.
package apidoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"
)

// Document is a contract with its additions, in both its forms and in the order in
// which it was written.
type Document struct {
	YAML, JSON []byte
}

// aboutSamples goes beneath the description of the contract.
const aboutSamples = `
## Code samples
In curl ` + "`$PICASPOT`" + ` is the server's address, as ` + "`http://localhost:8080`, and `$TOKEN`" + ` an access token. In TypeScript
(` + "`@picaspot/client`) and Kotlin (`io.picaspot:picaspot-client`), `client`" + ` is one that has logged in, which adds
the token, renews it and sends again what may be sent twice:

` + "```ts" + `
const client = createPicaspotClient({ baseUrl: 'http://localhost:8080' })
await client.login({ identifier: 'ada', password: 'correct horse battery staple' })
` + "```" + `

` + "```kotlin" + `
val client = PicaspotClient("http://localhost:8080")
client.login("ada", "correct horse battery staple")
` + "```" + `
`

// Render reads a contract, which has to be valid, and adds to it.
func Render(contract []byte) (Document, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract)
	if err != nil {
		return Document{}, fmt.Errorf("read the contract: %w", err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(contract, &root); err != nil {
		return Document{}, fmt.Errorf("read the contract's text: %w", err)
	}
	if err := add(doc, root.Content[0]); err != nil {
		return Document{}, err
	}
	var asYAML bytes.Buffer
	encoder := yaml.NewEncoder(&asYAML)
	encoder.SetIndent(2)
	if err := encoder.Encode(&root); err != nil {
		return Document{}, fmt.Errorf("contract as YAML: %w", err)
	}
	asJSON, err := appendJSON(nil, root.Content[0])
	if err != nil {
		return Document{}, fmt.Errorf("contract as JSON: %w", err)
	}
	return Document{YAML: asYAML.Bytes(), JSON: asJSON}, nil
}

func add(doc *openapi3.T, root *yaml.Node) error {
	examples, err := readExamples()
	if err != nil {
		return err
	}
	if description := child(child(root, "info"), "description"); description != nil {
		description.Value += aboutSamples
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			node := child(child(child(root, "paths"), path), strings.ToLower(method))
			if node == nil {
				return fmt.Errorf("%s %s is not written where it is read from", method, path)
			}
			c, err := newCall(path, method, item, op)
			if err != nil {
				return fmt.Errorf("code samples of %s: %w", op.OperationID, err)
			}
			samples, err := c.samples()
			if err != nil {
				return fmt.Errorf("code samples of %s: %w", op.OperationID, err)
			}
			if err := c.problemExamples(root, child(node, "responses"), item, examples); err != nil {
				return fmt.Errorf("problems of %s: %w", op.OperationID, err)
			}
			if description := child(node, "description"); description != nil {
				description.Value = strings.TrimRight(description.Value, "\n") + "\n\n" + access(op) + "\n"
			}
			node.Content = append(node.Content, scalar("x-codeSamples"), samples)
		}
	}
	return nil
}

// access says in a sentence who may call an operation, and what it counts against.
func access(op *openapi3.Operation) string {
	var said string
	switch permission, _ := op.Extensions["x-permission"].(string); permission {
	case "public":
		said = "**Access:** anybody, without a token."
	case "authenticated":
		said = "**Access:** everybody who has logged in."
	default:
		said = "**Access:** roles with the permission `" + permission + "`."
	}
	if limit, _ := op.Extensions["x-rate-limit"].(string); limit != "" {
		said += " **Limit:** `" + limit + "`."
	}
	return said
}

func (c *call) samples() (*yaml.Node, error) {
	inKotlin, err := c.kotlin()
	if err != nil {
		return nil, err
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, sample := range []struct{ lang, label, source string }{
		{"Shell", "curl", c.curl()},
		{"TypeScript", "TypeScript", c.typescript()},
		{"Kotlin", "Kotlin", inKotlin},
	} {
		source := scalar(sample.source)
		source.Style = yaml.LiteralStyle
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
			scalar("lang"), scalar(sample.lang), scalar("label"), scalar(sample.label), scalar("source"), source,
		}})
	}
	return list, nil
}

func scalar(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// child is the value of a key, nil where there is none.
func child(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

var errNoJSON = errors.New("something that JSON does not have")

// appendJSON writes a node as JSON; unlike a map it keeps the order of keys.
func appendJSON(out []byte, node *yaml.Node) ([]byte, error) {
	var err error
	switch node.Kind {
	case yaml.AliasNode:
		return appendJSON(out, node.Alias)
	case yaml.MappingNode:
		out = append(out, '{')
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Tag == "!!merge" {
				return nil, fmt.Errorf("line %d: a merge key: %w", node.Content[i].Line, errNoJSON)
			}
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = appendValue(out, node.Content[i].Value); err != nil {
				return nil, err
			}
			out = append(out, ':')
			if out, err = appendJSON(out, node.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(out, '}'), nil
	case yaml.SequenceNode:
		out = append(out, '[')
		for i, element := range node.Content {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = appendJSON(out, element); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	default:
		var value any
		if err := node.Decode(&value); err != nil {
			return nil, fmt.Errorf("line %d: %w", node.Line, err)
		}
		return appendValue(out, value)
	}
}

func appendValue(out []byte, value any) ([]byte, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return append(out, encoded...), nil
}
