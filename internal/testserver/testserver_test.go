package testserver_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// soon is the limit for events that must happen, and quiet is how long the test waits for events that must
// not happen.
const (
	soon  = 20 * time.Second
	quiet = 100 * time.Millisecond
)

// server has the methods that the three servers have in common.
type server interface {
	Addr() string
	Port() int
	Start(testing.TB)
	Stop(testing.TB)
	Kill(testing.TB)
	Freeze(testing.TB)
	Thaw(testing.TB)
}

// A user of a server sends a request over a new connection, stores something permanently, and reports whether
// it is still stored.
type user interface {
	ask(context.Context) error
	store(*testing.T)
	stored(*testing.T) bool
}

// testLife runs everything on a server that a test can do with it.
func testLife(t *testing.T, s server, u user) {
	addr := s.Addr()
	require.Equal(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port())), addr)
	answers(t, u)
	u.store(t)

	s.Stop(t)
	refused(t, addr)
	s.Start(t)
	answers(t, u)
	assert.True(t, u.stored(t), "data after Stop")

	s.Freeze(t)
	silent(t, s, u)
	s.Thaw(t)
	answers(t, u)

	s.Freeze(t)
	s.Kill(t)
	refused(t, addr)
	s.Start(t)
	answers(t, u)
	assert.True(t, u.stored(t), "data after Kill")
	assert.Equal(t, addr, s.Addr())

	s.Freeze(t) // the server stays frozen, and the end of the test must handle that
}

func answers(t *testing.T, u user) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.NoError(t, u.ask(ctx))
}

// silent requires that the server is frozen: it accepts connections, but does not respond.
func silent(t *testing.T, s server, u user) {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", s.Addr(), soon)
	require.NoError(t, err)
	conn.Close()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), quiet)
	defer cancel()
	require.Error(t, u.ask(ctx))
	require.Greater(t, time.Since(start), quiet/2, "an error that doesn't come from the deadline")
}

func refused(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", addr, soon)
	if err == nil {
		conn.Close()
	}
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestEndsWithItsTest(t *testing.T) {
	var addr string
	t.Run("test", func(t *testing.T) { addr = testserver.NewRedis(t).Addr() })
	if addr != "" {
		refused(t, addr)
	}
}

func TestShared(t *testing.T) {
	assert.Same(t, testserver.SharedRedis(t), testserver.SharedRedis(t))
	assert.Same(t, testserver.SharedPostgres(t), testserver.SharedPostgres(t))
}

func TestServerThatEndsByItself(t *testing.T) {
	redis := testserver.NewRedis(t)
	redisUser{redis}.do(t, "SHUTDOWN", "NOSAVE")
	redis.Start(t)
	answers(t, redisUser{redis})
}

func TestServersCostNoGoroutines(t *testing.T) {
	before := goleak.IgnoreCurrent()
	redis := testserver.NewRedis(t)
	leaktest.Verify(t, before)
	redis.Freeze(t)
	redis.Thaw(t)
	redis.Stop(t)
	leaktest.Verify(t, before)
}

// TestChild is run by the tests below in another process.
func TestChild(t *testing.T) {
	role := os.Getenv("TESTSERVER_CHILD")
	if role == "" {
		t.Skip("runs in a child process only")
	}
	redis, postgres := testserver.NewRedis(t), testserver.NewPostgres(t)
	if role == "to be killed" {
		postgres.Freeze(t)
		os.WriteFile(os.Getenv("TESTSERVER_READY"), []byte(redis.Addr()), 0o644)
		time.Sleep(time.Hour)
	}
}

// child runs TestChild in another process, with the variables in its environment.
func child(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// enterable returns a temporary directory like t.TempDir, but all accounts may enter it.
func enterable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "testserver-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755|os.ModeSticky|0o022))
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// processesIn returns the processes whose working directory is below dir.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir+"/") {
			found = append(found, link)
		}
	}
	return found
}

func TestServersLeaveNothingBehind(t *testing.T) {
	testserver.SharedRedis(t) // skips if the child would skip
	testserver.SharedPostgres(t)
	dir := enterable(t)
	out, err := child(t, "TESTSERVER_CHILD=to end", "TMPDIR="+dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assertEmpty(t, dir)
}

// assertEmpty waits until no process runs in dir and dir is empty.
func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	assert.Eventually(t, func() bool { return len(processesIn(t, dir)) == 0 }, soon, 10*time.Millisecond)
	assert.Eventually(t, func() bool { return len(entries(t, dir)) == 0 }, soon, 10*time.Millisecond)
}

// The servers' accounts must be able to read what root makes for them.
func TestStrictUmaskAndTemporaryDirectory(t *testing.T) {
	testserver.SharedRedis(t) // skips where the child would
	testserver.SharedPostgres(t)
	cmd := child(t, "TESTSERVER_CHILD=to end", "TMPDIR="+t.TempDir()) // only root may enter this directory
	shell := []string{"/bin/sh", "-c", `umask 077; exec "$0" "$@"`}
	cmd.Path, cmd.Args = shell[0], append(shell, cmd.Args...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestNothingOutlivesAKilledTest(t *testing.T) {
	testserver.SharedRedis(t) // skips if the child would skip
	testserver.SharedPostgres(t)
	dir, ready := enterable(t), filepath.Join(t.TempDir(), "ready")
	cmd := child(t, "TESTSERVER_CHILD=to be killed", "TESTSERVER_READY="+ready, "TMPDIR="+dir)
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { _, err := os.Stat(ready); return err == nil }, time.Minute, 10*time.Millisecond)
	require.NotEmpty(t, processesIn(t, dir))

	require.NoError(t, cmd.Process.Kill())
	cmd.Wait()
	assertEmpty(t, dir)
	addr, err := os.ReadFile(ready)
	require.NoError(t, err)
	refused(t, string(addr))
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}

func TestMissingProgram(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("every program is missing")
	}
	for required, want := range map[string]string{"": "--- SKIP: TestChild", "1": "--- FAIL: TestChild"} {
		cmd := child(t, "TESTSERVER_CHILD=to miss Redis", "ECHOHEALTH_REQUIRE_SERVERS="+required, "PATH=/nonexistent")
		out, err := cmd.CombinedOutput()
		assert.Equal(t, required == "1", err != nil)
		assert.Contains(t, string(out), want)
		assert.Contains(t, string(out), "redis-server is not installed (on Debian: apt-get install redis-server)")
	}
}

func TestShortStartsNoServer(t *testing.T) {
	for required, want := range map[string]string{"": "-short starts no server", "1": "redis-server is not installed"} {
		cmd := child(t, "TESTSERVER_CHILD=to skip", "ECHOHEALTH_REQUIRE_SERVERS="+required, "PATH=/nonexistent")
		cmd.Args = append(cmd.Args, "-test.short")
		out, _ := cmd.CombinedOutput()
		assert.Contains(t, string(out), want)
	}
}

func TestFreePort(t *testing.T) {
	limit := 32768
	var first int
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, err = fmt.Sscan(string(text), &first)
		require.NoError(t, err)
	}
	if first > 12000 { // otherwise too few ports are left below it
		limit = first
	}
	seen := make(map[int]bool)
	for range 100 {
		port := testserver.FreePort(t)
		require.False(t, seen[port], "port %d was handed out twice", port)
		seen[port] = true
		require.Less(t, port, limit, "an outgoing connection could take it")
		refused(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
}
