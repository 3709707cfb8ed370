// Package picaspot embeds the contract as it is written, for the documentation, and docker-compose.yml;
// what is generated from it lives in package api.
package picaspot

import _ "embed"

// OpenAPI is openapi.yaml.
//
//go:embed openapi.yaml
var OpenAPI []byte
