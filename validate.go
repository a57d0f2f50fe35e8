package echohealth

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/echo-probes/echohealth/internal/duration"
	"github.com/echo-probes/echohealth/internal/redact"
	"github.com/echo-probes/echohealth/probes"
)

func validName(call, name string) error {
	switch {
	case !wellFormed(name):
		return fmt.Errorf("%s: the name must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}", call)
	case taken[name]:
		return fmt.Errorf("%s: the name is reserved for a system metric", call)
	}
	return nil
}

// wellFormed reports whether name matches [A-Za-z0-9][A-Za-z0-9._-]{0,63}. It does not use package regexp,
// which would make every program 256 KB larger.
func wellFormed(name string) bool {
	if name == "" || len(name) > 64 || strings.IndexByte("._-", name[0]) >= 0 {
		return false
	}
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// taken are the names of the metrics that always exist, which validName refuses. The disks are known only
// after all options, so validateChecks compares the names of the checks with those of the disks.
var taken = map[string]bool{"cpu": true, "memory": true, "connections": true, "process": true}

// validPath applies the rules for a prefix and for an alias.
func validPath(call, path string) error {
	var rule string
	switch {
	case !strings.HasPrefix(path, "/"):
		rule = "the path must begin with /"
	case path == "/":
		rule = "the path must be longer than /"
	case strings.HasSuffix(path, "/"):
		rule = "the path must not end with /"
	case strings.Contains(path, "//"):
		rule = "the path must not contain //"
	case strings.ContainsAny(path, `?#%:*{}\ `) || strings.ContainsFunc(path, unicode.IsControl) ||
		!utf8.ValidString(path):
		rule = `the path must be UTF-8 without ? # % : * { } \, spaces and control characters`
	case strings.Contains(path+"/", "/./"), strings.Contains(path+"/", "/../"):
		rule = "the path must not contain a segment . or .."
	default:
		return nil
	}
	return fmt.Errorf("%s: %s", call, rule)
}

func validDuration(option string, d time.Duration) error {
	return validAtLeast("at least 1ms", option, d)
}

func validOrZero(option string, d time.Duration) error {
	if d == 0 {
		return nil
	}
	return validAtLeast("0, or at least 1ms", option, d)
}

func validAtLeast(rule, option string, d time.Duration) error {
	switch {
	case d < time.Millisecond:
		return fmt.Errorf("%s(%s): the duration must be %s (a bare number is in nanoseconds)", option, d, rule)
	case d > duration.Longest:
		return fmt.Errorf("%s(%s): the duration must be at most %s (a year)", option, d, duration.Longest)
	}
	return nil
}

func atLeastOne(option string, n int) error {
	if n < 1 {
		return fmt.Errorf("%s(%d): the threshold must be at least 1", option, n)
	}
	return nil
}

// validProbe returns an error for nil and a nil pointer, and calls the probe's own Validate if there is one.
func validProbe(call string, p probes.Probe) error {
	if p == nil {
		return fmt.Errorf("%s: the probe must not be nil", call)
	}
	if isNil(p) {
		return fmt.Errorf("%s: the probe must not be a nil %T", call, p)
	}
	if err := validate(p); err != nil {
		return fmt.Errorf("%s: %s", call, redact.Error(err))
	}
	return nil
}

// validate calls the method Validate of v, if it has one.
func validate(v any) error {
	validator, ok := v.(interface{ Validate() error })
	if !ok {
		return nil
	}
	return contain(fmt.Sprintf("Validate of %T", v), validator.Validate)
}

// defaultsOf calls the method Defaults of p, if it has one, and validates the result.
func defaultsOf(p probes.Probe) (d probes.Defaults, err error) {
	chooser, ok := p.(interface{ Defaults() probes.Defaults })
	if !ok || isNil(p) {
		return d, nil
	}
	err = contain(fmt.Sprintf("Defaults of %T", p), func() error { d = chooser.Defaults(); return nil })
	if err != nil {
		return d, err
	}
	var errs []error
	if d.FreshFor != 0 {
		errs = append(errs, validDuration("Defaults.FreshFor", d.FreshFor))
	}
	if d.RetryAfter != 0 {
		errs = append(errs, validDuration("Defaults.RetryAfter", d.RetryAfter))
		if d.FreshFor == 0 {
			errs = append(errs, fmt.Errorf("Defaults.RetryAfter(%s): it needs FreshFor", d.RetryAfter))
		}
	}
	return d, errors.Join(errs...)
}

// isNil reports whether v is nil or a nil pointer.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	value := reflect.ValueOf(v)
	return value.Kind() == reflect.Pointer && value.IsNil()
}
