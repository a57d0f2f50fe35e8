// Package probetest is a conformance kit for authors of probes, like testing/slogtest for handlers of
// log/slog. It tests a probe against the contract of package probes.
//
//	func TestProbe(t *testing.T) {
//		server := newServer(t) // a real server that works
//		probetest.Run(t, func(t *testing.T) probes.Probe {
//			return search.New(server.URL)
//		}, probetest.Options{
//			Hang:    func(t *testing.T) { server.Pause(); t.Cleanup(server.Resume) },
//			Secrets: []string{"app-password"},
//			Hidden:  []string{server.Host},
//		})
//	}
//
// Run it with the race detector, which also finds data races of concurrent checks. Secrets are most often
// revealed when the dependency is down or refuses the password. Test these states with further calls of Run,
// with Options.Want set to their status.
//
// The package imports only the standard library and this module.
package probetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// Options describe a probe to Run. The zero value describes a probe that is always ok, has no dependency, and
// knows no secret.
type Options struct {
	// Want is the expected status of each check. It does not apply after Hang was called or the probe was
	// closed. Empty means probes.OK.
	Want probes.Status

	// Hang makes the dependency hang. It must then still accept data, on existing and on new connections, but no
	// longer answer. A paused server (SIGSTOP, docker pause), a proxy that forwards nothing, and a handler that
	// blocks behave like this. Run calls Hang once in each subtest with a hanging dependency, after newProbe.
	// Hang must undo its effect with t.Cleanup.
	//
	// If Hang is nil, Run skips the subtests with a hanging dependency. Use nil for a probe without a
	// dependency.
	Hang func(t *testing.T)

	// Secrets are passwords, tokens and the like. None of them may appear in a reason, in a detail, or in the
	// log. The log contains the Err of a Result and the texts of Advise and Validate, in which the health checks
	// have masked passwords. The comparison ignores case. An empty string is an error.
	Secrets []string

	// Hidden are strings that may appear in the log, but not in a reason or a detail, such as hosts, users,
	// paths and names of databases. The comparison ignores case. An empty string is an error.
	Hidden []string

	// Ignore lists functions whose goroutines do not belong to the probe, such as "net/http.(*conn).serve" for a
	// server in the process of the test. Run ignores each goroutine with such a function in its stack. An empty
	// string is an error.
	Ignore []string

	// Patience is how long Run waits before it reports that something hangs or was left open. It applies to
	// Check after the end of its context, to Close, Validate and Advise, and to goroutines and files at the end
	// of a subtest. Zero means 2 s, which is less than the timeouts of most drivers. With a longer Patience, Run
	// may not notice that a check ignores its context and returns only after the driver's timeout. A negative
	// duration is an error.
	Patience time.Duration
}

// Run tests probes against the contract of package probes, with a subtest for each rule:
//
//   - check: Validate accepts the probe. Each check has the expected status, also with a context that never
//     ends. Its result breaks no rule. No result, Validate or Advise reveals a secret, and nothing panics.
//     The rules on results, secrets and panics also apply in the other subtests.
//   - concurrent: many checks at the same time have the expected status.
//   - ended: a check whose context has already ended breaks no rule, and the next check has the expected
//     status.
//   - cancelled: the same as ended, with a context that is cancelled during the check.
//   - hung-new and hung-kept, with Options.Hang: the dependency hangs before the first check, or after one. A
//     check is not ok, and it returns soon after its context was cancelled or timed out. Repeated checks do
//     not accumulate goroutines. Validate, Advise and Close do not hang.
//   - close, for a probe with Close: Close returns soon, before the first check, during checks, and when it
//     is called again. A later check is an Error.
//
// At the end of each subtest except check, after Close and the functions of t.Cleanup, no goroutine and, on
// Linux, no file descriptor may be left that was opened in the subtest. In the subtest check they may be
// left, because some drivers open them once for the process.
//
// Run calls newProbe at least once in each subtest. newProbe must return a new probe each time. If newProbe
// creates something for the probe, such as a client, t.Cleanup must close it. A client that exists before Run
// may be used too, if it opens nothing later. Run closes the probes itself. Run must not run in parallel with
// other tests, because it would count their goroutines as the probe's. Run takes about a second with
// Options.Hang, and less without.
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
				k.checkLeaks(t)
			}
			rule.run(k, t)
		})
	}
}

// kit contains the arguments of Run, which all rules share.
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
		errs = append(errs, fmt.Errorf("probetest: Options.Want %q: it must be ok, warning or error", k.Want))
	}
	if slices.Contains(k.Secrets, "") || slices.Contains(k.Hidden, "") || slices.Contains(k.Ignore, "") {
		errs = append(errs, errors.New("probetest: Options.Secrets, Hidden and Ignore "+
			"must not contain an empty string, which every text contains"))
	}
	if k.Patience < 0 {
		errs = append(errs, fmt.Errorf("probetest: Options.Patience %s: it must not be negative", k.Patience))
	}
	return errors.Join(errs...)
}

func known(s probes.Status) bool {
	return s == probes.OK || s == probes.Warning || s == probes.Error
}
