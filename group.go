package echohealth

import (
	"fmt"
	"slices"

	"github.com/echo-probes/echohealth/internal/engine"
)

// WithGroup answers /groups/NAME/ below the prefix as /ready/ is answered, but for exactly these checks: 503
// while one of them is an Error, and while the service starts or drains. A group is for a part of the
// service, such as its payments. Health.Available says the same in code. WithGuard applies. A check may be
// in several groups, and this changes nothing else: readiness does not depend on groups.
//
// The name must follow the rules of WithCheck and must not be that of a check. A group must have at least
// one check. An unknown check, a check that is given twice and a second group with the same name are
// errors. Another name adds a group.
func WithGroup(name string, checks ...string) Option {
	checks = slices.Clone(checks)
	call := fmt.Sprintf("WithGroup(%q)", name)
	return func(c *config) error {
		if c.has(Group(name)) {
			return fmt.Errorf("%s: the name is used twice", call)
		}
		c.rules = append(c.rules, func(names map[string]bool) []error {
			errs := validateNames(call, "a group depends on", checks, names)
			return append(errs, validateGroup(call, name, checks, names))
		})
		c.addFeature(Group(name), func(m *monitor, r *router, _ *notifier) any {
			addGroup(m, r, name, checks)
			return nil
		})
		return nil
	}
}

func validateGroup(call, name string, checks []string, names map[string]bool) error {
	switch {
	case !wellFormed(name):
		return fmt.Errorf("%s: the name must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}", call)
	case names[name]:
		return fmt.Errorf("%s: the name must not be that of a check", call)
	case len(checks) == 0:
		return fmt.Errorf("%s: a group must have at least one check", call)
	}
	return nil
}

// addGroup adds a group of the checks with these names, and its endpoint.
func addGroup(m *monitor, r *router, name string, names []string) {
	g := group{name: name}
	for _, name := range names {
		i := slices.IndexFunc(m.checks, func(c *engine.Check) bool { return c.Name == name })
		g.checks = append(g.checks, m.checks[i])
	}
	m.groups = append(m.groups, g)
	m.judgeGroups = m.groupReports
	e := Group(name)
	r.add("/"+string(e), &route{
		endpoint: e, answerer: readyAnswer(m, g.checks, false), showing: readyAnswer(m, g.checks, true),
	})
}

// groupReports judges the groups by the results of all checks.
func (m *monitor) groupReports(phase phase, results []*engine.Result) (reports []GroupReport) {
	for _, group := range m.groups {
		report := GroupReport{Name: group.name}
		var own []*engine.Result
		for _, check := range group.checks {
			report.Checks = append(report.Checks, check.Name)
			own = append(own, results[slices.Index(m.checks, check)])
		}
		report.Ready = phase.ready(own)
		reports = append(reports, report)
	}
	return reports
}
