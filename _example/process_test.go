package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// The tests run the program like its user: built without cgo, in a separate process.
var program string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "echohealth-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "example")
	build := exec.Command("go", "build", "-o", program, "-ldflags", "-X main.version=1.2.3", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		panic(err.Error() + "\n" + string(output))
	}
	return testserver.Run(m)
}

// newCommand returns the program with these variables, NAME=value. It doesn't inherit the variables that the
// program reads.
func newCommand(variables ...string) *exec.Cmd {
	command := exec.Command(program)
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"ADDR", "DATABASE_URL", "REDIS_URL", "BROKER_URL", "HEALTH_TOKEN"}, name)
	})
	command.Env = append(command.Env, "ADDR=127.0.0.1:0")
	command.Env = append(command.Env, variables...)
	return command
}

// waitLimit is how long the tests wait for events that come soon on an idle machine.
const waitLimit = 30 * time.Second

// process is the running program.
type process struct {
	command *exec.Cmd
	url     string
	welcome *bufio.Reader
	exited  chan error
}

// start returns when the program serves. The program ends with the test.
func start(t *testing.T, variables ...string) *process {
	t.Helper()
	p := &process{command: newCommand(variables...), exited: make(chan error, 1)}
	stderr := &bytes.Buffer{}
	p.command.Stderr = stderr
	output, input, err := os.Pipe()
	require.NoError(t, err)
	p.command.Stdout = input
	require.NoError(t, p.command.Start())
	input.Close()
	go func() { p.exited <- p.command.Wait(); close(p.exited) }()
	t.Cleanup(func() {
		p.command.Process.Kill()
		<-p.exited
		output.Close()
		if t.Failed() {
			t.Logf("the program's log:\n%s", stderr)
		}
	})
	p.welcome = bufio.NewReader(output)
	line, err := p.welcome.ReadString('\n')
	require.NoError(t, err, "the program printed no URL")
	p.url = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "Serving "), "/")
	return p
}

// end sends SIGTERM, unless a signal was already sent, and returns when the program has exited with 0.
func (p *process) end(t *testing.T, signal os.Signal) {
	t.Helper()
	if signal != nil {
		require.NoError(t, p.command.Process.Signal(signal))
	}
	select {
	case err := <-p.exited:
		require.NoError(t, err)
	case <-time.After(waitLimit):
		t.Fatal("it still runs")
	}
}

// healthcheck runs the program's subcommand with the running program's URL, and returns the exit code.
func (p *process) healthcheck(t *testing.T, flags ...string) int {
	t.Helper()
	command := exec.Command(program, append(append([]string{"healthcheck"}, flags...), p.url)...)
	output, _ := command.CombinedOutput()
	t.Logf("healthcheck %s: %s", flags, output)
	return command.ProcessState.ExitCode()
}

// awaitHealthcheck waits until the subcommand has this exit code.
func (p *process) awaitHealthcheck(t *testing.T, code int, flags ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return p.healthcheck(t, flags...) == code }, waitLimit, 10*time.Millisecond)
}

func (p *process) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	response, err := http.Get(p.url + path)
	require.NoError(t, err)
	return read(t, response)
}

// awaitDrain waits until readiness says that the program drains.
func (p *process) awaitDrain(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		response, err := http.Get(p.url + "/api/health/ready/")
		if !assert.NoError(t, err) {
			return true // it is gone
		}
		status, body := read(t, response)
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"reason":"draining"`)
	}, waitLimit, 10*time.Millisecond)
}

// post sends a form, name=value&….
func (p *process) post(t *testing.T, path, form string) (status int, body string) {
	t.Helper()
	values, err := url.ParseQuery(form)
	require.NoError(t, err)
	response, err := http.PostForm(p.url+path, values)
	require.NoError(t, err)
	return read(t, response)
}

func read(t *testing.T, response *http.Response) (status int, body string) {
	t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, strings.TrimSpace(string(text))
}

// check is a check of a health answer.
type check struct {
	Status       string
	Reason       string
	PendingTasks int `json:"pending_tasks"`
	Consumers    int
}

// health is a health answer.
type health struct {
	Status  string
	Version string
	Checks  map[string]check
}

func (p *process) health(t *testing.T, endpoint string) (status int, answer health) {
	t.Helper()
	status, body := p.get(t, "/api/health/"+endpoint+"/")
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
	return status, answer
}

// awaitCheck waits until a check of the detailed answer is as expected. This takes at least the freshness of
// a result.
func (p *process) awaitCheck(t *testing.T, name string, wanted func(check) bool) {
	t.Helper()
	var last check
	require.Eventually(t, func() bool {
		_, answer := p.health(t, "detailed")
		last = answer.Checks[name]
		return wanted(last)
	}, waitLimit, 100*time.Millisecond, "%s", name)
}
