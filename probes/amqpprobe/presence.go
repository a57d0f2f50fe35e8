package amqpprobe

import (
	"fmt"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// presence distinguishes an application that has not connected yet from one that has lost its connection or
// channel.
type presence struct {
	had   bool      // the application has had a connection or channel
	began time.Time // time of the first check without a connection or channel
}

// startLimit is how long after the first check an application without a connection is regarded as starting.
const startLimit = 30 * time.Second

// absent returns the error of an application without a connection or channel. The argument what is
// "connection" or "channel".
func (p *presence) absent(what string) error {
	now := time.Now()
	if p.began.IsZero() {
		p.began = now
	}
	switch {
	case p.had:
		return probes.Fail(probes.ReasonConnectionLost, fmt.Errorf("the application has no %s", what))
	case now.Sub(p.began) < startLimit:
		return probes.Warn(probes.ReasonDependencyStarting, fmt.Errorf("the application has no %s yet", what))
	}
	return probes.Fail(probes.ReasonConnectionLost,
		fmt.Errorf("the application has had no %s within %s of the first check", what, startLimit))
}
