package probetest

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/echo-probes/echohealth/internal/redact"
	"github.com/echo-probes/echohealth/probes"
)

// judge returns an error that lists all rules that the result breaks.
func (k kit) judge(r probes.Result) error {
	err := errors.Join(judgeStatus(r), judgeReason(r), judgeDetails(r.Details), k.judgeSecrets(r))
	if err != nil {
		return fmt.Errorf("the result breaks the contract: %w", err)
	}
	return nil
}

func judgeStatus(r probes.Result) error {
	switch {
	case !known(r.Status):
		return fmt.Errorf("the status %q must be ok, warning or error", r.Status)
	case r.Status == probes.OK && r.Err != nil:
		return fmt.Errorf("the result is ok and has an error, which counts as failed: %s", redact.Error(r.Err))
	}
	return nil
}

func judgeReason(r probes.Result) error {
	switch {
	case r.Status == probes.OK: // the reason of an ok result is ignored
		return nil
	case r.Reason == "" && r.Err == nil:
		return errors.New("the result is not ok, and has neither a reason nor an error")
	case r.Reason != "" && !r.Reason.Valid():
		return fmt.Errorf("the reason %q does not match [a-z][a-z0-9_]{0,31}", r.Reason)
	}
	return nil
}

func judgeDetails(details []slog.Attr) error {
	var errs []error
	seen := make(map[string]bool, len(details))
	for _, a := range details {
		errs = append(errs, probes.CheckDetail(a))
		if seen[a.Key] {
			errs = append(errs, fmt.Errorf("detail %q: the key is used twice", a.Key))
		}
		seen[a.Key] = true
	}
	if len(details) > probes.MaxDetails {
		errs = append(errs, fmt.Errorf("there are %d details: more than %d are not shown",
			len(details), probes.MaxDetails))
	}
	return errors.Join(errs...)
}

// judgeSecrets returns an error if a text of the result that is shown or logged contains a secret.
func (k kit) judgeSecrets(r probes.Result) error {
	errs := []error{k.shown("the reason", string(r.Reason)), k.logged("the error", redact.Error(r.Err))}
	for _, a := range r.Details {
		errs = append(errs, k.shown("a detail's key", a.Key))
		if a.Value.Kind() == slog.KindString { // not numbers, which may contain the digits of a port by chance
			errs = append(errs, k.shown(fmt.Sprintf("the detail %q", a.Key), a.Value.String()))
		}
	}
	return errors.Join(errs...)
}

func (k kit) shown(what, text string) error {
	return errors.Join(reveals("Secrets", k.Secrets, what, text), reveals("Hidden", k.Hidden, what, text))
}

func (k kit) logged(what, text string) error { return reveals("Secrets", k.Secrets, what, text) }

// reveals returns an error if text contains one of words. The error does not repeat the word, because a
// test's output is also a log.
func reveals(name string, words []string, what, text string) error {
	for i, word := range words {
		if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
			return fmt.Errorf("%s gives away Options.%s[%d]", what, name, i)
		}
	}
	return nil
}
