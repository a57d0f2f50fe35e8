package e2e_test

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const dockerfilePath = "../deploy/Dockerfile"

// instruction is an instruction of a Dockerfile, without its flags.
type instruction struct {
	keyword, arguments string
	flags              map[string]string
}

// readDockerfile reads this Dockerfile, which has one instruction in a line, comments, and no continuation
// lines.
func readDockerfile(t *testing.T) []instruction {
	t.Helper()
	text, err := os.ReadFile(dockerfilePath)
	require.NoError(t, err)
	var instructions []instruction
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		require.False(t, strings.HasSuffix(line, `\`), line)
		instructions = append(instructions, readInstruction(line))
	}
	return instructions
}

func readInstruction(line string) instruction {
	keyword, rest, _ := strings.Cut(line, " ")
	i := instruction{keyword: keyword, flags: map[string]string{}}
	for strings.HasPrefix(rest, "--") {
		var flag string
		flag, rest, _ = strings.Cut(rest, " ")
		name, value, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		i.flags[name] = value
	}
	i.arguments = rest
	return i
}

// the returns the only instruction of a kind.
func the(t *testing.T, instructions []instruction, keyword string) instruction {
	t.Helper()
	all := slices.DeleteFunc(slices.Clone(instructions), func(i instruction) bool { return i.keyword != keyword })
	require.Len(t, all, 1, keyword)
	return all[0]
}

// execForm returns the words of a command that needs no shell.
func execForm(t *testing.T, text string) (command []string) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &command), text)
	require.NotEmpty(t, command)
	return command
}

// healthcheckCommand returns the command of the image's HEALTHCHECK.
func healthcheckCommand(t *testing.T) []string {
	t.Helper()
	command, found := strings.CutPrefix(the(t, readDockerfile(t), "HEALTHCHECK").arguments, "CMD ")
	require.True(t, found)
	return execForm(t, command)
}

// ignored reports whether .dockerignore excludes a path, relative to the repository, from the context. It
// knows the two kinds of patterns that the file uses: a path, and ** before a name.
func ignored(t *testing.T, name string) bool {
	t.Helper()
	text, err := os.ReadFile(dockerfilePath + ".dockerignore")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		pattern, anywhere := strings.CutPrefix(line, "**/")
		if line == "" || line[0] == '#' {
			continue
		}
		if name == line || anywhere && matches(t, pattern, path.Base(name)) {
			return true
		}
	}
	return false
}

func matches(t *testing.T, pattern, name string) bool {
	t.Helper()
	ok, err := path.Match(pattern, name)
	require.NoError(t, err)
	return ok
}

// The copied files must exist, and the context must contain them.
func TestDockerfileCopies(t *testing.T) {
	copies := 0
	for _, i := range readDockerfile(t) {
		fields := strings.Fields(i.arguments)
		if i.keyword != "COPY" || i.flags["from"] != "" {
			continue
		}
		for _, source := range fields[:len(fields)-1] {
			_, err := os.Stat(filepath.Join("..", source))
			assert.NoError(t, err)
			assert.False(t, ignored(t, source), source)
			copies++
		}
	}
	assert.Positive(t, copies)
}

var goVersion = regexp.MustCompile(`(?m)^(?:go |golang:)1\.(\d+)`)

// The image that builds the example must have the Go version that the example needs.
func TestDockerfileGoVersion(t *testing.T) {
	minor := func(text string) int {
		match := goVersion.FindStringSubmatch(text)
		require.NotNil(t, match, text)
		n, err := strconv.Atoi(match[1])
		require.NoError(t, err)
		return n
	}
	mod, err := os.ReadFile("../_example/go.mod")
	require.NoError(t, err)
	from := readDockerfile(t)[0]
	require.Equal(t, "FROM", from.keyword)
	assert.GreaterOrEqual(t, minor(from.arguments), minor(string(mod)))
}

// The image must run the built program as a user who is not root, and its health check must use the port on
// which the example listens.
func TestDockerfileImage(t *testing.T) {
	instructions := readDockerfile(t)
	last := instructions[len(instructions)-1]
	require.Equal(t, "ENTRYPOINT", last.keyword)
	program := execForm(t, last.arguments)[0]

	user, _, _ := strings.Cut(the(t, instructions, "USER").arguments, ":")
	id, err := strconv.Atoi(user)
	require.NoError(t, err, "Kubernetes' runAsNonRoot accepts only a number")
	assert.Positive(t, id)

	port := strconv.Itoa(examplePort(t))
	assert.Equal(t, port, the(t, instructions, "EXPOSE").arguments)
	assert.Equal(t, []string{program, "healthcheck", "http://localhost:" + port}, healthcheckCommand(t))
}
