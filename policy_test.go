package echohealth_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/echo-probes/echohealth"

// policy has the packages outside the standard library that each package may import. A package of this module
// is named by its path in the module, any other by its module. A package without an entry may import only the
// standard library.
var policy = map[string][]string{
	"":                     {"probes", "sysmetrics", "internal/changelog", "internal/duration", "internal/engine", "internal/exposition", "internal/history", "internal/page", "internal/reason", "internal/redact", "internal/snapshot", "github.com/labstack/echo/v4"},
	"probes":               {},
	"probes/sqlprobe":      {"probes", "internal/basecontext", "internal/reason", "internal/redact", "internal/sharedrun", "internal/newconn"},
	"probes/httpprobe":     {"probes", "internal/basecontext", "internal/reason", "internal/redact"},
	"probes/certprobe":     {"probes", "internal/duration", "internal/reason", "internal/redact"},
	"probes/pgxprobe":      {"probes", "internal/basecontext", "internal/reason", "internal/redact", "internal/sharedrun", "internal/newconn", "github.com/jackc/pgx/v5"},
	"probes/redisprobe":    {"probes", "internal/basecontext", "internal/reason", "internal/redact", "internal/newconn", "internal/redisconn", "github.com/redis/go-redis/v9"},
	"probes/amqpprobe":     {"probes", "internal/reason", "internal/redact", "internal/amqpconn", "internal/newconn", "github.com/rabbitmq/amqp091-go"},
	"probes/celeryprobe":   {"probes", "internal/reason", "internal/redact", "internal/amqpconn", "internal/newconn", "internal/redisconn", "github.com/rabbitmq/amqp091-go", "github.com/redis/go-redis/v9"},
	"probes/probetest":     {"probes", "internal/reason", "internal/redact"},
	"internal/amqpconn":    {"probes", "internal/duration", "internal/limitedconn", "internal/reason", "internal/redact", "github.com/rabbitmq/amqp091-go"},
	"internal/redisconn":   {"probes", "internal/limitedconn", "github.com/redis/go-redis/v9"},
	"internal/sharedrun":   {"probes", "internal/basecontext"},
	"internal/newconn":     {"probes", "internal/basecontext", "internal/duration"},
	"internal/basecontext": {},
	"internal/limitedconn": {},
	"internal/changelog":   {},
	"internal/duration":    {},
	"internal/engine":      {"probes", "internal/duration", "internal/reason"},
	"internal/exposition":  {"probes", "internal/snapshot"},
	"internal/history":     {"probes", "internal/snapshot"},
	"internal/page":        {"probes", "internal/snapshot"},
	"internal/reason":      {"probes"},
	"internal/snapshot":    {"probes"},
	"deploy/grafana":       {},
	"internal/redact":      {},
	"sysmetrics":           {"github.com/shirou/gopsutil/v4", "golang.org/x/sys"},
	// The command imports no other package of this module.
	"cmd/healthcheck": {"healthcheck"},
	"healthcheck": {
		"healthcheck/internal/conformance", "healthcheck/internal/rollout",
		"healthcheck/internal/watch", "healthcheck/internal/outcome", "healthcheck/internal/client",
		"healthcheck/internal/terminal", "healthcheck/internal/health", "healthcheck/internal/text",
	},
	"healthcheck/internal/conformance": {
		"healthcheck/internal/outcome", "healthcheck/internal/client", "healthcheck/internal/terminal",
		"healthcheck/internal/jsonvalue", "healthcheck/internal/health", "healthcheck/internal/text",
	},
	"healthcheck/internal/rollout": {
		"healthcheck/internal/client", "healthcheck/internal/terminal", "healthcheck/internal/health",
		"healthcheck/internal/text",
	},
	"healthcheck/internal/watch": {
		"healthcheck/internal/outcome", "healthcheck/internal/document", "healthcheck/internal/client",
		"healthcheck/internal/terminal", "healthcheck/internal/health", "healthcheck/internal/text",
	},
	"healthcheck/internal/outcome": {
		"healthcheck/internal/document", "healthcheck/internal/client", "healthcheck/internal/terminal",
		"healthcheck/internal/health", "healthcheck/internal/text",
	},
	"healthcheck/internal/document": {
		"healthcheck/internal/jsonvalue", "healthcheck/internal/health", "healthcheck/internal/text",
	},
	"healthcheck/internal/client":    {"healthcheck/internal/health", "healthcheck/internal/text"},
	"healthcheck/internal/terminal":  {"healthcheck/internal/health", "healthcheck/internal/text"},
	"healthcheck/internal/jsonvalue": {},
	"healthcheck/internal/health":    {"healthcheck/internal/text"},
	"healthcheck/internal/text":      {},
	// Only tests import them.
	"internal/testserver": {"github.com/jackc/pgx/v5"},
	"internal/contract":   {"", "probes", "github.com/stretchr/testify"},
	"internal/leaktest":   {"go.uber.org/goleak"},

	"internal/exposition/expositiontest": {"internal/exposition", "internal/snapshot", "probes"},

	"healthcheck/internal/testservice": {"", "probes", "internal/testserver", "github.com/stretchr/testify"},
}

type listed struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// list runs go list.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	command := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Standard"}, args...)...)
	output, err := command.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("%s: %s", command, exit.Stderr)
	}
	require.NoError(t, err)
	var packages []listed
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestImportPolicy(t *testing.T) {
	for _, p := range list(t, "./...") {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		may, known := policy[name]
		assert.True(t, known, "%q is not in the policy", name)
		for _, imported := range p.Imports {
			assert.True(t, allowedImport(may, imported), "%q may not import %q", name, imported)
		}
	}
}

func allowedImport(may []string, imported string) bool {
	if own, ok := strings.CutPrefix(imported, module); ok {
		return slices.Contains(may, strings.TrimPrefix(own, "/"))
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return imported != "html/template" && imported != "text/template" // they make the linker keep every exported method
	}
	return slices.ContainsFunc(may, func(m string) bool { return m != "" && (imported == m || strings.HasPrefix(imported, m+"/")) })
}

// adapterPolicy has what the packages of each module for applications may import, apart from the root module.
// promhealth and otelhealth read the metrics from the tables in internal packages. The others must get the
// results as an application does, without internal packages.
var adapterPolicy = map[string][]string{
	"echov5":     {"", "github.com/labstack/echo/v5"},
	"promhealth": {"", "internal/exposition", "github.com/prometheus/client_golang"},
	"otelhealth": {
		"", "internal/engine", "internal/exposition", "internal/snapshot",
		"go.opentelemetry.io/otel/attribute", "go.opentelemetry.io/otel/metric",
	},
	"grpchealth": {"", "probes", "google.golang.org/grpc"},
}

func TestImportsOfTheAdapters(t *testing.T) {
	modules, err := filepath.Glob("*/go.mod")
	require.NoError(t, err)
	for _, file := range modules {
		dir := filepath.Dir(file)
		if !slices.Contains([]string{"_example", "bench", "e2e", "tools"}, dir) {
			assert.Contains(t, adapterPolicy, dir, "the module is not in the policy")
		}
	}
	for dir, may := range adapterPolicy {
		checked := 0
		require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			checked++
			parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, spec := range parsed.Imports {
				imported := strings.Trim(spec.Path.Value, `"`)
				assert.True(t, allowedImport(may, imported), "%s may not import %q", path, imported)
			}
			return nil
		}))
		assert.NotZero(t, checked, dir)
	}
}

// A program that imports only the root must not link a driver.
func TestTheRootLinksNoDriver(t *testing.T) {
	for _, p := range list(t, "-deps", ".") {
		for _, driver := range []string{"pgx", "go-redis", "amqp091", "prometheus", "database/sql", "sqlite", "regexp"} {
			assert.NotContains(t, p.ImportPath, driver)
		}
	}
}

// Only middleware.go imports Echo, so that a new major version of Echo changes only that file.
func TestOnlyTheMiddlewareImportsEcho(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			assert.False(t, strings.Contains(spec.Path.Value, "labstack") && file != "middleware.go", "%s imports %s", file, spec.Path.Value)
		}
	}
}

// Some tests can't run under the race detector. "make gates" must list each of them, because "make race"
// skips them and they would never run otherwise.
func TestGatesRunWhatTheRaceDetectorSkips(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	_, list, found := strings.Cut(string(makefile), "\nWITHOUT_RACE := ")
	require.True(t, found)
	list, _, _ = strings.Cut(list, "\n")
	gates := regexp.MustCompile(strings.ReplaceAll(list, "$$", "$"))
	var spoiled int
	for _, file := range testFiles(t) {
		if strings.HasPrefix(file, "bench/") {
			continue // make gates runs all of its tests
		}
		for _, name := range spoiledByRace(t, file) {
			spoiled++
			assert.Regexp(t, gates, name, file)
			assert.Contains(t, []string{".", "echov5", "grpchealth"}, filepath.Dir(file), "make gates runs no others")
		}
	}
	assert.GreaterOrEqual(t, spoiled, 5, "the pattern must find the tests")
}

func testFiles(t *testing.T) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, "_test.go") {
			files = append(files, path)
		}
		return err
	}))
	return files
}

// spoiledByRace returns the functions of a test file that use raceEnabled, and those of a file that is not
// built with the race detector.
func spoiledByRace(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	require.NoError(t, err)
	excluded := slices.ContainsFunc(parsed.Comments, func(c *ast.CommentGroup) bool {
		line := c.List[0].Text
		return strings.HasPrefix(line, "//go:build") && strings.Contains(line, "!race")
	})
	for _, decl := range parsed.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		asks := false
		ast.Inspect(f, func(n ast.Node) bool {
			ident, ok := n.(*ast.Ident)
			asks = asks || ok && ident.Name == "raceEnabled"
			return true
		})
		if excluded || asks {
			names = append(names, f.Name.Name)
		}
	}
	return names
}
