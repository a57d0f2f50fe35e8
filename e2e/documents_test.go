package e2e_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi/datamodel"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

const (
	schemaFile  = "../docs/schema.json"
	openapiFile = "../docs/openapi.yaml"
)

// schemas compiles docs/schema.json. It also validates formats such as date-time, which is optional in JSON
// Schema.
var schemas = sync.OnceValue(func() *jsonschema.Compiler {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	return compiler
})

// definition returns the schema of one answer. An empty name means the whole file, which accepts any of the
// answers.
func definition(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	location := schemaFile
	if name != "" {
		location += "#/$defs/" + name
	}
	schema, err := schemas().Compile(location)
	require.NoError(t, err)
	return schema
}

// validate validates a JSON text against a definition.
func validate(t *testing.T, name string, text []byte) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err, "%s", text)
	return definition(t, name).Validate(value)
}

// openapi is docs/openapi.yaml with its validator.
type openapi struct {
	document  libopenapi.Document
	validator validator.Validator
}

var theOpenAPI = sync.OnceValues(func() (*openapi, error) {
	text, err := os.ReadFile(openapiFile)
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocumentWithConfiguration(text, &datamodel.DocumentConfiguration{
		BasePath: "../docs", SpecFilePath: openapiFile, AllowFileReferences: true,
	})
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return &openapi{document, v}, nil
})

func loadOpenAPI(t *testing.T) *openapi {
	t.Helper()
	o, err := theOpenAPI()
	require.NoError(t, err)
	return o
}

// complaints returns what is wrong with the path, the status, the headers or the body of an answer.
func (o *openapi) complaints(method, path string, a answer) []string {
	request, err := http.NewRequest(method, "http://localhost"+path, nil)
	if err != nil {
		return []string{err.Error()}
	}
	response := &http.Response{StatusCode: a.status, Header: a.header.Clone(), Body: http.NoBody, Request: request}
	if len(a.body) > 0 {
		response.Body = io.NopCloser(bytes.NewReader(a.body))
	}
	_, errs := o.validator.ValidateHttpRequestResponse(request, response)
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
	}
	return texts
}

// paths returns the paths that the document describes.
func (o *openapi) paths(t *testing.T) []string {
	t.Helper()
	model, err := o.document.BuildV3Model()
	require.NoError(t, err)
	var paths []string
	for path := range model.Model.Paths.PathItems.KeysFromOldest() {
		paths = append(paths, path)
	}
	return paths
}
