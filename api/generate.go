// Package api is what oapi-codegen makes of openapi.yaml: the types, the strict
// server interface, the Go client and the spec that requests are validated
// against. Nothing in here but this file is written by hand.
package api

//go:generate go tool oapi-codegen --config server.yaml ../openapi.yaml
//go:generate go tool oapi-codegen --config client.yaml ../openapi.yaml
//go:generate go tool oapi-codegen --config spec.yaml ../openapi.yaml
