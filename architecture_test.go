package echohealth_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fileGraph returns, for each file of a folder, the other files of the folder whose declarations it names.
func fileGraph(t *testing.T, folder string) map[string]map[string]bool {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	graph := map[string]map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files, graph[filepath.Base(name)] = append(files, file), map[string]bool{}
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	// Without an importer, the types of other packages stay unknown. They are not needed here.
	config := types.Config{Error: func(error) {}}
	pkg, _ := config.Check(folder, fset, files, info)
	for ident, object := range info.Uses {
		if object.Pkg() == pkg && object.Pos().IsValid() {
			from, to := fileOf(fset, ident.Pos()), fileOf(fset, object.Pos())
			if to != from {
				graph[from][to] = true
			}
		}
	}
	return graph
}

func fileOf(fset *token.FileSet, pos token.Pos) string {
	return filepath.Base(fset.Position(pos).Filename)
}

// reach returns the files that a file uses, directly or through other files.
func reach(graph map[string]map[string]bool, from string) map[string]bool {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(file string) {
		for next := range graph[file] {
			if !seen[next] {
				seen[next] = true
				visit(next)
			}
		}
	}
	visit(from)
	return seen
}

// filesInACycle returns the files of a folder that use each other in a cycle.
func filesInACycle(t *testing.T, folder string) []string {
	t.Helper()
	graph := fileGraph(t, folder)
	var cyclic []string
	for _, file := range slices.Sorted(maps.Keys(graph)) {
		if reach(graph, file)[file] {
			cyclic = append(cyclic, file)
		}
	}
	return cyclic
}

// Files that use each other in a cycle can be understood only together. Only options.go and config.go may do
// so.
func TestFilesInACycle(t *testing.T) {
	require.Greater(t, len(fileGraph(t, ".")["health.go"]), 3, "the graph must have the uses of a file")
	assert.Subset(t, []string{"config.go", "options.go"}, filesInACycle(t, "."))
}

// No package of the command has files that use each other in a cycle.
func TestFilesOfTheCommandInACycle(t *testing.T) {
	require.NotEmpty(t, fileGraph(t, "healthcheck")["main.go"], "the graph must have the uses of a file")
	packages := list(t, "./healthcheck/...")
	require.NotEmpty(t, packages)
	for _, p := range packages {
		folder := strings.TrimPrefix(p.ImportPath, module+"/")
		assert.Empty(t, filesInACycle(t, folder), folder)
	}
}

// The files that hold the state of the service must not use those that answer or report. Only some of the
// latter use Health.
func TestDependenciesOfFiles(t *testing.T) {
	graph := fileGraph(t, ".")
	for _, file := range []string{"monitor.go", "phase.go", "report.go", "system.go"} {
		for _, asks := range []string{"router.go", "cached.go", "answer.go", "notifier.go", "handler.go"} {
			assert.NotContains(t, reach(graph, file), asks, "%s uses %s", file, asks)
		}
	}
	var knowHealth []string
	for file := range graph {
		if graph[file]["health.go"] {
			knowHealth = append(knowHealth, file)
		}
	}
	assert.ElementsMatch(t, []string{"handler.go", "history.go", "lifecycle.go", "middleware.go", "prometheus.go"}, knowHealth)
}
