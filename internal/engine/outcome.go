package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
)

// outcome is a probe's result after every violation of the rules of package probes was corrected.
type outcome struct {
	status  probes.Status
	reason  probes.Reason
	details []slog.Attr
	err     error
	invalid error // the violations of probes.Result's rules, before they were corrected
}

var errClosed = errors.New("the health checks are closed")

// exited is the outcome of a probe that called runtime.Goexit, as the FailNow method of a test does.
var exited = outcome{
	status: probes.Error, reason: probes.ReasonFailed,
	err: errors.New("the probe called runtime.Goexit instead of returning a result"),
}

// call calls the probe and turns a panic into an outcome. It also calls the methods of the probe's error,
// because they are the application's code too and can panic.
func call(ctx context.Context, probe probes.Probe) (o outcome) {
	defer func() {
		if v := recover(); v != nil {
			err := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
			o = outcome{status: probes.Error, reason: probes.ReasonPanic, err: err}
		}
	}()
	return judge(probe.Check(ctx))
}

// judge applies the rules of package probes to a probe's result.
func judge(result probes.Result) outcome {
	o := outcome{status: result.Status, reason: result.Reason, err: result.Err}
	if o.err != nil {
		_ = o.err.Error() // called here, because here a panic is recovered and a hang is limited by the timeout
	}
	var invalid []error
	switch {
	case o.status == probes.OK && o.err != nil:
		o.status, o.reason = probes.Error, probes.ReasonFailed
		invalid = append(invalid, errors.New("the result is OK and has an error: it counts as failed"))
	case o.status == probes.OK:
		o.reason = ""
	case o.status != probes.Warning && o.status != probes.Error:
		invalid = append(invalid,
			fmt.Errorf("the status %q must be ok, warning or error: it is treated as error", o.status))
		o.status = probes.Error
	}
	if o.status != probes.OK {
		if o.reason != "" && !o.reason.Valid() {
			invalid = append(invalid,
				fmt.Errorf("the reason %q does not match [a-z][a-z0-9_]{0,31}: it is shown as failed", o.reason))
			o.reason = probes.ReasonFailed
		}
		o.reason = reasonOf(o)
	}
	details, err := allowed(result.Details)
	o.details = details
	o.invalid = errors.Join(append(invalid, err)...)
	return o
}

func reasonOf(o outcome) probes.Reason {
	if o.reason != "" {
		return o.reason
	}
	if reason := reason.Of(o.err); reason != "" {
		return reason
	}
	return probes.ReasonFailed
}

// allowed returns a copy of the details that follow the rules, and an error that describes the others.
func allowed(details []slog.Attr) ([]slog.Attr, error) {
	var good []slog.Attr
	var errs []error
	seen := make(map[string]bool, min(len(details), probes.MaxDetails))
	for _, a := range details {
		err := probes.CheckDetail(a)
		switch {
		case err == nil && seen[a.Key]:
			err = fmt.Errorf("detail %q: the key is used twice", a.Key)
		case err == nil && len(good) == probes.MaxDetails:
			errs = append(errs, fmt.Errorf("there are more than %d details: the rest is left out", probes.MaxDetails))
			return good, errors.Join(errs...)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		seen[a.Key] = true
		good = append(good, a)
	}
	return good, errors.Join(errs...)
}

func (o outcome) result(took time.Duration) *Result {
	return &Result{Status: o.status, Reason: o.reason, Details: o.details, Err: o.err, Took: took}
}

// withSlow returns r. An OK that took longer than limit becomes a Warning first. Zero means no limit.
func (r *Result) withSlow(limit time.Duration) *Result {
	if limit > 0 && r.Status == probes.OK && r.Took > limit {
		r.Status, r.Reason = probes.Warning, probes.ReasonSlow
		r.Err = fmt.Errorf("the answer took %s, longer than %s", r.Took.Round(time.Microsecond), limit)
	}
	return r
}

func timedOut(timeout time.Duration) *Result {
	err := fmt.Errorf("the probe has not answered within %s", timeout)
	return &Result{Status: probes.Error, Reason: probes.ReasonTimeout, Err: err, Took: timeout}
}
