// Package e2e contains the tests that need modules which the library's go.mod must not require: a validator
// for JSON Schema, a validator for OpenAPI, the types of the Kubernetes API, and a reader of compose files.
// The tests compare docs and deploy with the library's behaviour.
package e2e
