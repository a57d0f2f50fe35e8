// Package probetest is a conformance kit for those who write a probe, as testing/slogtest is for handlers of log/slog:
// it holds a probe to the contract of package probes.
//
//	func TestProbe(t *testing.T) {
//		server := newServer(t) // a real one, that is well
//		probetest.Run(t, func(t *testing.T) probes.Probe {
//			return search.New(server.URL)
//		}, probetest.Options{
//			Hang:    func(t *testing.T) { server.Pause(); t.Cleanup(server.Resume) },
//			Secrets: []string{"app-password"},
//			Hidden:  []string{server.Host},
//		})
//	}
//
// Run it with the race detector, which makes the rule on concurrent use mean more. What the probe says when its
// dependency is down or refuses the password, which is when secrets slip out, takes a second Run with Options.Want.
//
// The package imports nothing but the standard library and this module.
package probetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// Options says what Run can't know of a probe. The zero value is for a probe that is always ok, asks nobody, and knows
// no secret.
type Options struct {
	// Want is the status of each check, from the first one on, of several at once too, as long as Hang was not called
	// and the probe is not closed. Empty means probes.OK.
	Want probes.Status

	// Hang makes the dependency hang: it still takes what is sent to it, and answers no more, on the connections that
	// exist and on new ones. A server that is paused does so (SIGSTOP, docker pause), a proxy that passes nothing on,
	// or a handler that blocks. Hang is called once in a subtest, after newProbe, and has to undo it with t.Cleanup.
	//
	// Nil skips what is to be seen of a dependency that hangs: right for a probe that asks nobody.
	Hang func(t *testing.T)

	// Secrets are passwords, tokens and the like. None may be in a reason, in a detail, or in what the log has of a
	// Result's Err, of Advise and of Validate, after the masking that the health checks do. Upper and lower case are
	// the same. An empty one is an error.
	Secrets []string

	// Hidden is what may be in the log, but not in a reason or a detail: hosts, users, paths, names of databases.
	// Upper and lower case are the same. An empty one is an error.
	Hidden []string

	// Ignore names functions whose goroutines are not the probe's, such as "net/http.(*conn).serve" for a server that
	// runs in the test's own process: a goroutine that has one of them in its stack is not counted.
	Ignore []string

	// Patience is how long Run waits until it says that something hangs or is left open: for Check after its context
	// has ended, for Close, Validate and Advise, and for what was opened to be closed. Zero means 2 s, which is less
	// than most drivers' own timeouts: with more, one of those could pass for the context's. Negative is an error.
	Patience time.Duration
}

// Run holds probes to the contract of package probes, each rule in a subtest:
//
//   - check: Validate accepts the probe; each check has the status that is wanted, also with a context that never ends;
//     its result breaks no rule; nothing in it, in Validate or in Advise gives a secret away. This holds for every
//     check of the other subtests too, and so does that nothing may panic.
//   - concurrent: the same for many checks at once.
//   - ended: a context that has ended before the check is no trouble, and the next check is well again.
//   - cancelled: the same for one that is cancelled in mid-run.
//   - hung-new and hung-kept, with Options.Hang: the dependency hangs before the first check, or after one. A check is
//     not ok and returns soon after its context was cancelled or timed out; many of them don't pile up goroutines; and
//     Validate, Advise and Close don't hang.
//   - close, for a probe that has Close: it returns soon, before the first check, during checks, and when it is called
//     again; a check after it is an Error.
//
// After each subtest but the first, when the probe is closed (if it has Close) and the functions of t.Cleanup have run,
// no goroutine and, on Linux, no file descriptor may be left of what was opened in it. The first one may leave what a
// driver opens once for the process.
//
// newProbe is called at least once in each subtest, and returns a new probe each time. What is made for it, such as a
// client, is to be closed by t.Cleanup, or to be there before Run and to open nothing later. Run closes the probes
// itself. It must not run in parallel with other tests, whose goroutines it would take for the probe's. It lasts a
// second or so with Options.Hang, and less without.
//
// Invalid options, a nil newProbe and a nil probe end the test.
func Run(t *testing.T, newProbe func(t *testing.T) probes.Probe, opts Options) {
	t.Helper()
	k := kit{opts.withDefaults(), newProbe}
	if err := k.validate(); err != nil {
		t.Fatal(err)
	}
	for i, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			if i > 0 {
				k.watch(t)
			}
			rule.run(k, t)
		})
	}
}

// kit is what is the same for all rules.
type kit struct {
	Options
	newProbe func(t *testing.T) probes.Probe
}

func (o Options) withDefaults() Options {
	if o.Want == "" {
		o.Want = probes.OK
	}
	if o.Patience == 0 {
		o.Patience = 2 * time.Second
	}
	return o
}

func (k kit) validate() error {
	var errs []error
	if k.newProbe == nil {
		errs = append(errs, errors.New("probetest.Run: newProbe must not be nil"))
	}
	if !known(k.Want) {
		errs = append(errs, fmt.Errorf("probetest: Options.Want %q: it is one of ok, warning and error", k.Want))
	}
	if slices.Contains(k.Secrets, "") || slices.Contains(k.Hidden, "") || slices.Contains(k.Ignore, "") {
		errs = append(errs, errors.New("probetest: an empty string in Options.Secrets, Hidden or Ignore: it would be found everywhere"))
	}
	if k.Patience < 0 {
		errs = append(errs, fmt.Errorf("probetest: Options.Patience %s: it must not be negative", k.Patience))
	}
	return errors.Join(errs...)
}

func known(s probes.Status) bool {
	return s == probes.OK || s == probes.Warning || s == probes.Error
}
