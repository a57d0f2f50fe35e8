package balancers

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const page = "../../docs/load-balancers.md"

// The addresses in the page's blocks.
const (
	pageFirst  = "10.0.0.7:8000"
	pageSecond = "10.0.0.8:8000"
)

func readPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	return string(text)
}

// block returns the only block of the page in a language.
func block(t *testing.T, language string) string {
	t.Helper()
	found := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(readPage(t), -1)
	require.Len(t, found, 1, language)
	return found[0][1]
}

// replace replaces each old string with the new string that follows it. The text must contain each old string
// exactly once.
func replace(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		require.Equal(t, 1, strings.Count(text, pairs[i]), "%q in\n%s", pairs[i], text)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
