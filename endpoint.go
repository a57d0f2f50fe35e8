package echohealth

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Endpoint names a kind of answer. WithPublic, WithAlias and Health.Shows take it as an argument.
type Endpoint string

// The endpoints.
const (
	Live     Endpoint = "live"     // /live/
	Ready    Endpoint = "ready"    // /ready/
	Startup  Endpoint = "startup"  // /startup/
	Detailed Endpoint = "detailed" // /detailed/
	Index    Endpoint = "index"    // the prefix itself
	Checks   Endpoint = "checks"   // /checks/NAME/, all of them

	Groups     Endpoint = "groups"     // /groups/NAME/, all of them, with WithGroup
	Prometheus Endpoint = "prometheus" // /prometheus/, with WithPrometheus
	History    Endpoint = "history"    // /history/, with WithHistory
	Badge      Endpoint = "badge.svg"  // /badge.svg, with WithPage
)

var endpoints = []Endpoint{Live, Ready, Startup, Detailed, Index, Checks, Groups, Prometheus, History, Badge}

// Group returns the endpoint of one group of WithGroup, /groups/NAME/.
func Group(name string) Endpoint { return groupPrefix + Endpoint(name) }

const groupPrefix = Groups + "/"

// isGroup reports whether e is the endpoint of one group.
func (e Endpoint) isGroup() bool { return strings.HasPrefix(string(e), string(groupPrefix)) }

// option returns the option that adds the endpoint, or "" if the endpoint needs no option.
func (e Endpoint) option() string {
	if e.isGroup() {
		return "WithGroup(" + strconv.Quote(string(e[len(groupPrefix):])) + ", …)"
	}
	switch e {
	case Groups:
		return "WithGroup"
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
	if e.isGroup() || slices.Contains(endpoints, e) {
		return nil
	}
	return fmt.Errorf("%s: %q is none of the endpoints %q", call, string(e), endpoints)
}
