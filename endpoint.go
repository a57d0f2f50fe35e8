package echohealth

import (
	"fmt"
	"slices"
)

// Endpoint is one kind of answer: for WithPublic and WithAlias.
type Endpoint string

// The endpoints.
const (
	Live     Endpoint = "live"     // /live/
	Ready    Endpoint = "ready"    // /ready/
	Startup  Endpoint = "startup"  // /startup/
	Detailed Endpoint = "detailed" // /detailed/
	Index    Endpoint = "index"    // the prefix itself
	Checks   Endpoint = "checks"   // /checks/NAME/, all of them

	Prometheus Endpoint = "prometheus" // /prometheus/, with WithPrometheus
	History    Endpoint = "history"    // /history/, with WithHistory
	Badge      Endpoint = "badge.svg"  // /badge.svg, with WithPage
)

var endpoints = []Endpoint{Live, Ready, Startup, Detailed, Index, Checks, Prometheus, History, Badge}

// option returns the option that adds the endpoint, or "" if it is always there.
func (e Endpoint) option() string {
	switch e {
	case Prometheus:
		return "WithPrometheus"
	case History:
		return "WithHistory"
	case Badge:
		return "WithPage"
	}
	return ""
}

func (e Endpoint) validate(call string) error {
	if slices.Contains(endpoints, e) {
		return nil
	}
	return fmt.Errorf("%s: %q is none of the endpoints %q", call, string(e), endpoints)
}
