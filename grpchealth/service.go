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

// service is something that a client may ask for.
type service struct {
	kind     kind
	name     string
	endpoint echohealth.Endpoint // that shows the same
	checks   []string            // of a group or a check
}

type kind int

const (
	readiness kind = iota
	liveness
	group
	check
)

// open reports whether every client sees it.
func (s *service) open() bool { return s.kind == readiness || s.kind == liveness }

// look runs what is due, and waits for what the service depends on.
func (s *service) look(ctx context.Context, h *echohealth.Health) (answer servingStatus, err error) {
	switch s.kind {
	case readiness:
		answer = statusOf(h.Ready(ctx))
	case liveness:
		return statusOf(h.Alive()), nil
	default:
		for _, name := range s.checks { // the first starts them all
			if _, err := h.Check(ctx, name); err != nil {
				return unknown, err
			}
		}
		report := h.Last()
		answer = s.in(&report, true)
	}
	// What has not finished then is an error for this client alone, and it does not wait for the answer.
	if err := ctx.Err(); err != nil {
		return unknown, status.FromContextError(err).Err()
	}
	return answer, nil
}

// in returns what a report says of the service.
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
				return statusOf(c.Status == probes.OK || c.Status == probes.Warning)
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
