package healthcheck_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/healthcheck"
	"github.com/echo-probes/echohealth/healthcheck/internal/testservice"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// terminal opens a pseudo-terminal of 80 columns and 24 lines. Master reads the output of tty.
func terminal(t *testing.T) (master, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	var unlock, number int32
	size := [4]uint16{24, 80}
	ioctl(t, master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	ioctl(t, master, syscall.TIOCGPTN, unsafe.Pointer(&number))
	ioctl(t, master, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	return master, tty
}

func ioctl(t *testing.T, file *os.File, request uintptr, argument unsafe.Pointer) {
	t.Helper()
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), request, uintptr(argument))
	require.Zero(t, errno)
}

// onTerminal runs the command with a terminal as stdout, and returns the output.
func onTerminal(t *testing.T, args ...string) string {
	t.Helper()
	master, tty := terminal(t)
	defer master.Close()
	drawn := make(chan string)
	go func() {
		text, _ := io.ReadAll(master) // which ends with an error when the other side is closed
		drawn <- string(text)
	}()
	healthcheck.Main(args, tty, io.Discard)
	require.NoError(t, tty.Close())
	return strings.ReplaceAll(<-drawn, "\r\n", "\n")
}

func TestOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	url := testservice.Serve(t, testservice.New(t, echohealth.WithDatabase(testservice.Up), echohealth.WithRedis(testservice.Down), echohealth.WithoutSystemMetrics()))
	const coloured = `^\x1b\[31mnot_ready\x1b\[0m +[\d.]+ms  http://.*/api/health/ready/\n` +
		`  database  \x1b\[32mok\x1b\[0m +[\d.]+ms\n` +
		`  redis     \x1b\[31merror\x1b\[0m  \x1b\[31mconnection_refused\x1b\[0m  (for \d+s \(never ok\)  )?[\d.]+ms\n$`
	const plain = `^not_ready +[\d.]+ms  http://.*/api/health/ready/\n  database  ok +[\d.]+ms\n` +
		`  redis     error  connection_refused  (for \d+s \(never ok\)  )?[\d.]+ms\n$`
	assert.Regexp(t, coloured, onTerminal(t, url))
	t.Setenv("NO_COLOR", "1")
	assert.Regexp(t, plain, onTerminal(t, url))
	t.Setenv("NO_COLOR", "")
	assert.Regexp(t, coloured, onTerminal(t, url), "an empty NO_COLOR is none")
	t.Setenv("TERM", "dumb")
	assert.Regexp(t, `^not_ready in .*: redis error connection_refused, database ok\n$`, withoutDurations(onTerminal(t, url)))
}

func TestGroupsOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	url := testservice.Serve(t, testservice.New(t, echohealth.WithDatabase(testservice.Up), echohealth.WithRedis(testservice.Down),
		echohealth.WithoutSystemMetrics(), echohealth.WithGroup("reports", "database"), echohealth.WithGroup("cart", "redis")))
	assert.Regexp(t, `\n  group reports  \x1b\[32mready\x1b\[0m\n  group cart     \x1b\[31mnot_ready\x1b\[0m\n$`, onTerminal(t, "--detailed", url))
}

func TestJSONOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	url := testservice.Serve(t, testservice.Answering(200, "{\"status\":\"ready\",\n\"a\":\"é\u009b31m\u202e\x7f\"}"))
	assert.Equal(t, "{\"status\":\"ready\",\n\"a\":\"é31m\"}\n", onTerminal(t, "--json", url))
}

func TestRolloutOnATerminal(t *testing.T) {
	if testing.Short() {
		t.Skip("it lasts for two seconds")
	}
	t.Setenv("TERM", "xterm")
	drawn := onTerminal(t, "rollout", "--connections=1", "--rate=10", "--duration=2s", testservice.Serve(t, testservice.Answering(200, "")))
	assert.Regexp(t, `\n\r\x1b\[32m0 of \d+ failed\x1b\[0m  [\d.]+s\x1b\[K.*\r\x1b\[K\x1b\[32m0 of \d+ failed\x1b\[0m\n1 connections`, drawn)
}

// A file, a pipe and /dev/null, which is a device like a terminal, get no colours.
func TestNotOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	url := testservice.Serve(t, testservice.New(t, echohealth.WithRedis(testservice.Down), echohealth.WithoutSystemMetrics()))
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer file.Close()
	assert.Equal(t, 1, healthcheck.Main([]string{url}, file, io.Discard))
	text, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	assert.Regexp(t, `^not_ready in .*: redis error connection_refused\n$`, withoutDurations(string(text)))

	piped, _ := exec.Command(build(t), url).Output()
	assert.Regexp(t, `^not_ready in .*: redis error connection_refused\n$`, withoutDurations(string(piped)))

	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer null.Close()
	assert.False(t, healthcheck.IsTerminal(null))
}
