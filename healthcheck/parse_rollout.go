package healthcheck

import (
	"errors"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
)

// parseRollout reads the arguments of healthcheck rollout.
func parseRollout(args []string) (action, error) {
	s := rolloutSettings{connections: 100, rate: 200, duration: time.Hour}
	a := newArguments()
	a.number("connections", &s.connections, 1000)
	a.number("rate", &s.rate, 10_000)
	a.duration("duration", &s.duration, time.Millisecond, time.Hour)
	if err := a.parse(args); err != nil {
		return nil, err
	}
	if len(a.urls) > 1 {
		return nil, errors.New("rollout takes one URL")
	}
	t, err := client.ParseTarget(a.urls[0])
	if err != nil {
		return nil, err
	}
	s.request = a.request
	s.target = t.OrBelow("live/")
	return untilSignal(s.run), nil
}
