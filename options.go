package echohealth

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/echo-probes/echohealth/probes"
)

// Option configures a Health. Each option validates its own argument; New joins the errors of all options
// into one.
type Option func(*config) error

// CheckOption configures one check. It is an argument of WithDatabase, WithRedis, WithAMQP, WithCelery and
// WithCheck.
type CheckOption func(*checkConfig) error

// Never is a threshold that no value exceeds. Use it to switch off the warning or the critical level of a
// metric, or celeryprobe.PendingThreshold.
const Never = 1<<31 - 1

// WithDatabase adds a check named "database". Make its probe with pgxprobe.New or sqlprobe.New. A nil probe
// and a second check with this name are errors. Use WithCheck for a second database.
func WithDatabase(p probes.Probe, opts ...CheckOption) Option {
	return withCheck("WithDatabase", "database", p, opts)
}

// WithRedis adds a check named "redis". Make its probe with redisprobe.New. A nil probe and a second check
// with this name are errors. Use WithCheck for a second Redis.
func WithRedis(p probes.Probe, opts ...CheckOption) Option {
	return withCheck("WithRedis", "redis", p, opts)
}

// WithAMQP adds a check named "amqp". Make its probe with amqpprobe.New or amqpprobe.FromConn. A nil probe
// and a second check with this name are errors. Use WithCheck for a second broker.
func WithAMQP(p probes.Probe, opts ...CheckOption) Option {
	return withCheck("WithAMQP", "amqp", p, opts)
}

// WithCelery adds a check named "celery". Make its probe with celeryprobe.New or celeryprobe.Redis. A nil
// probe and a second check with this name are errors. Use WithCheck for a second broker.
func WithCelery(p probes.Probe, opts ...CheckOption) Option {
	return withCheck("WithCelery", "celery", p, opts)
}

// WithCheck adds a check with a name of your choice. Repeated use is additive. The answers show the checks
// in the order of the options.
//
// The name must match [A-Za-z0-9][A-Za-z0-9._-]{0,63} and must be unique. The names "cpu", "memory",
// "connections" and "process" and the names of the disks are reserved. An invalid name and a nil probe are
// errors.
func WithCheck(name string, p probes.Probe, opts ...CheckOption) Option {
	return withCheck("WithCheck", name, p, opts)
}

// Timeout limits one run of the check. A run that exceeds it counts as failed, even if the probe is still
// running. The default is the duration of WithTimeout. A duration under 1 ms or over a year is an error.
// The last use wins.
func Timeout(d time.Duration) CheckOption {
	return func(c *checkConfig) error {
		c.timeout = d
		return validDuration("Timeout", d)
	}
}

// FreshFor sets how long a result of the check is fresh. A look (see Health) that finds an older result runs
// the check again. The default is the freshness that the probe sets (probes.Defaults), or else the duration
// of WithFreshness. A duration under 1 ms or over a year is an error. The last use wins.
func FreshFor(d time.Duration) CheckOption {
	return func(c *checkConfig) error {
		c.freshness = d
		return validDuration("FreshFor", d)
	}
}

// SlowAfter turns an OK that took longer than d into a Warning with the reason "slow". By default there is no
// such limit. A duration under 1 ms or over a year is an error. A duration that is not below the check's
// timeout is an error too, because it would have no effect. The last use wins.
func SlowAfter(d time.Duration) CheckOption {
	return func(c *checkConfig) error {
		c.slowAfter = d
		return validDuration("SlowAfter", d)
	}
}

// Optional marks a dependency that the service can do without. Readiness does not depend on the check, unless
// WithReadiness names it. A failure of the check makes the service degraded instead of unhealthy. A probe may
// make its check optional by default (probes.Defaults).
func Optional() CheckOption {
	return func(c *checkConfig) error {
		c.optional = true
		return nil
	}
}

// FailureThreshold publishes the first n-1 failures in a row as a Warning, as the failureThreshold of a
// Kubernetes probe does. A check that has never succeeded is an Error from its first failure on. A run that
// continues after its timeout counts as one more failure in each freshness time. The default is 1. A number
// below 1 is an error, and so is one above 1 for a probes.Switch. The last use wins.
func FailureThreshold(n int) CheckOption {
	return func(c *checkConfig) error {
		c.failureThreshold = n
		return c.validateThreshold("FailureThreshold", n)
	}
}

// SuccessThreshold keeps an Error until the check has succeeded n times in a row, as the successThreshold
// of a Kubernetes probe does. It does not apply to the first result. The default is 1. A number below 1 is
// an error, and so is one above 1 for a probes.Switch. The last use wins.
func SuccessThreshold(n int) CheckOption {
	return func(c *checkConfig) error {
		c.successThreshold = n
		return c.validateThreshold("SuccessThreshold", n)
	}
}

// validateThreshold returns an error for an invalid threshold, and for any threshold of a Switch, which must
// take effect immediately.
func (c *checkConfig) validateThreshold(option string, n int) error {
	if n > 1 && c.isSwitch() {
		return fmt.Errorf("%s(%d): a Switch must have no threshold, because Off and On take effect immediately",
			option, n)
	}
	return atLeastOne(option, n)
}

// WithCPUThreshold sets the percentages of CPU use above which the metric is a warning and critical. A
// warning makes the service degraded, a critical level makes it unhealthy, and neither changes readiness. In
// a container with a CPU quota 100 % is the quota. In a cpuset 100 % is all processors of the cpuset. The use
// in the first seconds after New is not compared with the threshold, because a process is busy at its start.
//
// Each level must be 0 to 100, or Never, and not a fraction between 0 and 1. The warning level must not
// exceed the critical one. The default is (90, Never). The last use wins.
func WithCPUThreshold(warning, critical float64) Option {
	return withPercentages("WithCPUThreshold", warning, critical, func(c *config) *levels { return &c.cpu })
}

// WithMemoryThreshold sets the percentages of memory use above which the metric is a warning and critical. In
// a container with a memory limit 100 % is the limit, which is memory.max, or memory.high if that is lower.
//
// Each level must be 0 to 100, or Never, and not a fraction between 0 and 1. The warning level must not
// exceed the critical one. The default is (90, Never). The last use wins.
func WithMemoryThreshold(warning, critical float64) Option {
	memory := func(c *config) *levels { return &c.memory }
	return withPercentages("WithMemoryThreshold", warning, critical, memory)
}

// WithDiskThreshold sets the percentages of disk use above which the metric is a warning and critical. The
// thresholds apply to every disk. A disk's use is the larger of two percentages: that of its blocks and that
// of its inodes. A read-only file system without free space, such as a mounted image, is always OK.
//
// Each level must be 0 to 100, or Never, and not a fraction between 0 and 1. The warning level must not
// exceed the critical one. The default is (90, Never). The last use wins.
func WithDiskThreshold(warning, critical float64) Option {
	return withPercentages("WithDiskThreshold", warning, critical, func(c *config) *levels { return &c.disk })
}

// WithConnectionsThreshold sets the numbers of established TCP connections above which the metric is a
// warning and critical.
//
// Each level must be 0 or more, or Never. The warning level must not exceed the critical one. The default
// is (Never, Never). The last use wins.
func WithConnectionsThreshold(warning, critical int) Option {
	return func(c *config) error {
		c.connections = levels{warning: float64(warning), critical: float64(critical)}
		c.systemOptions = append(c.systemOptions, "WithConnectionsThreshold")
		call := fmt.Sprintf("WithConnectionsThreshold(%d, %d)", warning, critical)
		if warning < 0 || critical < 0 {
			return fmt.Errorf("%s: a threshold must be 0 or more, or Never", call)
		}
		return c.connections.validate(call)
	}
}

// WithDisk measures the file system that contains path and shows it under this name. By default there is one
// disk, named "disk", with the path "/". A use with the name of an existing disk replaces that disk. A use
// with another name adds a disk. The path must be absolute. It need not exist yet. The name must follow the
// rules of WithCheck.
//
// If the file system becomes read-only while the service runs, the disk is a warning with the reason
// "read_only" until the file system is writable again. If it is unmounted, the disk is a warning with the
// reason "unmounted" until it is mounted again. A file system that is read-only from the start is OK.
func WithDisk(name, path string) Option {
	return func(c *config) error {
		c.systemOptions = append(c.systemOptions, "WithDisk")
		call := fmt.Sprintf("WithDisk(%q, %q)", name, path)
		if err := validName(call, name); err != nil {
			return err
		}
		if !filepath.IsAbs(path) && !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%s: the path must be absolute", call)
		}
		c.setDisk(name, path)
		return nil
	}
}

// WithoutSystemMetrics removes cpu, memory, the disks, connections and process from the answers. None of them
// is measured. WithDisk and the options that set thresholds of metrics are errors together with this option.
//
// No other option affects the metric process, which is a warning when more than 80 % of the open files that
// the process may have are in use.
func WithoutSystemMetrics() Option {
	return func(c *config) error {
		c.withoutSystem = true
		return nil
	}
}

// WithPrefix sets the path of the health endpoints. The default is "/api/health". The path must begin with
// /, must be longer than / and must not end with /. It must be UTF-8 without //, the segments . and .., the
// characters ? # % : * { } \, spaces and control characters. It is compared with the decoded path of a
// request. The last use wins.
func WithPrefix(path string) Option {
	return func(c *config) error {
		c.prefix = path
		return validPath(fmt.Sprintf("WithPrefix(%q)", path), path)
	}
}

// WithTimeout sets the timeout of the checks that have no check option Timeout. The default is 800 ms,
// because a kubelet waits 1 s for the whole answer by default. A duration under 1 ms or over a year is an
// error. The last use wins.
func WithTimeout(d time.Duration) Option {
	return func(c *config) error {
		c.timeout = d
		return validDuration("WithTimeout", d)
	}
}

// WithFreshness sets how long a result is fresh. It applies to the checks that have no check option FreshFor
// and whose probe sets no freshness (probes.Defaults). The default is 1 s. A duration under 1 ms or over a
// year is an error. The last use wins.
func WithFreshness(d time.Duration) Option {
	return func(c *config) error {
		c.freshness = d
		return validDuration("WithFreshness", d)
	}
}

// WithReadiness makes readiness depend on exactly these checks. Without names readiness depends on no check.
// By default readiness depends on every check that is not Optional. An unknown name and a name that is given
// twice are errors. The last use wins.
func WithReadiness(names ...string) Option {
	names = append([]string{}, names...)
	return func(c *config) error {
		if c.readiness == nil {
			c.rules = append(c.rules, func(names map[string]bool) []error {
				return validateNames("WithReadiness", "readiness depends on", c.readiness, names)
			})
		}
		c.readiness = names
		return nil
	}
}

// WithLogger sets the logger. It gets the changes of checks, metrics, readiness and liveness, and warnings.
// The default is slog.Default() at the time of each record. A nil logger is an error. The last use wins.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		if l == nil {
			return errors.New("WithLogger(nil): the logger must not be nil; leave the option out for slog.Default()")
		}
		c.logger = l
		return nil
	}
}

// WithVersion adds the member "version" to the detailed answer. By default, and with an empty version, the
// member is absent. A version that is not valid UTF-8 is an error. The last use wins.
func WithVersion(v string) Option {
	return func(c *config) error {
		c.version = v
		if !utf8.ValidString(v) {
			return fmt.Errorf("WithVersion(%q): the version must be valid UTF-8", v)
		}
		return nil
	}
}

// WithBackground makes a look (see Health) after each interval, which varies by up to 10 %. The first look
// comes 100 ms after New. These looks also run every check whose result would expire before the next look has
// ended, and measure the system metrics. A request that finds no fresh result still runs the check and waits
// for it. To avoid that, set WithFreshness or FreshFor to at least 1.1 × interval + timeout.
//
// The default is 0, which means no such looks. Any other duration under 1 ms is an error, and so is a
// duration over a year. The last use wins.
func WithBackground(interval time.Duration) Option {
	return func(c *config) error {
		c.interval = interval
		return validOrZero("WithBackground", interval)
	}
}

// WithStartupGate keeps /startup/ and /ready/ at 503 until MarkStarted is called, for a service that has to
// load or migrate something first. Startup depends only on the gate, never on a check. Middleware panics on
// this option, because its caller has no Health to call MarkStarted on.
func WithStartupGate() Option {
	return func(c *config) error {
		c.gated = true
		return nil
	}
}

// WithDrainDelay sets how long Drain and Shutdown continue to serve after readiness has become 503, so that
// load balancers can react. The default is 5 s. Zero means no delay. A negative duration, a positive one
// under 1 ms and one over a year are errors. The last use wins.
func WithDrainDelay(d time.Duration) Option {
	return func(c *config) error {
		c.drainDelay = d
		return validOrZero("WithDrainDelay", d)
	}
}

// WithGuard protects every endpoint but live, ready and startup. All guards must allow a request. If every
// guard that refuses a request accepts a token, the answer is 401, otherwise 403. This does not depend on
// whether the path exists. A refused request for ready gets an answer with only the status. Repeated use is
// additive. No guard, a nil guard and an invalid guard are errors.
func WithGuard(guards ...Guard) Option {
	guards = append([]Guard{}, guards...)
	return func(c *config) error {
		c.guards = append(c.guards, guards...)
		return validGuards("WithGuard", guards)
	}
}

// WithPublic sets the endpoints that the middleware answers. For all others the middleware answers 404, and
// only Private serves them. By default the middleware answers all endpoints, and with WithPublic() none.
// Groups stands for all groups, and Group(name) for one group. An unknown endpoint is an error. The last use
// wins.
func WithPublic(public ...Endpoint) Option {
	public = append([]Endpoint{}, public...)
	return func(c *config) error {
		if c.public == nil {
			c.rules = append(c.rules, func(map[string]bool) (errs []error) {
				for _, e := range c.public {
					errs = append(errs, c.validateOffer("WithPublic", e))
				}
				return errs
			})
		}
		c.public = public
		var errs []error
		for _, e := range public {
			errs = append(errs, e.validate("WithPublic"))
		}
		return errors.Join(errs...)
	}
}

// WithAlias answers an endpoint at a second path, such as "/readyz", with and without a trailing slash. The
// path must be "/", or follow the rules of WithPrefix, and must not be the prefix or below it. The endpoint
// must not be Checks or Groups, which have many paths. Use Group(name) for one group. The endpoint must be
// public (see WithPublic). Repeated use is additive. A path that is given twice is an error.
//
// The alias "/" is for load balancers that can request no other path. It affects no path below "/". As at
// every health endpoint, a method other than GET and HEAD gets 405, even if the application has a handler for
// that method.
func WithAlias(path string, e Endpoint) Option {
	return func(c *config) error {
		call := fmt.Sprintf("WithAlias(%q, %q)", path, string(e))
		if path != "/" {
			if err := validPath(call, path); err != nil {
				return err
			}
		}
		if e == Checks || e == Groups {
			return fmt.Errorf("%s: the endpoint must have one path, and %q has many", call, string(e))
		}
		if _, ok := c.aliases[path]; ok {
			return fmt.Errorf("%s: the path has an alias already", call)
		}
		c.aliases[path] = e
		c.rules = append(c.rules, func(map[string]bool) []error { return c.validateAlias(path, e) })
		return e.validate(call)
	}
}

// WithOnChange calls f for each change of a check, a metric or readiness. The calls come one at a time and in
// order, on a goroutine that serves no request. No lock is held, so f may call any method of the Health but
// Close and Shutdown, which would wait for f. While f runs, further changes wait. When more than 1024 wait,
// the oldest are dropped, and that is logged. A panic in f is logged. f is not called before New has returned
// or after Close has returned.
//
// The variable that receives the result of New may still be unset when f is called. Pass a function that
// needs the Health to Health.OnChange instead.
//
// A change is found only when the check runs. Without WithBackground a check runs only because of a request
// or a call (see Health). If a check flaps, the log sums up its changes, but f gets every one. Repeated use
// is additive. A nil function is an error.
func WithOnChange(f func(Change)) Option {
	return func(c *config) error {
		if f == nil {
			return errors.New("WithOnChange(nil): the function must not be nil")
		}
		c.onChange = append(c.onChange, f)
		return nil
	}
}

func withCheck(option, name string, p probes.Probe, opts []CheckOption) Option {
	return func(c *config) error {
		check := checkConfig{option: option, name: name, probe: p}
		call := check.call()
		errs := []error{validName(call, name), validProbe(call, p)}
		for i, opt := range opts {
			if opt == nil {
				errs = append(errs, fmt.Errorf("%s: check option %d must not be nil", call, i+1))
				continue
			}
			if err := opt(&check); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", call, err))
			}
		}
		c.checks = append(c.checks, check)
		return errors.Join(errs...)
	}
}

func withPercentages(option string, warning, critical float64, field func(*config) *levels) Option {
	return func(c *config) error {
		l := levels{warning: warning, critical: critical}
		*field(c) = l
		c.systemOptions = append(c.systemOptions, option)
		call := fmt.Sprintf("%s(%s, %s)", option, threshold(warning), threshold(critical))
		for _, v := range []float64{warning, critical} {
			switch {
			case math.IsNaN(v) || v < 0 || v > 100 && v != Never:
				return fmt.Errorf("%s: a percentage must be 0 to 100, or Never", call)
			case v > 0 && v < 1:
				return fmt.Errorf("%s: a percentage must not be a fraction: write %s for %v", call, percent(v), v)
			}
		}
		return l.validate(call)
	}
}

// levels are the two thresholds of a metric. A value crosses a threshold if it is greater.
type levels struct{ warning, critical float64 }

func (l levels) validate(call string) error {
	if l.warning > l.critical && l.warning != Never {
		return fmt.Errorf("%s: warning must not exceed critical", call)
	}
	return nil
}

// percent formats a fraction as the percentage that the user probably meant: 0.9 as 90.
func percent(fraction float64) string { return fmt.Sprint(math.Round(fraction*1e4) / 1e2) }

// threshold formats a level as in the user's code.
func threshold(v float64) string {
	if v == Never {
		return "Never"
	}
	return fmt.Sprint(v)
}
