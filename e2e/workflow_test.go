package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// workflow contains the parts of a GitHub workflow that the test reads.
type workflow struct {
	On   map[string]any
	Jobs map[string]struct {
		TimeoutMinutes int `json:"timeout-minutes"`
		Steps          []struct {
			Uses, Run string
			With      map[string]any
		}
	}
}

// The workflow must run .ci/run for each change and once a week. It may use only GitHub's own actions.
func TestWorkflow(t *testing.T) {
	var ci workflow
	require.NoError(t, yaml.Unmarshal(readText(t, "../.github/workflows/ci.yml"), &ci))
	for _, event := range []string{"push", "pull_request", "schedule"} {
		assert.Contains(t, ci.On, event)
	}
	var runs []string
	for name, job := range ci.Jobs {
		assert.Positive(t, job.TimeoutMinutes, name)
		for _, step := range job.Steps {
			runs = append(runs, step.Run)
			if step.Uses != "" {
				assert.Regexp(t, `^actions/(checkout|setup-go)@v\d+$`, step.Uses)
			}
			if strings.HasPrefix(step.Uses, "actions/setup-go@") {
				assert.Equal(t, "go.mod", step.With["go-version-file"])
			}
		}
	}
	assert.Contains(t, runs, "bash .ci/run")
}

// Dependabot must know every module.
func TestDependabot(t *testing.T) {
	var settings struct {
		Version int
		Updates []struct {
			Ecosystem   string `json:"package-ecosystem"`
			Directories []string
		}
	}
	require.NoError(t, yaml.Unmarshal(readText(t, "../.github/dependabot.yml"), &settings))
	require.Equal(t, 2, settings.Version)
	want := []string{"/"}
	for _, pattern := range []string{"../*/go.mod", "../*/*/go.mod", "../e2e/recipes/*/go.mod"} {
		nested, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range nested {
			want = append(want, strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), ".."))
		}
	}
	for _, update := range settings.Updates {
		if update.Ecosystem == "gomod" {
			assert.ElementsMatch(t, want, update.Directories)
			return
		}
	}
	t.Error("nothing for Go's modules")
}

func readText(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return text
}
