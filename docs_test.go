package echohealth_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// known has the packages that the documents' Go blocks may use.
var known = map[string]string{
	"bytes": "bytes",
	"amqp":  "github.com/rabbitmq/amqp091-go", "amqpprobe": module + "/probes/amqpprobe", "celeryprobe": module + "/probes/celeryprobe", "context": "context",
	"echo": "github.com/labstack/echo/v4", "echohealth": module, "errors": "errors", "fmt": "fmt", "os": "os", "signal": "os/signal", "syscall": "syscall", "http": "net/http", "httpprobe": module + "/probes/httpprobe", "log": "log",
	"middleware": "github.com/labstack/echo/v4/middleware", "pgxpool": "github.com/jackc/pgx/v5/pgxpool", "pgxprobe": module + "/probes/pgxprobe",
	"probes": module + "/probes", "redis": "github.com/redis/go-redis/v9", "redisprobe": module + "/probes/redisprobe", "slog": "log/slog", "sql": "database/sql",
	"sqlprobe": module + "/probes/sqlprobe", "time": "time", "tls": "crypto/tls", "x509": "crypto/x509", "certprobe": module + "/probes/certprobe",
}

// given has the variables that a block may use although it does not declare them.
var given = map[string]string{
	"pool": "*pgxpool.Pool", "rdb": "redis.UniversalClient", "db": "*sql.DB", "health": "*echohealth.Health", "router": "http.Handler",
	"e": "*echo.Echo", "daysLeft": "func(context.Context) (int, error)", "waitingTasks": "func(context.Context) (int, error)", "conn": "*amqp.Connection",
	"migrate": "func(context.Context) error", "placeOrder": "echo.HandlerFunc", "warmUp": "func()", "tasks": "chan func()",
	"spool":          "probes.Probe",
	"getCertificate": "func(*tls.ClientHelloInfo) (*tls.Certificate, error)", "roots": "*x509.CertPool",
}

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// testedElsewhere has the pages whose blocks import packages that this module does not require. The modules
// e2e, e2e/recipes and e2e/traces test these pages.
var testedElsewhere = []string{"docs/grpc.md", "docs/recipes.md", "docs/coming-from.md", "docs/traces.md"}

// TestDocumentsCompile builds every Go block of the README, the documents and the packages' own READMEs. It
// runs the blocks of docs/testing.md, because they are tests.
func TestDocumentsCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds every block")
	}
	files := []string{"README.md"}
	more, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	dir := scratch(t)
	var packages, tests []string
	for _, file := range append(files, more...) {
		if slices.Contains(testedElsewhere, file) {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, block := range goBlock.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(block[1], "otelhealth.") {
				continue // e2e/otlp has it
			}
			name := fmt.Sprintf("%s-%d", strings.NewReplacer("/", "-", ".md", "").Replace(file), i+1)
			require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
			packages = append(packages, "./"+filepath.Join(dir, name))
			path := filepath.Join(dir, name, "block.go")
			if file == "docs/testing.md" {
				path = filepath.Join(dir, name, "block_test.go")
				tests = append(tests, "./"+filepath.Join(dir, name))
			}
			require.NoError(t, os.WriteFile(path, []byte(program(block[1])), 0o644))
		}
	}
	require.NotEmpty(t, packages)
	output, err := exec.Command("go", append([]string{"vet"}, packages...)...).CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NotEmpty(t, tests)
	output, err = exec.Command("go", append([]string{"test"}, tests...)...).CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NotContains(t, string(output), "no tests to run")
	t.Logf("%d blocks, %d of them tests", len(packages), len(tests))
}

// scratch makes a directory in this module, so that code there may import the module. "./..." does not
// include the directory.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(".", "_scratch-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// program returns a file that compiles from a block. A whole file is left as it is. Imports with declarations
// get a package clause. Statements get a function around them, the imports that they use, and the given
// variables.
func program(block string) string {
	if strings.HasPrefix(block, "package ") {
		return block
	}
	if strings.HasPrefix(block, "import ") {
		return "package block\n\n" + block
	}
	var body strings.Builder
	for name, kind := range given {
		if uses(block, name+`\b`) && !regexp.MustCompile(`(?m)^\s*(var )?(\w+, )*`+name+`(, \w+)* (:=|=)`).MatchString(block) {
			fmt.Fprintf(&body, "\tvar %s %s\n", name, kind)
		}
	}
	body.WriteString(block)
	for _, made := range regexp.MustCompile(`(?m)^(\w+)(?:, (\w+))? :=`).FindAllStringSubmatch(block, -1) {
		for _, name := range made[1:] {
			if name != "" {
				fmt.Fprintf(&body, "\t_ = %s\n", name)
			}
		}
	}
	var imports []string
	for name, path := range known {
		if uses(body.String(), name+`\.`) {
			imports = append(imports, fmt.Sprintf("\t%s %q\n", name, path))
		}
	}
	slices.Sort(imports)
	return "package main\n\nimport (\n" + strings.Join(imports, "") + ")\n\nfunc main() {\n" + body.String() + "}\n"
}

func uses(text, pattern string) bool {
	return regexp.MustCompile(`(^|[^\w."/])` + pattern).MatchString(text)
}
