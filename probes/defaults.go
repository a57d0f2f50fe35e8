package probes

import "time"

// Defaults are what a probe sets for its check in place of the defaults of the health checks. A zero field
// sets nothing. A probe has them if it has a method Defaults() Defaults, which is called once at
// construction. The options of the check replace them.
type Defaults struct {
	// FreshFor is how long a result of the check serves. It is for a probe of something that changes rarely,
	// or that costs much to ask. The check option FreshFor replaces it, and RetryAfter too. A duration under
	// 1 ms or over a year is an error at construction of the health checks.
	FreshFor time.Duration

	// RetryAfter is how long the result of a run that failed serves, if that is shorter than FreshFor. It
	// keeps one lost packet from being an error for as long as FreshFor. It needs FreshFor. A duration under
	// 1 ms or over a year is an error at construction of the health checks.
	RetryAfter time.Duration

	// Optional makes the check Optional, as the check option of this name does: readiness does not depend on
	// it, unless WithReadiness names it, and its failure makes the service degraded instead of unhealthy.
	Optional bool
}
