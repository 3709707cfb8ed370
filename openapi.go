// Package picaspot embeds the contract as it is written, for the documentation, and docker-compose.yml;
// what is generated from it lives in package api.
package picaspot

import _ "embed"

// OpenAPI is openapi.yaml.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Problems is docs/problems.md: what each problem type means.
//
//go:embed docs/problems.md
var Problems []byte
