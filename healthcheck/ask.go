package healthcheck

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/conformance"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/watch"
)

// askSettings holds what the flags set in every form of the command except rollout.
type askSettings struct {
	request  client.Settings
	failOn   health.Level
	interval time.Duration
	json     bool
}

// endpointFlags are the flags that choose an endpoint. path is the endpoint's path below the prefix. If named
// is true, the flag's value is the name of a check or a group, which is appended to path.
var endpointFlags = []struct {
	flag, path string
	named      bool
}{
	{flag: "live", path: "live/"},
	{flag: "ready", path: "ready/"},
	{flag: "startup", path: "startup/"},
	{flag: "detailed", path: "detailed/"},
	{flag: "check", path: "checks/", named: true},
	{flag: "group", path: "groups/", named: true},
}

// parseAsk parses the arguments of every form of the command except rollout.
func parseAsk(args []string) (action, error) {
	s := &askSettings{failOn: health.Failing, interval: 2 * time.Second}
	a := newArguments()
	for _, e := range endpointFlags {
		if e.named {
			a.String(e.flag, "", "")
		} else {
			a.Bool(e.flag, false, "")
		}
	}
	a.setting("fail-on", s.setFailOn)
	a.duration("interval", &s.interval, 100*time.Millisecond, time.Hour)
	a.BoolVar(&s.json, "json", false, "")
	a.Bool("watch", false, "")
	a.Bool("all", false, "")
	if err := a.parse(args); err != nil {
		return nil, err
	}
	s.request = a.request
	endpoint, err := chosenEndpoint(a)
	if err != nil {
		return nil, err
	}
	return s.act(a, endpoint)
}

func (s *askSettings) setFailOn(word string) error {
	switch word {
	case "error":
		s.failOn = health.Failing
	case "warning":
		s.failOn = health.Warning
	default:
		return errors.New("it must be error or warning")
	}
	return nil
}

// chosenEndpoint returns the path of the endpoint that the flags choose. It returns "" if no flag chooses
// one.
func chosenEndpoint(a *arguments) (string, error) {
	var chosen []string
	path := ""
	for _, e := range endpointFlags {
		name := a.Lookup(e.flag).Value.String()
		switch {
		case e.named && !a.given(e.flag), !e.named && !a.on(e.flag):
			continue
		case e.named && !health.IsCheckName(name):
			const rule = "--%s: the name %q must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}"
			return "", fmt.Errorf(rule, e.flag, client.Mask(name))
		case e.named:
			path = e.path + name + "/"
		default:
			path = e.path
		}
		chosen = append(chosen, "--"+e.flag)
	}
	if len(chosen) > 1 {
		return "", fmt.Errorf("%s must not be given together: choose one", strings.Join(chosen, " and "))
	}
	return path, nil
}

// act returns the action that the flags choose. It returns an error if a flag would have no effect.
func (s *askSettings) act(a *arguments, endpoint string) (action, error) {
	watches, tests := a.on("watch"), a.on("all")
	switch {
	case watches && tests, watches && s.json, tests && s.json:
		return nil, errors.New("--watch, --all and --json must not be given together: choose one")
	case tests && endpoint != "":
		return nil, errors.New("--all asks every endpoint: don't choose one")
	case tests && len(a.urls) > 1:
		return nil, errors.New("--all takes one URL")
	case !watches && a.given("interval"):
		return nil, errors.New("--interval is for --watch")
	}
	targets := a.targets
	if tests {
		return conformance.Test{Request: s.request, Target: targets[0], FailOn: s.failOn}.Run, nil
	}
	for i, t := range targets {
		targets[i] = chooseEndpoint(t, endpoint)
	}
	if watches {
		w := watch.Settings{Request: s.request, Targets: targets, FailOn: s.failOn, Interval: s.interval}
		return untilSignal(w.Run), nil
	}
	return single{request: s.request, targets: targets, failOn: s.failOn, json: s.json}.run, nil
}

// chooseEndpoint returns t with the URL of the chosen endpoint. The path in t's URL is then the prefix. If no
// endpoint is chosen, chooseEndpoint returns t unchanged, or with the URL of readiness if t's URL has no
// path.
func chooseEndpoint(t client.Target, endpoint string) client.Target {
	if endpoint == "" {
		return t.OrBelow("ready/")
	}
	return t.Below(endpoint)
}
