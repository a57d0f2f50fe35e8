package echohealth

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

// uses returns for each file of the root which other files it uses: what it names is declared there.
func uses(t *testing.T) map[string]map[string]bool {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var files []*ast.File
	graph := map[string]map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files, graph[name] = append(files, file), map[string]bool{}
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	// Without an importer what other packages declare stays unknown, which the files of this one do not depend on.
	config := types.Config{Error: func(error) {}}
	pkg, _ := config.Check("echohealth", fset, files, info)
	for ident, object := range info.Uses {
		from := fset.Position(ident.Pos()).Filename
		if object.Pkg() == pkg && object.Pos().IsValid() {
			if to := fset.Position(object.Pos()).Filename; to != from {
				graph[from][to] = true
			}
		}
	}
	return graph
}

// reach returns what can be reached from a file.
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

// Files that use each other in a cycle can only be understood together. The options set the config, which applies them.
func TestFilesInACycle(t *testing.T) {
	graph := uses(t)
	require.Greater(t, len(graph["health.go"]), 3, "the test sees what a file uses")
	var cyclic []string
	for _, file := range slices.Sorted(maps.Keys(graph)) {
		if reach(graph, file)[file] {
			cyclic = append(cyclic, file)
		}
	}
	assert.Subset(t, []string{"config.go", "options.go"}, cyclic)
}

// What is known of the service does not know who asks, and neither knows Health.
func TestWhoKnowsWhom(t *testing.T) {
	graph := uses(t)
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
	assert.ElementsMatch(t, []string{"handler.go", "lifecycle.go", "middleware.go"}, knowHealth)
}
