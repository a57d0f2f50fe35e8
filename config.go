package echohealth

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/sysmetrics"
)

// config holds the values of the options.
type config struct {
	prefix        string
	timeout       time.Duration
	freshness     time.Duration
	checks        []checkConfig
	readiness     []string // nil: every check that is not optional
	logger        *slog.Logger
	version       string
	gated         bool // there is a startup gate
	drainDelay    time.Duration
	interval      time.Duration // of WithBackground; zero: not used
	onChange      []func(Change)
	guards        []Guard
	public        []Endpoint // nil: all
	aliases       map[string]Endpoint
	features      []feature
	rules         []func(names map[string]bool) []error // validate what depends on other options
	heartbeats    []heartbeat                           // of WithLiveness
	withoutSystem bool
	systemOptions []string // used options that contradict WithoutSystemMetrics
	disks         []sysmetrics.DiskPath

	cpu, memory, disk, connections levels
}

// feature is an endpoint that an option adds. Only that option refers to the endpoint's code, so that the
// linker leaves the code out of programs that do not use the option.
type feature struct {
	endpoint Endpoint
	add      any // a func(*monitor, *router, *notifier) any that New calls; config must not name these types
}

// addFeature adds a feature, unless an option has already added the endpoint.
func (c *config) addFeature(e Endpoint, add any) {
	if !c.has(e) {
		c.features = append(c.features, feature{e, add})
	}
}

// has reports whether an option has added the endpoint.
func (c *config) has(e Endpoint) bool {
	return slices.ContainsFunc(c.features, func(f feature) bool {
		return f.endpoint == e || e == Groups && f.endpoint.isGroup()
	})
}

// heartbeat is implemented by *probes.Heartbeat. If config named that type, it would be linked into every
// program.
type heartbeat interface {
	probes.Probe
	Deadline(from time.Time) time.Time
}

// checkConfig holds the options of one check. A zero duration means the default.
type checkConfig struct {
	option, name string
	probe        probes.Probe
	timeout      time.Duration
	freshness    time.Duration
	retryAfter   time.Duration // zero: freshness
	slowAfter    time.Duration
	optional     bool

	failureThreshold, successThreshold int
}

// configure applies the options. Its error joins all errors of the options.
func configure(opts []Option) (*config, error) {
	c := &config{
		prefix:      "/api/health",
		timeout:     800 * time.Millisecond,
		freshness:   time.Second,
		drainDelay:  5 * time.Second,
		aliases:     map[string]Endpoint{},
		disks:       []sysmetrics.DiskPath{{Name: "disk", Path: "/"}},
		cpu:         levels{90, Never},
		memory:      levels{90, Never},
		disk:        levels{90, Never},
		connections: levels{Never, Never},
	}
	var errs []error
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, fmt.Errorf("option %d must not be nil", i+1))
			continue
		}
		errs = append(errs, opt(c))
	}
	errs = append(errs, c.validate())
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("echohealth: %w", err)
	}
	return c, nil
}

// validate applies the rules that concern more than one option.
func (c *config) validate() error {
	names := map[string]bool{}
	errs := c.validateChecks(names)
	for _, rule := range c.rules {
		errs = append(errs, rule(names)...)
	}
	if c.withoutSystem && len(c.systemOptions) > 0 {
		errs = append(errs, fmt.Errorf("WithoutSystemMetrics: nothing is measured, so %s can have no effect",
			c.systemOptions[0]))
	}
	return errors.Join(errs...)
}

// validateChecks validates the checks, sets their defaults, and adds their names to names.
func (c *config) validateChecks(names map[string]bool) (errs []error) {
	for i := range c.checks {
		check := &c.checks[i]
		if names[check.name] {
			errs = append(errs, fmt.Errorf("%s: the name %q is used twice", check.call(), check.name))
		}
		names[check.name] = true
		errs = append(errs, c.complete(check))
	}
	for _, disk := range c.disks {
		if names[disk.Name] {
			errs = append(errs, fmt.Errorf("the name %q is reserved for a disk", disk.Name))
		}
	}
	return errs
}

// validateNames returns an error for each of the given names that is not in names, or that is given twice.
// rule is the beginning of the rule in the error, such as "readiness depends on".
func validateNames(call, rule string, given []string, names map[string]bool) (errs []error) {
	for i, name := range given {
		if !names[name] {
			errs = append(errs, fmt.Errorf("%s: there is no check %q; "+
				"%s configured checks, never on system metrics", call, name, rule))
		}
		if slices.Contains(given[:i], name) {
			errs = append(errs, fmt.Errorf("%s: the check %q is named twice", call, name))
		}
	}
	return errs
}

// validateOffer returns an error if the endpoint needs an option which is missing.
func (c *config) validateOffer(call string, e Endpoint) error {
	if e.option() == "" || c.has(e) {
		return nil
	}
	return fmt.Errorf("%s: the endpoint %q needs %s", call, e, e.option())
}

func (c *config) validateAlias(path string, e Endpoint) (errs []error) {
	call := fmt.Sprintf("WithAlias(%q, %q)", path, e)
	if !slices.Contains(c.public, e) {
		errs = append(errs, c.validateOffer(call, e))
	}
	if !c.isPublic(e) {
		errs = append(errs, fmt.Errorf("%s: the endpoint must be one of WithPublic's, "+
			"or the middleware would answer 404 here", call))
	}
	if path == c.prefix || strings.HasPrefix(path, c.prefix+"/") {
		errs = append(errs, fmt.Errorf("%s: an alias must not be below the prefix, which is %q", call, c.prefix))
	}
	return errs
}

// complete sets the unset values of a check: from the Defaults of its probe, or else from the options for all
// checks.
func (c *config) complete(check *checkConfig) error {
	err := check.applyDefaults()
	if check.timeout == 0 {
		check.timeout = c.timeout
	}
	if check.freshness == 0 {
		check.freshness = c.freshness
	}
	if check.slowAfter >= check.timeout && check.timeout > 0 {
		err = errors.Join(err, fmt.Errorf("%s: SlowAfter(%s): it must be below the timeout, which is %s",
			check.call(), check.slowAfter, check.timeout))
	}
	return err
}

// isSwitch reports whether the probe is a *probes.Switch, by its methods. A type assertion to *probes.Switch
// would link the type into programs without a switch.
func (c *checkConfig) isSwitch() bool {
	_, ok := c.probe.(interface {
		Off(probes.Reason)
		On()
	})
	return ok
}

// applyDefaults takes from the probe's Defaults the values that no option has set.
func (c *checkConfig) applyDefaults() error {
	defaults, err := defaultsOf(c.probe)
	if err != nil {
		return fmt.Errorf("%s: %w", c.call(), err)
	}
	c.optional = c.optional || defaults.Optional
	if c.freshness == 0 {
		c.freshness, c.retryAfter = defaults.FreshFor, defaults.RetryAfter
	}
	return nil
}

// call returns the check's option as errors quote it.
func (c *checkConfig) call() string {
	if c.option == "WithCheck" {
		return fmt.Sprintf("WithCheck(%q)", c.name)
	}
	return c.option
}

// setDisk replaces the disk of this name, or adds one.
func (c *config) setDisk(name, path string) {
	disk := sysmetrics.DiskPath{Name: name, Path: path}
	for i := range c.disks {
		if c.disks[i].Name == name {
			c.disks[i] = disk
			return
		}
	}
	c.disks = append(c.disks, disk)
}

// engineConfigs returns the engine's configuration of each check.
func (c *config) engineConfigs() []engine.Config {
	configs := make([]engine.Config, len(c.checks))
	for i, check := range c.checks {
		configs[i] = engine.Config{
			Name:      check.name,
			Probe:     check.probe,
			Timeout:   check.timeout,
			Freshness: check.freshness,
			SlowAfter: check.slowAfter,

			RetryAfter: check.retryAfter,

			FailureThreshold: check.failureThreshold,
			SuccessThreshold: check.successThreshold,
		}
	}
	return configs
}

// gates reports whether readiness depends on check.
func (c *config) gates(check checkConfig) bool {
	if c.readiness == nil {
		return !check.optional
	}
	return slices.Contains(c.readiness, check.name)
}

// offers reports whether the endpoint exists.
func (c *config) offers(e Endpoint) bool {
	if e.option() != "" {
		return c.has(e)
	}
	return slices.Contains(endpoints, e)
}

// isPublic reports whether the middleware answers an endpoint.
func (c *config) isPublic(e Endpoint) bool {
	return c.public == nil || slices.Contains(c.public, e) || e.isGroup() && slices.Contains(c.public, Groups)
}

// longestTimeout returns the longest timeout of the checks, or zero if there are no checks.
func (c *config) longestTimeout() (longest time.Duration) {
	for i := range c.checks {
		longest = max(longest, c.checks[i].timeout)
	}
	return longest
}
