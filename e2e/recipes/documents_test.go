package recipes

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestDocuments verifies that each Go block of the pages is a part of this package, apart from indentation.
// The tests run this package.
func TestDocuments(t *testing.T) {
	var code strings.Builder
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			code.WriteString(withoutIndentation(t, file))
		}
	}
	for _, page := range []string{"recipes.md", "coming-from.md"} {
		blocks := goBlock.FindAllStringSubmatch(withoutIndentation(t, filepath.Join("../../docs", page)), -1)
		require.NotEmpty(t, blocks, page)
		for _, block := range blocks {
			assert.Contains(t, code.String(), "\n"+block[1], page)
		}
	}
}

func withoutIndentation(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(string(text), "")
}
