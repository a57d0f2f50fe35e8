package testserver

import (
	"encoding/json"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tasks is the Python module with the Celery application. It defines the tasks tasks.add and tasks.occupy.
// With Redis it prints a line for each subscription, because a worker is "ready" before it can receive a
// ping.
const tasks = `
import os
import time

from celery import Celery

if "redis" in os.environ["BROKER_URL"] or "sentinel" in os.environ["BROKER_URL"]:
    from kombu.transport.redis import Channel

    subscribe = Channel._subscribe

    def subscribe_and_print(self):
        subscribe(self)
        os.write(1, ("subscribed to %s\n" % list(self.active_fanout_queues)).encode())

    Channel._subscribe = subscribe_and_print

app = Celery("tasks", broker=os.environ["BROKER_URL"])
app.config_from_object("settings")


@app.task
def add(x, y):
    return x + y


@app.task
def occupy(running, released):
    open(running, "w").close()
    while not os.path.exists(released):
        time.sleep(0.01)
`

// Celery is a running Celery worker with the task tasks.add(x, y). It listens on no port, but has the methods
// of a Server that start and end it. Stop is Celery's warm shutdown, which lets running tasks finish.
type Celery struct {
	lifecycle
	celery   []string // the command line of the program celery, without arguments
	account  *user.User
	broker   string
	settings []string
	args     []string
}

// A CeleryOption changes how NewCelery runs its worker.
type CeleryOption func(*Celery)

// CeleryArgs adds arguments to "celery worker", such as "--pool", "solo", "--hostname", "one@here",
// "--queues", "mail,reports" or "--without-mingle". Celery's own defaults are a prefork pool with a process
// for each core, the host's name, and the queue "celery".
func CeleryArgs(args ...string) CeleryOption {
	return func(c *Celery) { c.args = append(c.args, args...) }
}

// CelerySettings adds lines to the worker's Python module of settings, such as
// "worker_enable_remote_control = False".
func CelerySettings(lines ...string) CeleryOption {
	return func(c *Celery) { c.settings = append(c.settings, lines...) }
}

// NewCelery starts a worker that ends with the test, and returns when the worker is ready. The start takes
// about two seconds. brokerURL is in Celery's notation. Several workers on one broker must have different
// names, set by CeleryArgs("--hostname", ...).
func NewCelery(t testing.TB, brokerURL string, opts ...CeleryOption) *Celery {
	t.Helper()
	c := &Celery{celery: celeryCommand(t), account: unprivileged(t, "nobody"), broker: brokerURL}
	for _, opt := range opts {
		opt(c)
	}
	c.lifecycle = lifecycle{
		name:    "the Celery worker",
		dir:     mustMakeDir(t, c.account),
		command: c.worker,
		answers: c.ready,
		stop:    syscall.SIGTERM,
	}
	if err := c.writeModules(); err != nil {
		c.giveUp(t, err)
	}
	if err := c.launch(); err != nil {
		c.giveUp(t, err)
	}
	c.endWith(t)
	return c
}

// Send sends a task to a queue by "celery call", which takes about a second. Send also works while the worker
// is stopped.
func (c *Celery) Send(t testing.TB, queue, task string, args ...any) {
	t.Helper()
	encoded, err := json.Marshal(slices.Concat([]any{}, args))
	if err != nil {
		t.Fatalf("arguments of task %s: %v", task, err)
	}
	call := c.subcommand("call", task, "--queue", queue, "--args", string(encoded))
	call.mustRun(t, c.dir, "")
}

// Occupy sends a task to the queue "celery" that runs until release is called, and returns when the task
// runs. A worker in a solo pool does nothing else in that time.
func (c *Celery) Occupy(t testing.TB) (release func()) {
	t.Helper()
	running, released := filepath.Join(c.dir, "running"), filepath.Join(c.dir, "released")
	os.Remove(running)
	os.Remove(released)
	c.Send(t, "celery", "tasks.occupy", running, released)
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(running); err == nil {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatalf("the Celery worker does not run the task: %s", c.output())
		}
	}
	return func() {
		if err := os.WriteFile(released, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// celeryCommand returns the command line of Celery. It runs Debian's Celery, if installed, with Debian's
// Python, because Debian's script uses the first Python in PATH, which may be a Python without Celery.
func celeryCommand(t testing.TB) []string {
	t.Helper()
	program := find(t, "celery", "celery", "/usr/bin/celery")
	if _, err := os.Stat("/usr/lib/python3/dist-packages/celery"); err == nil {
		return []string{"/usr/bin/python3", "-m", "celery"}
	}
	return []string{program}
}

func (c *Celery) worker() command {
	return c.subcommand("worker", append([]string{"--loglevel", "INFO"}, c.args...)...)
}

func (c *Celery) subcommand(name string, args ...string) command {
	return command{
		account: c.account,
		argv:    slices.Concat(c.celery, []string{"--app", "tasks", name}, args),
		env:     []string{"BROKER_URL=" + c.broker, "HOME=" + c.dir, "PYTHONUNBUFFERED=1"},
	}
}

func (c *Celery) writeModules() error {
	settings := strings.Join(c.settings, "\n") + "\n"
	return errors.Join(
		os.WriteFile(filepath.Join(c.dir, "tasks.py"), []byte(tasks), 0o644),
		os.WriteFile(filepath.Join(c.dir, "settings.py"), []byte(settings), 0o644),
	)
}

// readyLine matches the line that a worker prints when it has begun to consume tasks. subscribedLine matches
// the line of the module tasks for the subscription to pings.
var (
	readyLine      = regexp.MustCompile(`(?m)\S+@\S+ ready\.$`)
	subscribedLine = regexp.MustCompile(`(?m)^subscribed to .*pidbox`)
)

func (c *Celery) ready() error {
	switch output := c.output(); {
	case !readyLine.MatchString(output):
		return errors.New("it isn't ready")
	case c.subscribes() && !subscribedLine.MatchString(output):
		return errors.New("it hasn't subscribed to pings")
	}
	return nil
}

// subscribes reports whether the worker receives pings by a subscription of Redis.
func (c *Celery) subscribes() bool {
	remoteControl := !slices.Contains(c.settings, "worker_enable_remote_control = False")
	return remoteControl && (strings.Contains(c.broker, "redis") || strings.Contains(c.broker, "sentinel"))
}
