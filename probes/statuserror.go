package probes

import "errors"

var errNilFunc = errors.New("probes.Func must not be nil")

// Warn returns an error that makes a Func's result a Warning with this reason: the dependency answers, but
// needs attention. err is for the log and may be nil. An empty reason is derived from err.
func Warn(reason Reason, err error) error {
	return &statusError{status: Warning, reason: reason, err: err}
}

// Fail returns an error that makes a Func's result an Error with this reason. Use it when the reason derived
// from err is not specific enough. err is for the log and may be nil. An empty reason is derived from err.
func Fail(reason Reason, err error) error {
	return &statusError{status: Error, reason: reason, err: err}
}

// FromError returns the Result for err. For a nil err the Result is OK. If err or an error that it wraps
// comes from Warn or Fail, the Result has the status and reason of that error. Otherwise it is an Error with
// an empty Reason, and the reason is later derived from err.
func FromError(err error) Result {
	if err == nil {
		return Result{Status: OK}
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return Result{Status: e.status, Reason: e.reason, Err: err}
	}
	return Result{Status: Error, Err: err}
}

// statusError is an error that carries the status and the reason to report.
type statusError struct {
	status Status
	reason Reason
	err    error
}

func (e *statusError) Error() string {
	switch {
	case e.err == nil:
		return string(e.reason)
	case e.reason == "":
		return e.err.Error()
	}
	return string(e.reason) + ": " + e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }
