// Package e2e holds the tests that need more modules than the library's users should see in its go.mod: a
// validator of JSON Schema, one of OpenAPI, the types of the Kubernetes API, and a reader of compose files.
// They hold docs/ and deploy/ to what the library does.
package e2e
