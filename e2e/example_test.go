package e2e_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The deployments are the example's. What they have to agree with is read from its source.

// exampleSource is main.go and parts.go, the files that know the environment.
func exampleSource(t *testing.T) string {
	t.Helper()
	source := ""
	for _, name := range []string{"main.go", "parts.go"} {
		text, err := os.ReadFile("../_example/" + name)
		require.NoError(t, err)
		source += string(text)
	}
	return source
}

// find returns what the group of a pattern matches in the example's source, once at least.
func find(t *testing.T, pattern string) []string {
	t.Helper()
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(exampleSource(t), -1) {
		found = append(found, match[1])
	}
	require.NotEmpty(t, found, pattern)
	return found
}

// examplePort is the port that the example listens on by default.
func examplePort(t *testing.T) int {
	port, err := strconv.Atoi(find(t, `os\.Getenv\("ADDR"\), ":(\d+)"`)[0])
	require.NoError(t, err)
	return port
}

// exampleVariables are the names of the variables that the example reads.
func exampleVariables(t *testing.T) []string { return find(t, `[gG]etenv\("([A-Z_]+)"\)`) }

// exampleShutdown is how long the example takes at most after SIGTERM.
func exampleShutdown(t *testing.T) time.Duration {
	seconds, err := strconv.Atoi(find(t, `shutdownTimeout\s*= (\d+) \* time\.Second`)[0])
	require.NoError(t, err)
	return time.Duration(seconds) * time.Second
}
