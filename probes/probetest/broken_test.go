package probetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/probetest"
)

// broken are probes that break one rule each. Each has the names of the subtests in which Run must report
// this, and the text that it must report.
var broken = []struct {
	name  string
	probe func(*dependency) probes.Probe
	opts  probetest.Options
	hangs bool   // the dependency hangs when Hang is called
	fails string // the subtests that must fail, in order
	says  string
}{
	{
		name:  "another status",
		probe: finds(probes.Result{Status: probes.Warning, Reason: "slow", Err: errors.New("dial db:5432?password=pw")}),
		fails: "check concurrent ended cancelled",
		says:  `the check is warning, and ok is wanted: reason "slow", error: dial db:5432?password=***`,
	},
	{
		name:  "another status the second time",
		probe: func(d *dependency) probes.Probe { return &fickle{dependency: d} },
		fails: "check concurrent ended cancelled",
		says:  "the check is warning, and ok is wanted",
	},
	{
		name:  "no status",
		probe: finds(probes.Result{}),
		fails: everywhere,
		says:  `the status "" must be ok, warning or error`,
	},
	{
		name:  "ok with an error",
		probe: finds(probes.Result{Status: probes.OK, Err: errors.New("oh")}),
		fails: everywhere,
		says:  "the result is ok and has an error, which counts as failed: oh",
	},
	{
		name:  "no reason and no error",
		probe: finds(probes.Result{Status: probes.Error}),
		opts:  probetest.Options{Want: probes.Error},
		fails: everywhere,
		says:  "neither a reason nor an error",
	},
	{
		name:  "a reason in two words",
		probe: finds(probes.Result{Status: probes.Error, Reason: "two words"}),
		opts:  probetest.Options{Want: probes.Error},
		fails: everywhere,
		says:  `the reason "two words" does not match [a-z][a-z0-9_]{0,31}`,
	},
	{
		name:  "a detail that can't be shown",
		probe: shows(slog.String("message", "two words")),
		fails: everywhere,
		says:  `detail "message": a string must match`,
	},
	{
		name:  "a detail twice",
		probe: shows(slog.Int("n", 1), slog.Int("n", 2)),
		fails: everywhere,
		says:  `detail "n": the key is used twice`,
	},
	{
		name:  "too many details",
		probe: shows(many(33)...),
		fails: everywhere,
		says:  "there are 33 details: more than 32 are not shown",
	},
	{
		name:  "a secret in the reason",
		probe: finds(probes.Result{Status: probes.Error, Reason: "db_internal_refused"}),
		opts:  probetest.Options{Want: probes.Error, Hidden: []string{"other", "DB_internal"}},
		fails: everywhere,
		says:  "the reason gives away Options.Hidden[1]",
	},
	{
		name:  "a secret in a detail",
		probe: shows(slog.String("user", "app-Secret")),
		opts:  probetest.Options{Secrets: []string{"app-secret"}},
		fails: everywhere,
		says:  `the detail "user" gives away Options.Secrets[0]`,
	},
	{
		name:  "a secret in a detail's key",
		probe: shows(slog.Int("db.internal", 1)),
		opts:  probetest.Options{Hidden: []string{"db.internal"}},
		fails: everywhere,
		says:  "a detail's key gives away Options.Hidden[0]",
	},
	{
		name:  "a secret in the log",
		probe: finds(probes.Result{Status: probes.Error, Err: errors.New("db: no entry with hunter2")}),
		opts:  probetest.Options{Want: probes.Error, Secrets: []string{"hunter2"}, Hidden: []string{"db"}},
		fails: everywhere,
		says:  "the error gives away Options.Secrets[0]",
	},
	{
		name:  "a secret in the advice",
		probe: func(d *dependency) probes.Probe { return advises{d, "use another password than hunter2"} },
		opts:  probetest.Options{Secrets: []string{"hunter2"}},
		fails: "check",
		says:  "Advise gives away Options.Secrets[0]",
	},
	{
		name: "Validate refuses and tells a secret",
		probe: func(d *dependency) probes.Probe {
			return validates{d, func() error { return errors.New("db, hunter2: it must have 8 letters") }}
		},
		opts:  probetest.Options{Secrets: []string{"hunter2"}, Hidden: []string{"db"}},
		fails: "check",
		says:  "Validate gives away Options.Secrets[0]",
	},
	{
		name: "Validate asks",
		probe: func(d *dependency) probes.Probe {
			return validates{d, func() error { return d.ask(context.Background()) }}
		},
		hangs: true,
		fails: "hung-new hung-kept",
		says:  "Validate hangs: it has not returned 300ms after it should have:\ngoroutine ",
	},
	{
		name: "it ignores its context",
		probe: func(d *dependency) probes.Probe {
			return asks(func(context.Context) error { return d.ask(context.Background()) })
		},
		hangs: true,
		fails: "hung-new hung-kept",
		says:  "the dependency hangs and the context times out: Check hangs: it has not returned 300ms after it should have:\ngoroutine ",
	},
	{
		name: "it observes only the deadline",
		probe: func(d *dependency) probes.Probe {
			return asks(func(ctx context.Context) error {
				deadline, ok := ctx.Deadline()
				if !ok {
					return d.ask(context.Background())
				}
				ctx, cancel := context.WithDeadline(context.Background(), deadline)
				defer cancel()
				return d.ask(ctx)
			})
		},
		hangs: true,
		fails: "hung-new hung-kept",
		says:  "the dependency hangs and the context is cancelled: Check hangs",
	},
	{
		name: "it is ok without an answer",
		probe: func(d *dependency) probes.Probe {
			return asks(func(ctx context.Context) error { _ = d.ask(ctx); return nil })
		},
		hangs: true,
		fails: "hung-new hung-kept",
		says:  "the dependency hangs, and the check is ok",
	},
	{
		name: "it leaves a goroutine behind for each check that times out",
		probe: func(d *dependency) probes.Probe {
			return asks(func(ctx context.Context) error {
				answer := make(chan error, 1)
				go func() { answer <- d.ask(context.Background()) }()
				select {
				case err := <-answer:
					return err
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		},
		hangs: true,
		fails: "hung-new hung-kept",
		says:  "after 20 checks there are 22 more goroutines than before",
	},
	{
		name: "it leaves a goroutine behind",
		probe: func(d *dependency) probes.Probe {
			go func() { <-d.never }()
			return asks(d.ask)
		},
		fails: "concurrent ended cancelled close",
		says:  "300ms after the end there is still open what was not open before: 1 goroutine(s), one of them:\ngoroutine ",
	},
	{
		name: "it leaves a file open",
		probe: func(d *dependency) probes.Probe {
			file, err := os.Open(os.DevNull)
			if err == nil {
				d.leak(file)
			}
			return asks(d.ask)
		},
		fails: "concurrent ended cancelled close",
		says:  onlyIf(onLinux, "/dev/null)"),
	},
	{
		name: "it panics when its context has ended",
		probe: func(d *dependency) probes.Probe {
			return asks(func(ctx context.Context) error {
				if longPast(ctx) {
					panic("no time")
				}
				return d.ask(ctx)
			})
		},
		fails: "ended",
		says:  "a context that had ended before (context deadline exceeded): Check panicked: no time\ngoroutine ",
	},
	{
		name: "it panics when it is cancelled",
		probe: func(*dependency) probes.Probe {
			return asks(func(ctx context.Context) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				select {
				case <-ctx.Done():
					panic(ctx.Err())
				case <-time.After(20 * time.Millisecond):
					return nil
				}
			})
		},
		fails: "cancelled",
		says:  ": Check panicked: context canceled\ngoroutine ",
	},
	{
		name: "it does not recover",
		probe: func(d *dependency) probes.Probe {
			var spoiled atomic.Bool
			return asks(func(ctx context.Context) error {
				if longPast(ctx) {
					spoiled.Store(true)
				}
				if spoiled.Load() {
					return net.ErrClosed
				}
				return d.ask(ctx)
			})
		},
		fails: "ended",
		says:  "the check after one whose context ended early: the check is error, and ok is wanted",
	},
	{
		name: "it ends its goroutine",
		probe: func(*dependency) probes.Probe {
			return asks(func(context.Context) error { runtime.Goexit(); return nil })
		},
		fails: everywhere,
		says:  "Check ended its goroutine",
	},
	{
		name:  "one at a time",
		probe: func(d *dependency) probes.Probe { return &single{dependency: d} },
		fails: "concurrent",
		says:  "8 checks at once: the check is error, and ok is wanted",
	},
	{
		name:  "a data race",
		probe: func(*dependency) probes.Probe { return new(racy) },
		fails: onlyIf(underRace(), "concurrent"),
		says:  onlyIf(underRace(), "race detected during execution of test"),
	},
	{
		name:  "it keeps its connection",
		probe: func(d *dependency) probes.Probe { return &leaky{newLineProbe(d.server.listener.Addr().String()), d} },
		fails: "concurrent ended cancelled close",
		says:  onlyIf(onLinux, "file descriptor(s) ("),
	},
	{
		name: "Close hangs",
		probe: func(d *dependency) probes.Probe {
			return &closes{dependency: d, close: func(int64) { <-d.never }, after: refused}
		},
		fails: everywhere + " close",
		says:  "Close hangs: it has not returned 300ms after it should have:\ngoroutine ",
	},
	{
		name: "Close panics the second time",
		probe: func(d *dependency) probes.Probe {
			twice := func(n int64) {
				if n == 2 {
					panic("close of closed channel")
				}
			}
			return &closes{dependency: d, close: twice, after: refused}
		},
		fails: "close",
		says:  "Close panicked: close of closed channel",
	},
	{
		name: "it is ok after Close",
		probe: func(d *dependency) probes.Probe {
			return &closes{dependency: d, close: once, after: func() error { return nil }}
		},
		fails: "close",
		says:  "after Close a check is ok",
	},
	{
		name: "it panics when it is closed during a check",
		probe: func(d *dependency) probes.Probe {
			closed := make(chan struct{})
			var calls atomic.Int64
			return &closes{dependency: d, close: func(n int64) {
				if n == 1 {
					close(closed)
				}
			}, during: func() {
				select {
				case <-closed:
					panic("nil connection")
				case <-time.After(time.Duration(1+calls.Add(1)%8) * 10 * time.Millisecond): // so that some checks are in progress when the first one ends
				}
			}, after: refused}
		},
		fails: "close",
		says:  "closed during checks: Check panicked: nil connection",
	},
	{
		name: "it panics after Close",
		probe: func(d *dependency) probes.Probe {
			return &closes{dependency: d, close: once, after: func() error { panic("nil map") }}
		},
		fails: "close",
		says:  "after Close: Check panicked: nil map",
	},
	{
		name:  "a nil probe",
		probe: func(*dependency) probes.Probe { return nil },
		fails: everywhere + " close",
		says:  "newProbe returned nil",
	},
	{
		name:  "an empty secret",
		probe: shows(),
		opts:  probetest.Options{Secrets: []string{""}},
		fails: "itself",
		says:  "Options.Secrets, Hidden and Ignore must not contain an empty string",
	},
	{
		name:  "an unknown status",
		probe: shows(),
		opts:  probetest.Options{Want: "fine"},
		fails: "itself",
		says:  `Options.Want "fine": it must be ok, warning or error`,
	},
	{
		name:  "a negative Patience",
		probe: shows(),
		opts:  probetest.Options{Patience: -1},
		fails: "itself",
		says:  "Options.Patience -1ns: it must not be negative",
	},
	{
		name:  "no newProbe",
		fails: "itself",
		says:  "newProbe must not be nil",
	},
}

// everywhere has the names of the subtests of a probe without Close.
const everywhere = "check concurrent ended cancelled"

// broke is the environment variable of the process in which the tests of broken probes run and fail.
const broke = "PROBETEST_RUN_BROKEN"

// TestBrokenProbes runs the kit on the broken probes in another process, because their tests fail.
func TestBrokenProbes(t *testing.T) {
	if os.Getenv(broke) != "" {
		for _, b := range broken {
			t.Run(b.name, func(t *testing.T) {
				d := newDependency(t)
				if b.hangs {
					b.opts.Hang = d.hang
				}
				runBroken(t, b.probe, b.opts, d)
			})
		}
		return
	}
	if testing.Short() {
		t.Skip("it waits for what hangs")
	}
	all := runChild(t, "^TestBrokenProbes$")
	require.Contains(t, all, "\nFAIL\n")
	for _, b := range broken {
		name, output := strings.ReplaceAll(b.name, " ", "_"), all
		path := "TestBrokenProbes/" + name
		// While the machine stands still, a probe may break other rules too. It breaks its own rule every time.
		for range 3 {
			if failures(output, path) == b.fails && strings.Contains(messages(output, path), b.says) {
				break
			}
			output = runChild(t, "^TestBrokenProbes$/^"+regexp.QuoteMeta(name)+"$")
		}
		assert.Equal(t, b.fails, failures(output, path), "%s\n%s", b.name, output)
		assert.Contains(t, messages(output, path), b.says, b.name)
	}
}

// runChild runs the tests of broken probes that match the pattern in another process, and returns their
// output.
func runChild(t *testing.T, pattern string) string {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern, "-test.v", "-test.timeout=10m")
	child.Env = append(os.Environ(), broke+"=1")
	output, err := child.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); !failed {
		require.NoError(t, err)
	}
	return string(output)
}

// failures returns the subtests of name that failed. It returns "itself" if name failed without a failed
// subtest, and "" if name did not fail.
func failures(output, name string) string {
	quoted := regexp.QuoteMeta(name)
	if !regexp.MustCompile(`--- FAIL: ` + quoted + ` `).MatchString(output) {
		return ""
	}
	var rules []string
	for _, found := range regexp.MustCompile(`--- FAIL: `+quoted+`/(\S+) `).FindAllStringSubmatch(output, -1) {
		rules = append(rules, found[1])
	}
	if len(rules) == 0 {
		return "itself"
	}
	return strings.Join(rules, " ")
}

// messages returns the output of the test name, without indentation.
func messages(output, name string) string {
	_, rest, _ := strings.Cut(output, "=== RUN   "+name+"\n")
	if next := regexp.MustCompile(`=== RUN   TestBrokenProbes/[^/\n]+\n`).FindStringIndex(rest); next != nil {
		rest = rest[:next[0]]
	}
	return regexp.MustCompile(`(?m)^ +`).ReplaceAllString(rest, "")
}

func runBroken(t *testing.T, probe func(*dependency) probes.Probe, opts probetest.Options, d *dependency) {
	if opts.Patience == 0 {
		opts.Patience = 300 * time.Millisecond
	}
	if probe == nil {
		probetest.Run(t, nil, opts)
		return
	}
	probetest.Run(t, func(*testing.T) probes.Probe { return probe(d) }, opts)
}

// dependency is the dependency of the broken probes.
type dependency struct {
	server *server
	never  chan struct{} // closed at the end of all tests

	mu     sync.Mutex // guards the fields below
	hung   chan struct{}
	leaked []io.Closer // kept, because the garbage collector would close them
}

func newDependency(t *testing.T) *dependency {
	d := &dependency{server: newServer(t), never: make(chan struct{})}
	t.Cleanup(d.end)
	return d
}

func (d *dependency) hang(t *testing.T) {
	hung := make(chan struct{})
	d.set(hung)
	t.Cleanup(func() {
		d.set(nil)
		close(hung)
	})
}

func (d *dependency) set(hung chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hung = hung
}

// Check implements probes.Probe without breaking a rule.
func (d *dependency) Check(ctx context.Context) probes.Result { return probes.FromError(d.ask(ctx)) }

func (d *dependency) ask(ctx context.Context) error {
	d.mu.Lock()
	hung := d.hung
	d.mu.Unlock()
	if hung == nil {
		return nil
	}
	select {
	case <-hung:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *dependency) leak(c io.Closer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaked = append(d.leaked, c)
}

func (d *dependency) end() {
	close(d.never)
	for _, c := range d.leaked {
		c.Close()
	}
}

// longPast reports whether the context ended before the check, not during it.
func longPast(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Since(deadline) > time.Second/2
}

// asks is like probes.Func, but has no Validate.
type asks func(ctx context.Context) error

func (a asks) Check(ctx context.Context) probes.Result { return probes.FromError(a(ctx)) }

// found always returns the same result.
type found probes.Result

func (f found) Check(context.Context) probes.Result { return probes.Result(f) }

func finds(result probes.Result) func(*dependency) probes.Probe {
	return func(*dependency) probes.Probe { return found(result) }
}

func shows(details ...slog.Attr) func(*dependency) probes.Probe {
	return finds(probes.Result{Status: probes.OK, Details: details})
}

func many(n int) []slog.Attr {
	var details []slog.Attr
	for i := range n {
		details = append(details, slog.Int(fmt.Sprintf("n%d", i), i))
	}
	return details
}

// fickle returns a warning every second time.
type fickle struct {
	*dependency
	n atomic.Int64
}

func (f *fickle) Check(ctx context.Context) probes.Result {
	if f.n.Add(1)%2 == 0 {
		return probes.Result{Status: probes.Warning, Reason: probes.ReasonSlow}
	}
	return f.dependency.Check(ctx)
}

type advises struct {
	*dependency
	line string
}

func (a advises) Advise() []string { return []string{"set a limit", a.line} }

type validates struct {
	*dependency
	validate func() error
}

func (v validates) Validate() error { return v.validate() }

// single refuses a check while another check is running.
type single struct {
	*dependency
	busy atomic.Bool
}

func (s *single) Check(ctx context.Context) probes.Result {
	if !s.busy.CompareAndSwap(false, true) {
		return probes.FromError(errors.New("busy"))
	}
	defer s.busy.Store(false)
	time.Sleep(time.Millisecond)
	return s.dependency.Check(ctx)
}

// racy increments a counter without a lock.
type racy struct{ n int }

func (r *racy) Check(context.Context) probes.Result {
	r.n++
	return probes.Result{Status: probes.OK}
}

// leaky has a Close that closes nothing.
type leaky struct {
	*lineProbe
	*dependency
}

func (l *leaky) Check(ctx context.Context) probes.Result { return l.lineProbe.Check(ctx) }

func (l *leaky) Close() error {
	l.sem <- struct{}{}
	defer func() { <-l.sem }()
	l.closed = true
	if l.conn != nil {
		l.leak(l.conn)
	}
	return nil
}

// closes has functions for Close, for checks before Close, and for checks after it.
type closes struct {
	*dependency
	close  func(n int64)
	during func()
	after  func() error
	n      atomic.Int64
}

func once(int64) {}

func refused() error { return probes.Fail(probes.ReasonClientClosed, nil) }

func (c *closes) Check(ctx context.Context) probes.Result {
	if c.n.Load() > 0 {
		return probes.FromError(c.after())
	}
	if c.during != nil {
		c.during()
	}
	return c.dependency.Check(ctx)
}

func (c *closes) Close() error {
	c.close(c.n.Add(1))
	return nil
}

const onLinux = runtime.GOOS == "linux"

func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// onlyIf returns s if the kit can notice the fault, or "" if it can't.
func onlyIf(seen bool, s string) string {
	if !seen {
		return ""
	}
	return s
}
