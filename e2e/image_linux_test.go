package e2e_test

import (
	"bufio"
	"context"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestImage tests the image as far as possible without a container engine. It runs the Dockerfile's build
// with the files of the context. Then it runs the program and the health check like the image would.
func TestImage(t *testing.T) {
	root := t.TempDir()
	build(t, filepath.Join(root, "example"))
	checkStatic(t, filepath.Join(root, "example"))

	i := newImage(t, root)
	service, url := i.serve()
	await := func(code int, when string) {
		require.Eventually(t, func() bool { return i.healthcheck(url) == code }, time.Minute, 50*time.Millisecond, when)
	}
	await(0, "the service is ready")

	require.NoError(t, service.Process.Signal(syscall.SIGTERM))
	await(1, "the service drains")
	require.NoError(t, service.Wait(), "the service exits with 0")
	assert.Equal(t, 1, i.healthcheck(url), "the service has ended")
}

// build runs the Dockerfile's go build in a directory that contains only the context's files.
func build(t *testing.T, out string) {
	t.Helper()
	dir := t.TempDir()
	copyContext(t, dir)
	var command string
	for _, i := range readDockerfile(t) {
		if i.keyword == "RUN" && strings.Contains(i.arguments, "go build ") {
			command = i.arguments
		}
	}
	require.Contains(t, command, " -o /example ")
	shell := exec.Command("sh", "-c", strings.Replace(command, " -o /example ", " -o "+out+" ", 1))
	shell.Dir = dir
	shell.Env = append(os.Environ(), "VERSION=1.2.3")
	output, err := shell.CombinedOutput()
	require.NoError(t, err, "%s", output)
}

// copyContext copies the files that .dockerignore does not exclude.
func copyContext(t *testing.T, to string) {
	t.Helper()
	from := os.DirFS("..")
	require.NoError(t, fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ignored(t, name) && entry.IsDir():
			return fs.SkipDir
		case ignored(t, name):
			return nil
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o644)
	}))
}

// checkStatic verifies that a program needs no loader and no library, because the image contains none.
func checkStatic(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	require.NoError(t, err)
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	require.NoError(t, err)
	assert.Empty(t, libraries)
	for _, segment := range file.Progs {
		assert.NotEqual(t, elf.PT_INTERP, segment.Type)
	}
}

// image is a directory that contains only the program and the files that an engine adds. As root, the
// commands run as in a container with its own file system: they see only this directory, and can't write to
// it.
type image struct {
	t            *testing.T
	root         string
	serves, asks []string // the entrypoint, and the health check, whose last word is the URL
}

func newImage(t *testing.T, root string) *image {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc", "hosts"), []byte("127.0.0.1 localhost\n"), 0o644))
	require.NoError(t, os.Chmod(root, 0o755))
	entrypoint := the(t, readDockerfile(t), "ENTRYPOINT").arguments
	return &image{t: t, root: root, serves: execForm(t, entrypoint), asks: healthcheckCommand(t)}
}

// command returns a command without the tests' environment, which is killed after limit. If the program had
// no subcommand for the health check, it would start the service instead and never end.
func (i *image) command(limit time.Duration, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	i.t.Cleanup(cancel)
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Env = []string{"ADDR=127.0.0.1:0"}
	command.Dir = "/"
	if os.Geteuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Chroot: i.root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	} else {
		command.Path = filepath.Join(i.root, args[0])
	}
	return command
}

// serve starts the entrypoint, and returns its address when it serves.
func (i *image) serve() (*exec.Cmd, string) {
	service := i.command(5*time.Minute, i.serves...)
	stderr := &strings.Builder{}
	service.Stderr = stderr
	output, err := service.StdoutPipe()
	require.NoError(i.t, err)
	require.NoError(i.t, service.Start())
	i.t.Cleanup(func() {
		_ = service.Process.Kill()
		_ = service.Wait() // returns an error if the test has already waited
	})
	lines := bufio.NewScanner(output)
	require.True(i.t, lines.Scan(), "it says nothing: %s", stderr)
	url, found := strings.CutPrefix(lines.Text(), "Serving ")
	require.True(i.t, found, lines.Text())
	return service, strings.TrimSuffix(url, "/")
}

// healthcheck runs the image's health check with another URL, and returns the exit code, or -1 if there is
// none.
func (i *image) healthcheck(url string) int {
	command := i.command(30*time.Second, append(slices.Clone(i.asks[:len(i.asks)-1]), url)...)
	output, _ := command.CombinedOutput()
	i.t.Logf("%s: %d %s", strings.Join(command.Args, " "), command.ProcessState.ExitCode(), output)
	return command.ProcessState.ExitCode()
}
