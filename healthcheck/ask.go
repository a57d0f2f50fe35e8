package healthcheck

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// askSettings is what the command was asked to do, but for rollout.
type askSettings struct {
	request  requestSettings
	targets  []target
	failOn   level
	interval time.Duration
	json     bool
}

// endpointFlags are the flags that choose an endpoint, with its path below the prefix.
var endpointFlags = []struct{ flag, path string }{
	{"live", "live/"}, {"ready", "ready/"}, {"startup", "startup/"}, {"detailed", "detailed/"}, {"check", "checks/"},
}

// parseAsk reads the arguments of the command.
func parseAsk(args []string) (action, error) {
	s := &askSettings{failOn: failing, interval: 2 * time.Second}
	a := newArguments()
	for _, e := range endpointFlags[:4] {
		a.Bool(e.flag, false, "")
	}
	name := a.String("check", "", "")
	a.setting("fail-on", s.setFailOn)
	a.duration("interval", &s.interval, 100*time.Millisecond, time.Hour)
	a.BoolVar(&s.json, "json", false, "")
	a.Bool("watch", false, "")
	a.Bool("all", false, "")
	if err := a.parse(args); err != nil {
		return nil, err
	}
	s.request = a.request
	endpoint, err := chosenEndpoint(a, *name)
	if err != nil {
		return nil, err
	}
	return s.act(a, endpoint)
}

func (s *askSettings) setFailOn(word string) error {
	switch word {
	case "error":
		s.failOn = failing
	case "warning":
		s.failOn = warning
	default:
		return errors.New("it is error or warning")
	}
	return nil
}

// on reports whether a flag of the kind that is on or off is on.
func (a *arguments) on(name string) bool { return a.Lookup(name).Value.String() == "true" }

// chosenEndpoint is the path of what is to be asked for, empty without a choice.
func chosenEndpoint(a *arguments, name string) (string, error) {
	var chosen []string
	path := ""
	for _, e := range endpointFlags {
		if e.flag == "check" && a.given("check") || e.flag != "check" && a.on(e.flag) {
			chosen = append(chosen, "--"+e.flag)
			path = e.path
		}
	}
	switch {
	case len(chosen) > 1:
		return "", fmt.Errorf("%s can't be had together: choose one", strings.Join(chosen, " and "))
	case a.given("check") && !isName(name):
		return "", fmt.Errorf("--check: a check's name matches [A-Za-z0-9][A-Za-z0-9._-]{0,63}, and %q does not", masked(name))
	case a.given("check"):
		path += name + "/"
	}
	return path, nil
}

// act chooses what to do, and refuses flags that would have no effect.
func (s *askSettings) act(a *arguments, endpoint string) (action, error) {
	watch, all := a.on("watch"), a.on("all")
	switch {
	case watch && all, watch && s.json, all && s.json:
		return nil, errors.New("--watch, --all and --json can't be had together: choose one")
	case all && endpoint != "":
		return nil, errors.New("--all asks every endpoint: don't choose one")
	case all && len(a.urls) > 1:
		return nil, errors.New("--all takes one URL")
	case !watch && a.given("interval"):
		return nil, errors.New("--interval is for --watch")
	}
	for _, raw := range a.urls {
		t, err := parseTarget(raw)
		if err != nil {
			return nil, err
		}
		if !all {
			t = t.asked(endpoint)
		}
		s.targets = append(s.targets, t)
	}
	switch {
	case watch:
		return s.watch, nil
	case all:
		return s.exam, nil
	}
	return s.once, nil
}

// asked applies the rule of the usage: a chosen endpoint is below the URL's path; without a choice the path is asked as it is, and
// without a path readiness.
func (t target) asked(endpoint string) target {
	if endpoint == "" {
		return t.or("ready/")
	}
	return t.below(endpoint)
}
