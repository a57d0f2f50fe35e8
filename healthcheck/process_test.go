//go:build !windows

package healthcheck_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/healthcheck/internal/testservice"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// program is cmd/healthcheck, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "healthcheck")
	if err != nil {
		return "", err
	}
	buildDir = dir
	path := filepath.Join(dir, "healthcheck")
	return path, exec.Command("go", "build", "-o", path, "../cmd/healthcheck").Run()
})

func build(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds a program")
	}
	path, err := program()
	require.NoError(t, err)
	return path
}

func TestTheProgram(t *testing.T) {
	url := testservice.Serve(t, testservice.New(t, echohealth.WithRedis(testservice.Down), echohealth.WithoutSystemMetrics()))
	for _, test := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{"--live", url}, 0, "alive in ", ""},
		{[]string{url}, 1, "not_ready in ", ""},
		{[]string{"--nonsense"}, 1, "", "healthcheck: flag provided but not defined: -nonsense\n"},
		{nil, 1, "", "healthcheck: a URL is required"},
	} {
		var stdout, stderr strings.Builder
		command := exec.Command(build(t), test.args...)
		command.Stdout, command.Stderr = &stdout, &stderr
		_ = command.Run()
		assert.Equal(t, test.code, command.ProcessState.ExitCode())
		assert.True(t, strings.HasPrefix(stdout.String(), test.stdout), stdout.String())
		assert.True(t, strings.HasPrefix(stderr.String(), test.stderr), stderr.String())
	}
}

// A signal ends a watch and a rollout, which print their sums.
func TestSignals(t *testing.T) {
	health := testservice.New(t, echohealth.WithoutSystemMetrics())
	var asked atomic.Int64
	url := testservice.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		health.ServeHTTP(w, r)
	}))
	for _, test := range []struct {
		args []string
		last string
	}{
		{[]string{"--watch", "--interval=100ms", url}, `\n0 of \d+ answers failed in .*\n$`},
		{[]string{"rollout", url}, `\n0 of \d+ failed\n.*\n$`},
	} {
		for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			out := &strings.Builder{}
			command := exec.Command(build(t), test.args...)
			command.Stdout = out
			require.NoError(t, command.Start())
			from := asked.Load()
			require.Eventually(t, func() bool { return asked.Load() > from+3 }, testservice.LongTimeout, 5*time.Millisecond)
			require.NoError(t, command.Process.Signal(signal))
			assert.NoError(t, command.Wait(), "all was well")
			assert.Regexp(t, test.last, out.String())
		}
	}
}

func BenchmarkTheProgram(b *testing.B) {
	url := testservice.Serve(b, testservice.New(b, echohealth.WithRedis(testservice.Up), echohealth.WithoutSystemMetrics()))
	path := build(b)
	for b.Loop() {
		require.NoError(b, exec.Command(path, url).Run())
	}
}
