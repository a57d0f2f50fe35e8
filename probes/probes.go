// Package probes defines what a health check is made of: the Probe contract, the Result that a probe gives, and
// the fixed list of reasons. It imports the standard library alone, so that a package with a probe of its own
// depends on no web framework and no driver.
//
// The probes for real dependencies are in the packages below this one: pgxprobe, sqlprobe, redisprobe, amqpprobe,
// celeryprobe and httpprobe. For anything else, a function is enough:
//
//	echohealth.WithCheck("search", probes.Func(func(ctx context.Context) error {
//		return client.Ping(ctx)
//	}))
//
// This package must not know who runs a probe, how often, or how its result is shown.
package probes

import (
	"context"
	"log/slog"
)

// A Probe asks a dependency how it is.
//
// Check is called from a goroutine of its own, never twice at the same time for one check, but at the same time as
// other probes, and as the same probe under another name. Its context ends some seconds after the check's timeout:
// a probe that heeds it holds no goroutine for longer, and one that doesn't is reported as a timeout all the same.
// A panic is contained and reported as ReasonPanic.
//
// A Probe may also have any of these methods:
//
//   - Validate() error: called once at construction, so that a bad setting is an error there. Its text quotes the
//     value, states the rule, and holds no password.
//   - Advise() []string: lines that are logged once at construction: measured traps in the client that the probe was
//     given, each with what to set.
//   - Close() error (io.Closer): called once when the health checks are closed, to end what the probe opened itself.
//     It never closes what the application gave it. A check afterwards is an Error, ReasonClientClosed.
//
// Package probetest finds out whether a Probe keeps to all of this.
type Probe interface {
	Check(ctx context.Context) Result
}

// Status is what a check found. The zero value is none of the three and counts as Error: a probe that forgot to say
// how it went has not said that all is well.
type Status string

// The three states of a check.
const (
	OK      Status = "ok"      // the dependency answers as it should
	Warning Status = "warning" // it answers, but somebody should look; readiness stays 200
	Error   Status = "error"   // it can't be used; readiness becomes 503 where it depends on this check
)

// MaxDetails is how many details of a Result are shown. It bounds an answer: a probe with one for each of its tenants would
// make megabytes of it.
const MaxDetails = 32

// Result is what one run of a probe found.
type Result struct {
	// Status is OK, Warning or Error. Anything else, the zero value too, counts as Error.
	Status Status

	// Reason is one word for why Status is not OK; it is shown to everybody who may ask. Empty with Warning or Error
	// means: to be derived from Err, the same way for every probe. With OK it is ignored.
	Reason Reason

	// Details are further members of the check's JSON object, in this order. Those that CheckDetail refuses are left
	// out of the answer, and so is what comes after MaxDetails.
	Details []slog.Attr

	// Err is the whole error, for the log only. It is never shown outside. Not nil together with OK counts as Error
	// with ReasonFailed, since one of the two is wrong.
	Err error
}

// Func is a Probe made of a function that returns nil when all is well, such as (*sql.DB).PingContext. Its error is
// Error, with the reason derived from it; Warn and Fail say something else. A nil Func is an error at construction.
type Func func(ctx context.Context) error

// Check calls f.
func (f Func) Check(ctx context.Context) Result {
	return FromError(f(ctx))
}

// Validate refuses a nil function.
func (f Func) Validate() error {
	if f == nil {
		return errNilFunc
	}
	return nil
}
