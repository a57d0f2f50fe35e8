package e2e_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// schemaDocument contains the parts of docs/schema.json that the tests read.
type schemaDocument struct {
	Defs map[string]struct {
		Examples []json.RawMessage
		Enum     []string
	} `json:"$defs"`
}

func readSchema(t *testing.T) (document schemaDocument) {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &document))
	return document
}

// The compiler validates the file with the meta-schema of JSON Schema 2020-12. This test validates the
// examples in the file with their definitions.
func TestSchemaExamples(t *testing.T) {
	examples := 0
	for name, definition := range readSchema(t).Defs {
		for _, example := range definition.Examples {
			assert.NoError(t, validate(t, name, example), "%s: %s", name, example)
			examples++
		}
	}
	assert.Greater(t, examples, 20)
}

// TestSchemaRefuses shows that the validation can fail. Each of these texts breaks one rule.
func TestSchemaRefuses(t *testing.T) {
	const (
		now   = `"timestamp":"2026-11-25T10:00:00Z"`
		since = `"since":"2026-11-25T09:00:00Z"`
		ok    = `{"status":"ok",` + since
		warns = `{"status":"warning",` + since
		bad   = `{"status":"error",` + since
	)
	metrics := `"memory":` + ok + `},"disk":` + ok + `},"connections":` + ok + `},"process":` + ok + `}`
	wrong := map[string][]string{
		"live": {
			`{"status":"dead",` + now + `}`, `{"status":"stuck"}`, `{"status":"stuck",` + now + `,"loop":"consumer"}`,
			`{}`, `[]`, `"alive"`, `{"status":"alive"}`, `{` + now + `}`, `{"status":"ok",` + now + `}`, `{"status":"alive",` + now + `,"version":"1"}`,
			`{"status":"alive","timestamp":1764064800}`,
			`{"status":"alive","timestamp":"2026-11-25T10:00:00+01:00"}`,
			`{"status":"alive","timestamp":"2026-11-25T10:00:00.5Z"}`,
			`{"status":"alive","timestamp":"2026-13-25T10:00:00Z"}`,
		},
		"startup": {`{"status":"ready",` + now + `}`, `{"status":"starting",` + now + `,"reason":"starting"}`},
		"ready": {
			`{"status":"ready",` + now + `}`,
			`{"status":"ready",` + now + `,"checks":[]}`,
			`{"status":"ready",` + now + `,"checks":{},"reason":"draining"}`,
			`{"status":"ready",` + now + `,"checks":{"redis":` + bad + `,"reason":"timeout","response_time_ms":800}}}`,
			`{"status":"not_ready",` + now + `,"checks":{},"reason":"timeout"}`,
			`{"status":"not_ready",` + now + `,"checks":{"cpu":` + ok + `,"count":4}}}`,
			`{"status":"not_ready",` + now + `,"checks":{"a b":` + ok + `,"response_time_ms":1}}}`,
			`{"status":"not_ready",` + now + `,"checks":{},"version":"1"}`,
			`{"status":"not_ready",` + now + `,"checks":{},"phase":"draining"}`,
			`{"status":"unhealthy",` + now + `,"checks":{}}`,
		},
		"ready-refused": {`{"status":"ready",` + now + `,"checks":{}}`, `{"status":"not_ready",` + now + `,"reason":"draining"}`},
		"detailed": {
			`{"status":"healthy",` + now + `}`,
			`{"status":"ready",` + now + `,"checks":{}}`,
			`{"status":"healthy",` + now + `,"version":"","checks":{}}`,
			`{"status":"healthy",` + now + `,"checks":{},"uptime":1}`,
			`{"status":"healthy",` + now + `,"checks":{},"phase":"running"}`,
			`{"status":"healthy",` + now + `,"checks":{},"phase":""}`,
			`{"status":"healthy",` + now + `,"checks":{"redis":` + warns + `,"reason":"slow","response_time_ms":1}}}`,
			`{"status":"degraded",` + now + `,"checks":{}}`,
			`{"status":"degraded",` + now + `,"checks":{"redis":` + ok + `,"response_time_ms":1}}}`,
			`{"status":"unhealthy",` + now + `,"checks":{"redis":` + bad + `,"response_time_ms":1}}}`,
			`{"status":"healthy",` + now + `,"checks":{},"groups":{}}`,
			`{"status":"healthy",` + now + `,"checks":{},"groups":{"a b":{"status":"ready","checks":["redis"]}}}`,
			`{"status":"healthy",` + now + `,"checks":{},"groups":{"a":{"status":"ok","checks":["redis"]}}}`,
			`{"status":"healthy",` + now + `,"checks":{},"groups":{"a":{"status":"ready"}}}`,
			`{"status":"healthy",` + now + `,"checks":{},"groups":{"a":{"status":"ready","checks":[]}}}`,
			`{"status":"healthy",` + now + `,"checks":{},"groups":{"a":{"status":"ready","checks":["redis","redis"]}}}`,
			`{"status":"healthy",` + now + `,"checks":{},"groups":{"a":{"status":"ready","checks":["redis"],"reason":"draining"}}}`,
			`{"status":"healthy",` + now + `,"checks":{"cpu":` + ok + `}}}`,
			`{"status":"healthy",` + now + `,"checks":{"cpu":` + ok + `,"response_time_ms":1},` + metrics + `}}`,
		},
		"check": {
			`{` + since + `,"response_time_ms":1}`,
			ok + `}`,
			`{"status":"up",` + since + `,"response_time_ms":1}`,
			ok + `,"response_time_ms":-1}`,
			ok + `,"response_time_ms":"1"}`,
			ok + `,"response_time_ms":1,"reason":"slow"}`,
			bad + `,"response_time_ms":1}`,
			bad + `,"response_time_ms":1,"reason":""}`,
			bad + `,"response_time_ms":1,"reason":"dial tcp 10.0.0.7:6379"}`,
			bad + `,"response_time_ms":1,"reason":"` + strings.Repeat("a", 33) + `"}`,
			ok + `,"response_time_ms":1,"host":"10.0.0.7:5432"}`,
			ok + `,"response_time_ms":1,"role":"two words"}`,
			ok + `,"response_time_ms":1,"empty":""}`,
			ok + `,"response_time_ms":1,"long":"` + strings.Repeat("a", 65) + `"}`,
			ok + `,"response_time_ms":1,"pool":{"max":4}}`,
			ok + `,"response_time_ms":1,"list":[1]}`,
			ok + `,"response_time_ms":1,"none":null}`,
			ok + `,"response_time_ms":1,"9a":1}`,
			`{"status":"ok","response_time_ms":1}`,
			`{"status":"ok","response_time_ms":1,"since":"2026-11-25 09:00:00"}`,
			`{"status":"ok","response_time_ms":1,"since":"2026-11-25T09:00:00.5Z"}`,
			`{"status":"ok","response_time_ms":1,"since":240}`,
			ok + `,"response_time_ms":1,"last_ok":"2026-11-25T09:00:00Z"}`,
			warns + `,"response_time_ms":1,"reason":"slow","last_ok":"2026-11-25T09:00:00Z"}`,
			bad + `,"response_time_ms":1,"reason":"timeout","last_ok":""}`,
			ok + `,"response_time_ms":1,"error":"refused"}`,
			bad + `,"response_time_ms":1,"reason":"failed","error":1}`,
			bad + `,"response_time_ms":1,"reason":"failed","error":"` + strings.Repeat("a", 1026) + `"}`,
		},
		"cpu": {
			`{` + since + `,"count":4}`,
			`{"status":"ok","count":4}`,
			ok + `,"count":4,"last_ok":"2026-11-25T09:00:00Z"}`,
			ok + `,"count":4,"error":"x"}`,
			ok + `,"percent":101,"count":4,"window_seconds":5}`,
			ok + `,"percent":25.5,"count":4}`,
			ok + `,"count":0}`,
			ok + `,"count":4,"limit_cpus":0}`,
			ok + `,"count":4,"load":1}`,
			warns + `,"reason":"above_threshold","count":4}`,
			warns + `,"reason":"own_word","count":4}`,
			warns + `,"count":4}`,
		},
		"memory": {
			ok + `,"percent":60.2}`,
			ok + `,"percent":60.2,"available_mb":2048,"total_mb":8192,"source":"vm"}`,
			ok + `,"percent":60.2,"available_mb":2048.5,"total_mb":8192,"source":"host"}`,
			ok + `,"percent":60.2,"available_mb":-1,"total_mb":8192,"source":"host"}`,
			bad + `,"reason":"above_threshold"}`,
		},
		"disk": {
			ok + `,"percent":45.8}`,
			ok + `,"age_seconds":30}`,
			warns + `,"reason":"stuck","path":"/"}`,
		},
		"connections":        {ok + `,"age_seconds":30}`, ok + `,"active_connections":4.5}`, ok + `,"active":4}`, bad + `,"reason":"above_threshold"}`},
		"process":            {ok + `,"goroutines":0,"uptime_seconds":1}`, ok + `,"goroutines":12}`, ok + `,"pid":1}`},
		"unauthorized":       {`{}`, `{"error":"forbidden"}`, `{"error":"unauthorized","path":"/"}`},
		"forbidden":          {`{"error":"unauthorized"}`},
		"not-found":          {`{"error":"Not Found"}`, `{"message":"Not Found"}`},
		"method-not-allowed": {`{"error":"not_found"}`},
		"":                   {`{}`, `null`, `{"status":"UP"}`, `{"status":"ok","x":"two words"}`},
	}
	for name, texts := range wrong {
		for _, text := range texts {
			assert.Error(t, validate(t, name, []byte(text)), "%s: %s", name, text)
		}
	}
}

// The schema must list the reasons of package probes.
func TestSchemaReasons(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../probes/reason.go", nil, 0)
	require.NoError(t, err)
	var reasons []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		word, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		reasons = append(reasons, word)
		return false
	})
	assert.NotEmpty(t, reasons)
	assert.ElementsMatch(t, reasons, readSchema(t).Defs["known-reason"].Enum)
}
