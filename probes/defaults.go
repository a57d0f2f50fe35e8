package probes

import "time"

// Defaults are the settings that a probe chooses for its check. They replace the defaults of the health
// checks, and the options of the check replace them. A zero field sets nothing. A probe has Defaults if it
// has a method Defaults() Defaults. The method is called once, at construction of the health checks.
type Defaults struct {
	// FreshFor is how long a result of the check is fresh, which means that it is used without a new run. Set it
	// if what the probe checks changes rarely, or if a run is expensive. The check option FreshFor replaces both
	// FreshFor and RetryAfter. A duration under 1 ms or over a year is an error at construction of the health
	// checks.
	FreshFor time.Duration

	// RetryAfter is how long the result of a run that failed is fresh, if that is shorter than FreshFor. Without
	// it, one lost packet is an error for as long as FreshFor. If it is set, FreshFor must be set too. A
	// duration under 1 ms or over a year is an error at construction of the health checks.
	RetryAfter time.Duration

	// Optional makes the check optional, as the check option Optional does. Readiness does not depend on the
	// check, unless WithReadiness names it. A failure of the check makes the service degraded instead of
	// unhealthy.
	Optional bool
}
