package grpchealth

import (
	"context"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

type servingStatus = grpc_health_v1.HealthCheckResponse_ServingStatus

const (
	serving    = grpc_health_v1.HealthCheckResponse_SERVING
	notServing = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	unknown    = grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
)

// service is a name that a client may ask for.
type service struct {
	kind     kind
	name     string
	endpoint echohealth.Endpoint // the endpoint that shows the group or the check
	checks   []string            // the checks of the group, or the check itself
}

type kind int

const (
	readiness kind = iota
	liveness
	group
	check
)

// open reports whether every client may see the service.
func (s *service) open() bool { return s.kind == readiness || s.kind == liveness }

// look runs the due checks, waits for those of the service, and returns its status. If ctx ends first, look
// returns the error of ctx, because the status would then count unfinished checks as errors.
func (s *service) look(ctx context.Context, h *echohealth.Health) (answer servingStatus, err error) {
	switch s.kind {
	case readiness:
		answer = statusOf(h.Ready(ctx))
	case liveness:
		return statusOf(h.Alive()), nil
	default:
		if s.kind == group && draining(h) {
			return notServing, nil // without a run, as at the endpoint of a group
		}
		for _, name := range s.checks { // the first call starts all due checks
			found, err := h.Check(ctx, name)
			if err != nil {
				return unknown, err
			}
			answer = statusOfCheck(found.Status)
		}
	}
	if err := ctx.Err(); err != nil {
		return unknown, status.FromContextError(err).Err()
	}
	if s.kind == group {
		report := h.Last() // the status of a group also depends on the phase
		answer = s.in(&report, true)
	}
	return answer, nil
}

func draining(h *echohealth.Health) bool { return h.Last().Phase == "draining" }

// in returns the status of the service in a report.
func (s *service) in(r *echohealth.Report, alive bool) servingStatus {
	switch s.kind {
	case readiness:
		return statusOf(r.Ready)
	case liveness:
		return statusOf(alive)
	case group:
		for _, g := range r.Groups {
			if g.Name == s.name {
				return statusOf(g.Ready)
			}
		}
	case check:
		for _, c := range r.Checks {
			if c.Name == s.name {
				return statusOfCheck(c.Status)
			}
		}
	}
	return unknown
}

func statusOf(good bool) servingStatus {
	if good {
		return serving
	}
	return notServing
}

// statusOfCheck returns the status of a check. s is empty as long as the check has no result.
func statusOfCheck(s probes.Status) servingStatus {
	return statusOf(s == probes.OK || s == probes.Warning)
}
