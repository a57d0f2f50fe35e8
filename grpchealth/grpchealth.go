// Package grpchealth answers grpc.health.v1, the health checking protocol of gRPC, with the results of a
// Health:
//
//	grpc_health_v1.RegisterHealthServer(server, grpchealth.New(health))
//
// The package is a module of its own, so that only a service that imports it links gRPC.
package grpchealth

import (
	"context"
	"fmt"

	"github.com/echo-probes/echohealth"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// Liveness is the name of the service whose status is Health.Alive.
const Liveness = "liveness"

// maxServices is the maximum number of services in an answer of List, the same as in grpc-go's own health
// server.
const maxServices = 100

// Server implements the service grpc.health.v1.Health. Make one with New, for any number of grpc.Servers. Its
// methods may be called from any goroutine. It has one goroutine while there are calls of Watch, and none
// otherwise.
type Server struct {
	grpc_health_v1.UnimplementedHealthServer
	health   *echohealth.Health
	order    []*service
	services map[string]*service
	watchers watchers
}

// New returns a Server that answers for h. These are its services:
//
//   - "" is what /ready/ answers, and Liveness is what /live/ answers. Every client sees them.
//   - Each group of WithGroup and each check has its own name. A check is SERVING unless it is an Error.
//
// System metrics are not services. A client sees a group or a check only if the middleware would show it
// under WithPublic and WithGuard; its endpoint is Group(name) or Checks. For any other client the service
// does not exist. The guards are asked when a call begins. They get an http.Request whose header is the
// metadata of the call, and whose path is the gRPC method, such as /grpc.health.v1.Health/Check. It has the
// client's address and the state of the TLS connection.
//
// New panics if h is nil, or if h has a group or a check with the name "liveness", because that name is taken
// by Liveness.
func New(h *echohealth.Health) *Server {
	if h == nil {
		panic("grpchealth: New(nil): the Health must not be nil")
	}
	s := &Server{health: h, services: map[string]*service{}}
	s.watchers.health = h
	s.add(&service{kind: readiness})
	s.add(&service{kind: liveness, name: Liveness})
	report := h.Last()
	for _, g := range report.Groups {
		refuseLiveness("group", g.Name)
		s.add(&service{kind: group, name: g.Name, endpoint: echohealth.Group(g.Name), checks: g.Checks})
	}
	for _, c := range report.Checks {
		if !c.System() {
			refuseLiveness("check", c.Name)
			s.add(&service{kind: check, name: c.Name, endpoint: echohealth.Checks, checks: []string{c.Name}})
		}
	}
	return s
}

// refuseLiveness panics for a group or a check that has the name of the service Liveness. No client could ask
// for it.
func refuseLiveness(what, name string) {
	if name == Liveness {
		panic(fmt.Sprintf("grpchealth: New: the %s %q must have another name, because %q is the service for "+
			"what /live/ answers", what, name, Liveness))
	}
}

// add adds a service. Its name is not that of another service: the names of groups and checks differ.
func (s *Server) add(added *service) {
	s.services[added.name] = added
	s.order = append(s.order, added)
}

// find returns the service with this name. It returns nil if there is none, or if the client must not see it.
func (s *Server) find(ctx context.Context, name, method string) *service {
	found := s.services[name]
	if found == nil || found.open() || s.health.Shows(found.endpoint, httpRequest(ctx, method)) {
		return found
	}
	return nil
}

// Check returns the status of one service. It is a look (see echohealth.Health) that waits only for this
// service's checks. The error is NOT_FOUND if the service does not exist, and the error of ctx if ctx ends
// first.
func (s *Server) Check(
	ctx context.Context, r *grpc_health_v1.HealthCheckRequest,
) (*grpc_health_v1.HealthCheckResponse, error) {
	found := s.find(ctx, r.GetService(), grpc_health_v1.Health_Check_FullMethodName)
	if found == nil {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	answer, err := found.look(ctx, s.health)
	if err != nil {
		return nil, err
	}
	return response(answer), nil
}

// List returns the status of every service that the client may see. It is a look (see echohealth.Health) that
// waits for all checks. The error is RESOURCE_EXHAUSTED if there are more than 100 of these services, and the
// error of ctx if ctx ends first.
func (s *Server) List(
	ctx context.Context, _ *grpc_health_v1.HealthListRequest,
) (*grpc_health_v1.HealthListResponse, error) {
	request := httpRequest(ctx, grpc_health_v1.Health_List_FullMethodName)
	var shown []*service
	for _, service := range s.order {
		if service.open() || s.health.Shows(service.endpoint, request) {
			shown = append(shown, service)
		}
	}
	if len(shown) > maxServices {
		return nil, status.Errorf(codes.ResourceExhausted,
			"there are %d services, and a list must not have more than %d", len(shown), maxServices)
	}
	report := s.health.Report(ctx)
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	statuses := make(map[string]*grpc_health_v1.HealthCheckResponse, len(shown))
	for _, service := range shown {
		statuses[service.name] = response(service.in(&report, s.health.Alive()))
	}
	return &grpc_health_v1.HealthListResponse{Statuses: statuses}, nil
}

func response(status servingStatus) *grpc_health_v1.HealthCheckResponse {
	return &grpc_health_v1.HealthCheckResponse{Status: status}
}
