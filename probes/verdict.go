package probes

import "errors"

var errNilFunc = errors.New("probes.Func is nil: give it a function")

// Warn returns an error that makes a Func's result a Warning with this reason: the dependency answers, but somebody
// should look. err is for the log, and may be nil. An empty reason is derived from err.
func Warn(reason Reason, err error) error {
	return &verdict{status: Warning, reason: reason, err: err}
}

// Fail returns an error that makes a Func's result an Error with this reason, where the one derived from err would
// say too little. err is for the log, and may be nil. An empty reason is derived from err.
func Fail(reason Reason, err error) error {
	return &verdict{status: Error, reason: reason, err: err}
}

// FromError is the Result that err stands for: OK for nil, what Warn or Fail said where one of them is anywhere in
// err's chain, else Error with a reason to be derived from err.
func FromError(err error) Result {
	if err == nil {
		return Result{Status: OK}
	}
	if v, ok := errors.AsType[*verdict](err); ok {
		return Result{Status: v.status, Reason: v.reason, Err: err}
	}
	return Result{Status: Error, Err: err}
}

// verdict is an error that carries the status and the reason to report.
type verdict struct {
	status Status
	reason Reason
	err    error
}

func (v *verdict) Error() string {
	switch {
	case v.err == nil:
		return string(v.reason)
	case v.reason == "":
		return v.err.Error()
	}
	return string(v.reason) + ": " + v.err.Error()
}

func (v *verdict) Unwrap() error { return v.err }
