package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	// The programs of docs/grpc.md import this module.
	_ "github.com/echo-probes/echohealth/grpchealth"
)

// TestGRPCPage builds the programs of docs/grpc.md, and starts the first one. It runs the page's commands of
// the real grpc-health-probe, and ends the program with SIGTERM.
func TestGRPCPage(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	page := string(readText(t, "../docs/grpc.md"))
	programs := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(page, -1)
	require.Len(t, programs, 2)
	probe := filepath.Join(t.TempDir(), "grpc-health-probe")
	goCommand(t, "build", "-o", probe, "github.com/grpc-ecosystem/grpc-health-probe")
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))
	service := filepath.Join(t.TempDir(), "service")
	for _, program := range programs {
		require.True(t, strings.HasPrefix(program[1], "package main\n"))
	}
	goCommand(t, "vet", packageOf(t, programs[1][1]))
	require.Contains(t, programs[0][1], `":50051"`)
	goCommand(t, "build", "-o", service, packageOf(t, strings.Replace(programs[0][1], `":50051"`, `"`+address+`"`, 1)))

	console := regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindStringSubmatch(page)
	require.NotNil(t, console)
	lines := strings.Split(strings.TrimSpace(console[1]), "\n")
	environment, started := strings.CutSuffix(lines[0], " go run .")
	require.True(t, started, lines[0])
	running := exec.Command(service)
	running.Env = append(os.Environ(), strings.TrimPrefix(environment, "$ "))
	require.NoError(t, running.Start())
	t.Cleanup(func() { _ = running.Process.Kill() })
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond)

	require.Len(t, lines[1:], 8, "four commands, and an answer to each")
	for i := 1; i < len(lines); i += 2 {
		arguments, ok := strings.CutPrefix(lines[i], "$ grpc-health-probe ")
		require.True(t, ok, lines[i])
		output, err := probeCommand(t, probe, strings.ReplaceAll(arguments, "localhost:50051", address))
		assert.Contains(t, output, lines[i+1], lines[i])
		assert.Equal(t, strings.HasSuffix(lines[i+1], "status: SERVING"), err == nil, lines[i])
	}

	require.NoError(t, running.Process.Signal(syscall.SIGTERM))
	assert.Eventually(t, func() bool {
		output, err := probeCommand(t, probe, "-addr="+address)
		return err != nil && strings.Contains(output, "NOT_SERVING")
	}, time.Minute, 20*time.Millisecond, "it drains for 5 s, and is not ready")
	assert.NoError(t, running.Wait())
}

func probeCommand(t *testing.T, probe, arguments string) (string, error) {
	t.Helper()
	var words []string
	for _, word := range regexp.MustCompile(`(?:'[^']*'|[^\s'])+`).FindAllString(arguments, -1) {
		words = append(words, strings.ReplaceAll(word, "'", ""))
	}
	output, err := exec.Command(probe, append(words, "-connect-timeout=20s", "-rpc-timeout=20s")...).CombinedOutput()
	return string(output), err
}

// packageOf writes a program into a directory of this module.
func packageOf(t *testing.T, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp(".", "_scratch-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644))
	return "./" + dir
}

func goCommand(t *testing.T, arguments ...string) {
	t.Helper()
	output, err := exec.Command("go", arguments...).CombinedOutput()
	require.NoError(t, err, "go %s\n%s", strings.Join(arguments, " "), output)
}
