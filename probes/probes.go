// Package probes defines the parts of a health check: the Probe interface, the Result of a probe, and the
// list of reasons. It imports only the standard library, so a package with its own probe depends on no web
// framework and no driver.
//
// The probes for real dependencies are in the packages below this one: pgxprobe, sqlprobe, redisprobe,
// amqpprobe, celeryprobe, httpprobe and certprobe. For anything else, a function is enough:
//
//	echohealth.WithCheck("search", probes.Func(func(ctx context.Context) error {
//		return client.Ping(ctx)
//	}))
//
// This package must not know what runs a probe, how often, or how its result is shown.
package probes

import (
	"context"
	"log/slog"
)

// A Probe checks one dependency.
//
// Check runs in its own goroutine. It is never called twice at the same time for one check. It may be called
// at the same time as other probes, and twice at the same time if two checks have the same probe. A run that
// exceeds the check's timeout is reported as a timeout. The context of Check ends some seconds later. Check
// should then return, because its goroutine is not free before. A panic is recovered and reported as
// ReasonPanic.
//
// A Probe may also have any of these methods:
//
//   - Validate() error is called once at construction, so that an invalid setting is an error there. The
//     error must quote the value and state the rule, and must not contain a password.
//   - Advise() []string is called once at construction, and its lines are logged. Each line names a setting
//     of the given client that causes trouble, and the value to set instead.
//   - Defaults() Defaults is called once at construction, for a probe that should run rarely, or that
//     readiness should not depend on by default.
//   - Watch(changed func()) (stop func()) is called once at construction and must return immediately. The
//     probe must call changed when its result may have changed, but not from Check. The check then runs
//     immediately, even if its last result is fresh, but at most ten times a second. stop is called when the
//     health checks are closed. It may be nil. A Switch has this method.
//   - Close() error (io.Closer) is called once when the health checks are closed. It must close what the
//     probe opened, and nothing that the application passed to it. A later check must be an Error with
//     ReasonClientClosed.
//
// Package probetest tests a Probe against these rules.
type Probe interface {
	Check(ctx context.Context) Result
}

// Status is the status of a check. The zero value is not a valid status and counts as Error.
type Status string

// The statuses of a check.
const (
	OK      Status = "ok"      // the dependency answers as expected
	Warning Status = "warning" // it answers, but needs attention; readiness does not change
	Error   Status = "error"   // it cannot be used; readiness becomes 503 if it depends on this check
)

// MaxDetails is the maximum number of details of a Result that are shown. It bounds the size of an answer.
const MaxDetails = 32

// Result is the result of one run of a probe.
type Result struct {
	// Status is OK, Warning or Error. Any other value, also the zero value, counts as Error.
	Status Status

	// Reason is one word for why Status is not OK. Every client that may see the check sees its reason. If it is
	// empty, the reason is derived from Err. If Status is OK, it is ignored.
	Reason Reason

	// Details are further members of the check's JSON object, in this order. The answer leaves out details
	// that CheckDetail rejects, and those after the first MaxDetails.
	Details []slog.Attr

	// Err is the whole error, for the log. The only answers that show it are those of a handler with
	// echohealth.ShowErrors. An Err with OK counts as Error with ReasonFailed, because the two contradict each
	// other.
	Err error
}

// Func is a Probe that is a function, such as (*sql.DB).PingContext. It must return nil if the dependency
// works. Any other error than one of Warn or Fail makes the check an Error, and the reason is derived from
// it. An error of Warn or Fail sets the status and the reason. A nil Func is an error at construction of the
// health checks.
type Func func(ctx context.Context) error

// Check calls f.
func (f Func) Check(ctx context.Context) Result {
	return FromError(f(ctx))
}

// Validate returns an error for a nil Func.
func (f Func) Validate() error {
	if f == nil {
		return errNilFunc
	}
	return nil
}
