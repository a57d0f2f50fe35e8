package e2e_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The deployments run the example. The tests read the expected values from its source.

// exampleSource returns main.go and parts.go, which read the environment.
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

// find returns the matches of a pattern's group in the example's source. There must be at least one.
func find(t *testing.T, pattern string) []string {
	t.Helper()
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(exampleSource(t), -1) {
		found = append(found, match[1])
	}
	require.NotEmpty(t, found, pattern)
	return found
}

// examplePort returns the port on which the example listens by default.
func examplePort(t *testing.T) int {
	port, err := strconv.Atoi(find(t, `os\.Getenv\("ADDR"\), ":(\d+)"`)[0])
	require.NoError(t, err)
	return port
}

// exampleVariables returns the names of the variables that the example reads.
func exampleVariables(t *testing.T) []string { return find(t, `[gG]etenv\("([A-Z_]+)"\)`) }

// exampleShutdown returns the maximum time that the example needs after SIGTERM.
func exampleShutdown(t *testing.T) time.Duration {
	seconds, err := strconv.Atoi(find(t, `shutdownTimeout\s*= (\d+) \* time\.Second`)[0])
	require.NoError(t, err)
	return time.Duration(seconds) * time.Second
}
