package echohealth

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
)

// WithGroup adds a group of checks for a part of the service, such as its payments. /groups/NAME/ below the
// prefix answers as /ready/ does, but for exactly these checks: 503 while one of them is an Error, and while
// the service starts or drains. WithGuard applies. Health.Available reports in code whether no check of the
// group is an Error. A check may be in several groups. Groups have no effect on readiness.
//
// The name must follow the rules of WithCheck and must not be that of a check. A group must have at least one
// check. An unknown check, a check that is given twice and a second group with the same name are errors. Each
// use with another name adds a group.
func WithGroup(name string, checks ...string) Option {
	checks = slices.Clone(checks)
	return func(c *config) error {
		call := fmt.Sprintf("WithGroup(%q)", name)
		if c.has(Group(name)) {
			return fmt.Errorf("%s: the name is used twice", call)
		}
		c.addFeature(Group(name), func(m *monitor, r *router, _ *notifier) any {
			g := &group{name: name, names: checks, checks: m.named(checks)}
			m.groups = append(m.groups, g)
			m.reportGroups = reportGroups
			route := groupRoute(m, g, false)
			route.withErrors = groupRoute(m, g, true)
			r.add("/"+string(Group(name)), route)
			return nil
		})
		c.rules = append(c.rules, func(names map[string]bool) []error {
			return validateGroup(call, name, checks, names)
		})
		return nil
	}
}

func validateGroup(call, name string, checks []string, names map[string]bool) []error {
	errs := validateNames(call, "a group depends on", checks, names)
	switch {
	case !wellFormed(name):
		errs = append(errs, fmt.Errorf("%s: the name must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}", call))
	case names[name]:
		errs = append(errs, fmt.Errorf("%s: the name must not be that of a check", call))
	case len(checks) == 0:
		errs = append(errs, fmt.Errorf("%s: a group must have at least one check", call))
	}
	return errs
}

func groupRoute(m *monitor, g *group, showErrors bool) *route {
	return &route{endpoint: Group(g.name), answerer: readyAnswer(m, g.checks, showErrors)}
}

// reportGroups returns the state of each group. results are those of m.checks.
func reportGroups(m *monitor, phase phase, results []*engine.Result) (reports []GroupReport) {
	for _, g := range m.groups {
		own := make([]*engine.Result, len(g.checks))
		for i, check := range g.checks {
			own[i] = results[slices.Index(m.checks, check)]
		}
		reports = append(reports, GroupReport{Name: g.name, Ready: phase.ready(own), Checks: slices.Clone(g.names)})
	}
	return reports
}

// oldest is the maximum age of a result that available uses although it is not fresh. A fresh result may be
// older if the check's freshness is longer. A call starts a run and does not wait for it. So even if calls
// are a minute apart, each can use the result of the run that the previous call started.
const oldest = time.Minute

// available reports whether no check's last result is an Error. It starts the due checks. It waits for a
// check only if the check has no result, or if the result is not fresh and older than oldest.
func (g *group) available(ctx context.Context, e *engine.Engine) bool {
	if e.Closed() {
		return false
	}
	now, good, wait := time.Now(), true, false
	for _, check := range g.checks {
		result := check.Recent(now, oldest)
		wait = wait || result == nil
		good = good && (result == nil || result.Status != probes.Error)
	}
	if !good || !wait {
		return good
	}
	return running.ready(e.Collect(ctx, g.checks).Results)
}
