package echohealth_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documents returns the pages for readers, including those of the nested modules.
func documents(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "*/README.md"} {
		more, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, more...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

var (
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	inline   = regexp.MustCompile("`[^`\n]*`")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	absolute = regexp.MustCompile(`^[a-z]+:`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.*)$`)
)

// Every relative link must lead to a file, and every anchor to a heading. Links to the network are not
// checked.
func TestLinks(t *testing.T) {
	for _, file := range documents(t) {
		text := inline.ReplaceAllString(fenced.ReplaceAllString(readFile(t, file), ""), "")
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if !absolute.MatchString(match[1]) {
				assertLeads(t, file, match[1])
			}
		}
	}
}

func assertLeads(t *testing.T, file, target string) {
	t.Helper()
	path, anchor, _ := strings.Cut(target, "#")
	if path = filepath.Join(filepath.Dir(file), path); strings.HasPrefix(target, "#") {
		path = file
	}
	if _, err := os.Stat(path); !assert.NoError(t, err, "%s links %s", file, target) || anchor == "" {
		return
	}
	assert.Contains(t, anchors(readFile(t, path)), anchor, "%s links %s, where there is no such heading", file, target)
}

// anchors returns the anchors that GitHub makes of the headings: in lower case, without punctuation, and
// numbered if a heading is repeated.
func anchors(text string) []string {
	var names []string
	times := map[string]int{}
	for _, match := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		name := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(match[1]), "")
		name = strings.ReplaceAll(name, " ", "-")
		if n := times[name]; n > 0 {
			names = append(names, name+"-"+strconv.Itoa(n))
		} else {
			names = append(names, name)
		}
		times[name]++
	}
	return names
}

func TestAnchors(t *testing.T) {
	text := "# `WithDisk(name, path)`\n```\n# no heading\n```\n## What's new, and old\n## A_b-c\n## A_b-c\n"
	assert.Equal(t, []string{"withdiskname-path", "whats-new-and-old", "a_b-c", "a_b-c-1"}, anchors(text))
}

// The index must list every page.
func TestIndexHasEveryPage(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	index := readFile(t, "docs/README.md")
	for _, page := range pages {
		if name := filepath.Base(page); name != "README.md" {
			assert.Contains(t, index, "]("+name+")")
		}
	}
}

// reasons returns the values of package probes' constants of type Reason.
func reasons(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "probes/reason.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var words []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Reason" {
			word, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			words = append(words, word)
		}
		return false
	})
	require.Greater(t, len(words), 20)
	return words
}

func TestEveryReasonIsExplained(t *testing.T) {
	troubleshooting := anchors(readFile(t, "docs/troubleshooting.md"))
	for _, word := range append(reasons(t), "starting", "draining") {
		assert.Contains(t, troubleshooting, word, "docs/troubleshooting.md has no entry for it")
	}
	_, table, found := strings.Cut(readFile(t, "docs/troubleshooting.md"), "\n| reasons |")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	for _, word := range reasons(t) {
		assert.Contains(t, table, "["+word+"](#"+word+")", "the table of reasons lacks it")
	}
}

// options returns the names of the functions that return an Option or a CheckOption.
func options(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var names []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Name.IsExported() && isOption(f) {
				names = append(names, f.Name.Name)
			}
		}
	}
	require.Greater(t, len(names), 20)
	return names
}

func isOption(f *ast.FuncDecl) bool {
	if f.Recv != nil || f.Type.Results == nil || len(f.Type.Results.List) != 1 {
		return false
	}
	result, ok := f.Type.Results.List[0].Type.(*ast.Ident)
	return ok && (result.Name == "Option" || result.Name == "CheckOption")
}

func TestDocumentsNameEveryOption(t *testing.T) {
	page := readFile(t, "docs/options.md")
	for _, name := range options(t) {
		assert.Contains(t, page, "`"+name+"(", "no table of docs/options.md has it")
	}
}

// The README must stay short. The details belong on the pages that it links to.
func TestReadmeIsShort(t *testing.T) {
	words := len(strings.Fields(readFile(t, "README.md")))
	assert.LessOrEqual(t, words, 1500, "the README has %d words", words)
}
