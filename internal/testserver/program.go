package testserver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A command is a program to run, with its arguments, environment and account.
type command struct {
	argv    []string   // the program and its arguments
	env     []string   // added to the environment that environ returns
	account *user.User // nil for the account that the test runs under
}

// environ returns a minimal environment. The test's own environment may contain settings for other servers,
// such as PGOPTIONS or RABBITMQ_NODENAME.
func (c command) environ() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "LANG=C.UTF-8"}
	if c.account != nil {
		env = append(env, "HOME="+c.account.HomeDir, "USER="+c.account.Username)
	}
	return append(env, c.env...)
}

// commandLimit bounds a program that is expected to end by itself, such as initdb.
const commandLimit = 2 * time.Minute

// run waits until the command ends and returns its output.
func (c command) run(dir, stdin string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir = dir
	cmd.Env = c.environ()
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second
	setAccount(cmd, c.account)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(c.argv, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// mustRun is like run, but ends the test if the command fails.
func (c command) mustRun(t testing.TB, dir, stdin string) string {
	t.Helper()
	output, err := c.run(dir, stdin)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// find returns the path of a program. It takes the first of the patterns that matches, and from its matches
// the one with the highest version in its path. If no pattern matches, find searches PATH. If it finds no
// program, it skips the test, or fails the test if ECHOHEALTH_REQUIRE_SERVERS is set. With -short, it skips
// every test, unless ECHOHEALTH_REQUIRE_SERVERS is set.
func find(t testing.TB, program, debianPackage string, patterns ...string) string {
	t.Helper()
	if testing.Short() && os.Getenv("ECHOHEALTH_REQUIRE_SERVERS") == "" {
		t.Skip("-short starts no server unless ECHOHEALTH_REQUIRE_SERVERS is set")
	}
	if !supported {
		missing(t, program+" is started on Linux only")
	}
	for _, pattern := range patterns {
		if path := newest(pattern); path != "" {
			return path
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, fmt.Sprintf("%s is not installed (on Debian: apt-get install %s)", program, debianPackage))
	}
	return path
}

func missing(t testing.TB, message string) {
	t.Helper()
	if os.Getenv("ECHOHEALTH_REQUIRE_SERVERS") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// newest returns the path that matches pattern and has the highest version number, or "" if no path matches.
func newest(pattern string) string {
	matches, _ := filepath.Glob(pattern) // the only error is a bad pattern
	if len(matches) == 0 {
		return ""
	}
	return slices.MaxFunc(matches, func(a, b string) int { return slices.Compare(numbers(a), numbers(b)) })
}

// numbers returns the numbers in a path, in order.
func numbers(path string) []int {
	var found []int
	for _, digits := range strings.FieldsFunc(path, func(r rune) bool { return r < '0' || r > '9' }) {
		n, _ := strconv.Atoi(digits)
		found = append(found, n)
	}
	return found
}

// unprivileged returns the account under which a server must run. If the test runs as root, this is the named
// account, because PostgreSQL refuses to run as root, and other servers should not. Otherwise it is nil,
// which means the test's account.
func unprivileged(t testing.TB, name string) *user.User {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("a server is not run as root, and there is no account for it: %v", err)
	}
	return account
}

// makeDir makes a directory that belongs to the account. It doesn't use t.TempDir, because only the test's
// account may enter that directory.
func makeDir(account *user.User) (string, error) {
	dir, err := os.MkdirTemp("", "echohealth-testserver-")
	if err != nil || account == nil {
		return dir, err
	}
	return dir, give(account, dir)
}

// give makes a file or directory belong to the account.
func give(account *user.User, path string) error {
	uid, _ := strconv.Atoi(account.Uid) // ids are numbers on Linux
	gid, _ := strconv.Atoi(account.Gid)
	return os.Chown(path, uid, gid)
}

// mustMakeDir calls makeDir and ends the test if it fails.
func mustMakeDir(t testing.TB, account *user.User) string {
	t.Helper()
	dir, err := makeDir(account)
	if err != nil {
		t.Fatalf("make a server's directory: %v", err)
	}
	return dir
}

// poll calls check repeatedly until check returns nil. The pauses between the calls become longer, up to 50
// ms. After limit, poll returns check's last error.
func poll(limit time.Duration, check func() error) error {
	const longest = 50 * time.Millisecond
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		err := check()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pause)
	}
}

// Program returns the path of a program that the test runs itself. If the program is missing, Program skips
// or fails the test, as the functions that start servers do.
func Program(t testing.TB, program, debianPackage string) string {
	t.Helper()
	return find(t, program, debianPackage)
}
