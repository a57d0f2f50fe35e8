package echohealth

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// Option sets one thing about a Health. An option checks its own argument: New returns what is wrong with each, joined
// into one error.
type Option func(*config) error

// CheckOption sets one thing about one check, where the checks are configured: WithDatabase, WithRedis, WithAMQP, WithCelery
// and WithCheck.
type CheckOption func(*checkConfig) error

// Never is a threshold that is never crossed: for a level that is not wanted.
const Never = 1<<31 - 1

// WithDatabase adds a check named "database". The probes for it are pgxprobe.New and sqlprobe.New.
// A nil probe, and a second check of this name, are errors; use WithCheck for a second database.
func WithDatabase(p probes.Probe, opts ...CheckOption) Option {
	return withCheck("WithDatabase", "database", p, opts)
}

// WithRedis adds a check named "redis". The probe for it is redisprobe.New.
// A nil probe, and a second check of this name, are errors; use WithCheck for a second Redis.
func WithRedis(p probes.Probe, opts ...CheckOption) Option {
	return withCheck("WithRedis", "redis", p, opts)
}

// WithAMQP adds a check named "amqp". The probes for it are amqpprobe.New and amqpprobe.FromConn.
// A nil probe, and a second check of this name, are errors; use WithCheck for a second broker.
func WithAMQP(p probes.Probe, opts ...CheckOption) Option {
	return withCheck("WithAMQP", "amqp", p, opts)
}

// WithCelery adds a check named "celery". The probes for it are celeryprobe.New and celeryprobe.Redis.
// A nil probe, and a second check of this name, are errors; use WithCheck for a second broker.
func WithCelery(p probes.Probe, opts ...CheckOption) Option {
	return withCheck("WithCelery", "celery", p, opts)
}

// WithCheck adds a check of your own. Repeated use is additive: the answers show the checks in the order of the options.
//
// The name matches [A-Za-z0-9][A-Za-z0-9._-]{0,63} and is used once; "cpu", "memory", "connections", "process" and the names
// of the disks are taken. Those, and a nil probe, are errors.
func WithCheck(name string, p probes.Probe, opts ...CheckOption) Option {
	return withCheck("WithCheck", name, p, opts)
}

// Timeout is when a run of the check counts as failed, whether or not the probe has returned. The default is that of
// WithTimeout. A duration under 1 ms or over a year is an error. Repeated use replaces.
func Timeout(d time.Duration) CheckOption {
	return func(c *checkConfig) error {
		c.timeout = d
		return validDuration("Timeout", d)
	}
}

// FreshFor is how long one result of the check serves before somebody's asking runs it again. The default is that of
// WithFreshness. A duration under 1 ms or over a year is an error. Repeated use replaces.
func FreshFor(d time.Duration) CheckOption {
	return func(c *checkConfig) error {
		c.freshness = d
		return validDuration("FreshFor", d)
	}
}

// SlowAfter makes an OK that took longer than d a Warning with the reason "slow". By default nothing is slow. A duration under
// 1 ms or over a year is an error, and so is one that is not below the check's timeout, since it could never have an effect. Repeated
// use replaces.
func SlowAfter(d time.Duration) CheckOption {
	return func(c *checkConfig) error {
		c.slowAfter = d
		return validDuration("SlowAfter", d)
	}
}

// Optional is for a dependency that the service can do without: readiness doesn't depend on it (unless WithReadiness
// names it), and its failure makes the service degraded, not unhealthy.
func Optional() CheckOption {
	return func(c *checkConfig) error {
		c.optional = true
		return nil
	}
}

// FailureThreshold makes the first n-1 failures in a row a Warning, as a Kubernetes probe's failureThreshold does: for a dependency whose
// single failures are of no account. It holds only after a first success: what never worked is an Error at once. A run that is overdue
// counts as one more failure each freshness time. The default is 1. Less than 1 is an error. Repeated
// use replaces.
func FailureThreshold(n int) CheckOption {
	return func(c *checkConfig) error {
		c.failureThreshold = n
		return atLeastOne("FailureThreshold", n)
	}
}

// SuccessThreshold keeps an Error until there were n successes in a row, as a Kubernetes probe's successThreshold does. The first
// result of all counts at once. The default is 1. Less than 1 is an error. Repeated use replaces.
func SuccessThreshold(n int) CheckOption {
	return func(c *checkConfig) error {
		c.successThreshold = n
		return atLeastOne("SuccessThreshold", n)
	}
}

// WithCPUThreshold says at more than which percentage of cpu the metric is a warning, and at more than which critical: the
// service is degraded or unhealthy then, and its readiness the same as before. In a container with a quota the percentage is of
// the quota.
//
// Both are 0 to 100, or Never, and no fractions between 0 and 1; warning must not exceed critical. The default is (90, Never). Repeated use replaces.
func WithCPUThreshold(warning, critical float64) Option {
	return withPercentages("WithCPUThreshold", warning, critical, func(c *config) *levels { return &c.cpu })
}

// WithMemoryThreshold says at more than which percentage of memory in use the metric is a warning, and at more than which
// critical. In a container with a limit the percentage is of the limit.
//
// Both are 0 to 100, or Never, and no fractions between 0 and 1; warning must not exceed critical. The default is (90, Never). Repeated use replaces.
func WithMemoryThreshold(warning, critical float64) Option {
	return withPercentages("WithMemoryThreshold", warning, critical, func(c *config) *levels { return &c.memory })
}

// WithDiskThreshold says at more than which percentage of a disk in use the metric is a warning, and at more than which
// critical. It holds for every disk.
//
// Both are 0 to 100, or Never, and no fractions between 0 and 1; warning must not exceed critical. The default is (90, Never). Repeated use replaces.
func WithDiskThreshold(warning, critical float64) Option {
	return withPercentages("WithDiskThreshold", warning, critical, func(c *config) *levels { return &c.disk })
}

// WithConnectionsThreshold says at more than how many established TCP connections the metric is a warning, and at more than
// how many critical.
//
// Both are 0 or more, or Never; warning must not exceed critical. The default is (Never, Never). Repeated use replaces.
func WithConnectionsThreshold(warning, critical int) Option {
	return func(c *config) error {
		c.connections = levels{warning: float64(warning), critical: float64(critical)}
		c.systemOptions = append(c.systemOptions, "WithConnectionsThreshold")
		call := fmt.Sprintf("WithConnectionsThreshold(%d, %d)", warning, critical)
		if warning < 0 || critical < 0 {
			return fmt.Errorf("%s: a threshold is 0 or more, or Never", call)
		}
		return c.connections.validate(call)
	}
}

// WithDisk measures the file system that path is on, under this name. By default there is one, "disk", of "/".
// The same name replaces, another adds. The path is absolute; it need not exist yet. The name follows the rules of WithCheck.
func WithDisk(name, path string) Option {
	return func(c *config) error {
		c.systemOptions = append(c.systemOptions, "WithDisk")
		call := fmt.Sprintf("WithDisk(%q, %q)", name, path)
		if err := validName(call, name); err != nil {
			return err
		}
		if !filepath.IsAbs(path) && !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%s: a path is absolute", call)
		}
		c.setDisk(name, path)
		return nil
	}
}

// WithoutSystemMetrics leaves cpu, memory, the disks, connections and process out of the answers, and measures none of them. (process, which no
// other option is about, is a warning when more than 80 % of the files are open that it may open.)
// WithDisk and the metrics' thresholds are errors beside it.
func WithoutSystemMetrics() Option {
	return func(c *config) error {
		c.withoutSystem = true
		return nil
	}
}

// WithPrefix is the path below which the health endpoints are. The default is "/api/health". It begins with /, is not / alone,
// does not end with /, and holds no //, no segment . or .., none of ? # % : * { } \, no space and no control character, and is UTF-8. It
// is compared with the decoded path of a request, as it is. Repeated use replaces.
func WithPrefix(path string) Option {
	return func(c *config) error {
		c.prefix = path
		return validPath(fmt.Sprintf("WithPrefix(%q)", path), path)
	}
}

// WithTimeout is the timeout of those checks that set none. The default is 800 ms: a kubelet waits 1 s for the whole answer by
// default. A duration under 1 ms or over a year is an error. Repeated use replaces.
func WithTimeout(d time.Duration) Option {
	return func(c *config) error {
		c.timeout = d
		return validDuration("WithTimeout", d)
	}
}

// WithFreshness is how long one result serves, for those checks that set nothing else. The default is 1 s. A duration under 1 ms
// or over a year is an error. Repeated use replaces.
func WithFreshness(d time.Duration) Option {
	return func(c *config) error {
		c.freshness = d
		return validDuration("WithFreshness", d)
	}
}

// WithReadiness makes readiness depend on exactly these checks; with no names on none. By default it depends on every check
// that is not Optional. A name that no check has, and one that is named twice, are errors. Repeated use replaces.
func WithReadiness(names ...string) Option {
	names = append([]string{}, names...)
	return func(c *config) error {
		c.readiness = names
		return nil
	}
}

// WithLogger is where the changes of the checks and of readiness are logged. The default is slog.Default(), as it is at the
// moment of each record. A nil logger is an error. Repeated use replaces.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		if l == nil {
			return errors.New("WithLogger(nil): a logger is not nil; leave the option out for slog.Default()")
		}
		c.logger = l
		return nil
	}
}

// WithVersion adds "version" to the detailed answer. By default, and with an empty version, it is absent. Repeated use replaces.
func WithVersion(v string) Option {
	return func(c *config) error {
		c.version = v
		return nil
	}
}

// WithBackground adds a look of its own each interval, 10 % more or less, beginning 100 ms after New, for when there is
// no other: it runs every check whose result would not stay fresh until the next one has ended, and measures the system
// metrics. Nothing else changes: a request that finds no fresh result has the check run, and waits for it. For answers
// that never wait set WithFreshness, or FreshFor, to the interval, a tenth of it and the timeout, or more. The default is
// 0: no schedule. A duration under 1 ms, other than 0, or over a year is an error. The last use wins.
func WithBackground(interval time.Duration) Option {
	return func(c *config) error {
		c.interval = interval
		if interval == 0 {
			return nil
		}
		return validDuration("WithBackground", interval)
	}
}

// WithStartupGate keeps /startup/ and /ready/ at 503 until MarkStarted is called: for a service that has to load or migrate something
// first. Startup depends on the gate alone and never on a check. Middleware panics on it, since nobody could call MarkStarted.
func WithStartupGate() Option {
	return func(c *config) error {
		c.gated = true
		return nil
	}
}

// WithDrainDelay is how long Drain and Shutdown keep serving after readiness has become 503: until load balancers have taken
// notice. The default is 5 s; zero is no delay. Less than zero, a positive duration under 1 ms, and more than a year are errors. Repeated use replaces.
func WithDrainDelay(d time.Duration) Option {
	return func(c *config) error {
		c.drainDelay = d
		if d == 0 {
			return nil
		}
		return validDuration("WithDrainDelay", d)
	}
}

// WithGuard closes everything but live, ready and startup to requests that one of guards refuses: 401 where a token would help, else
// 403, the same for what exists and what doesn't. Readiness shows them the status alone. All guards must allow; repeated use is additive. No
// guard at all, a nil one, and one that is invalid, are errors.
func WithGuard(guards ...Guard) Option {
	guards = append([]Guard{}, guards...)
	return func(c *config) error {
		c.guards = append(c.guards, guards...)
		return validGuards("WithGuard", guards)
	}
}

// WithPublic names the endpoints that the middleware answers; the others are 404 there, and to be had through Private alone. With no names
// it answers none. By default it answers all. A name that is no endpoint is an error. Repeated use replaces.
func WithPublic(public ...Endpoint) Option {
	public = append([]Endpoint{}, public...)
	return func(c *config) error {
		c.public = public
		var errs []error
		for _, e := range public {
			errs = append(errs, e.validate("WithPublic"))
		}
		return errors.Join(errs...)
	}
}

// WithAlias answers an endpoint at another path too, such as "/readyz", with and without a trailing slash. The path follows the rules of
// WithPrefix, and is not below the prefix; Checks is many paths, and has no alias. Repeated use is additive; the same path twice is an
// error.
func WithAlias(path string, e Endpoint) Option {
	return func(c *config) error {
		call := fmt.Sprintf("WithAlias(%q, %q)", path, string(e))
		if err := validPath(call, path); err != nil {
			return err
		}
		if e == Checks {
			return fmt.Errorf("%s: an alias is for one answer, and checks are many", call)
		}
		if _, ok := c.aliases[path]; ok {
			return fmt.Errorf("%s: the path has an alias already", call)
		}
		c.aliases[path] = e
		return e.validate(call)
	}
}

// WithOnChange calls f for each change of a check, of a metric and of readiness: one call at a time, in order, on a
// goroutine that is not a request's, and under no lock, so that f may call any method of the Health but Close and
// Shutdown, which would wait for f. A function that needs the Health must not take it from the variable that New's result
// is assigned to, which may be unset still: give it to Health.OnChange instead. While f runs, the next changes wait; when
// more than a thousand do, the oldest are forgotten, and the log says so. A panic in f is logged. Nothing is told before
// New has returned, or once Close has.
//
// A check changes when it runs, which without WithBackground is when there is a look; see Health. Unlike the log, f is
// told every change of what flaps. Repeated use is additive. A nil function is an error.
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
				errs = append(errs, fmt.Errorf("%s: check option %d is nil", call, i+1))
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
				return fmt.Errorf("%s: a percentage must not be a fraction: write %s for %s", call, percent(v), fmt.Sprint(v))
			}
		}
		return l.validate(call)
	}
}

// levels are the two thresholds of a metric; they are crossed by more than them.
type levels struct{ warning, critical float64 }

func (l levels) validate(call string) error {
	if l.warning > l.critical && l.warning != Never {
		return fmt.Errorf("%s: warning must not exceed critical", call)
	}
	return nil
}

// percent writes a fraction as the percentage that was meant.
func percent(fraction float64) string { return fmt.Sprint(math.Round(fraction*1e4) / 1e2) }

// threshold writes a level as the user did.
func threshold(v float64) string {
	if v == Never {
		return "Never"
	}
	return fmt.Sprint(v)
}
