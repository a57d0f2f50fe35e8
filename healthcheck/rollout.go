package healthcheck

import (
	"errors"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/rollout"
)

// parseRollout parses the arguments of rollout.
func parseRollout(args []string) (action, error) {
	s := rollout.Settings{Connections: 100, Rate: 200, Duration: time.Hour}
	a := newArguments()
	a.number("connections", &s.Connections, 1000)
	a.number("rate", &s.Rate, 10_000)
	a.duration("duration", &s.Duration, time.Millisecond, time.Hour)
	if err := a.parse(args); err != nil {
		return nil, err
	}
	if len(a.urls) > 1 {
		return nil, errors.New("rollout takes one URL")
	}
	s.Request = a.request
	s.Target = a.targets[0].OrBelow("live/")
	return untilSignal(s.Run), nil
}
