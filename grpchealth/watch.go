package grpchealth

import (
	"context"
	"sync"
	"time"

	"github.com/echo-probes/echohealth"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// period is the time between two looks for all calls of Watch.
const period = time.Second

// errStopping is the error of Watch when the Health drains or is closed.
var errStopping = status.Error(codes.Unavailable, "the service is shutting down")

// Watch sends the status of a service, and then each change of it. All calls of Watch together cause one look
// a second. If the status changes again before a slow client has received a change, that change is left out.
// A service that does not exist has the status SERVICE_UNKNOWN, and the call continues.
//
// When the Health drains or is closed, Watch sends NOT_SERVING and ends with UNAVAILABLE, so that the
// GracefulStop of the server does not wait for it. A new call then ends with UNAVAILABLE immediately and
// sends nothing, because a client that has received a status would call again without a delay.
func (s *Server) Watch(r *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	ctx := stream.Context()
	if report := s.health.Last(); s.watchers.ended(&report) {
		return errStopping
	}
	w := &watcher{last: unknown, changes: make(chan servingStatus, 1)}
	if w.service = s.find(ctx, r.GetService(), grpc_health_v1.Health_Watch_FullMethodName); w.service != nil {
		var err error
		if w.last, err = w.service.look(ctx, s.health); err != nil {
			return err
		}
	}
	sent := w.last
	s.watchers.add(w)
	defer s.watchers.remove(w)
	if err := stream.Send(response(sent)); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case now, open := <-w.changes:
			if !open {
				return errStopping
			}
			if now == sent {
				continue // it changed back
			}
			sent = now
			if err := stream.Send(response(sent)); err != nil {
				return err
			}
		}
	}
}

// watcher is a call of Watch.
type watcher struct {
	service *service           // nil if it does not exist
	last    servingStatus      // the last status passed to update; guarded by watchers.mu
	changes chan servingStatus // the newest change that is not sent yet; closed at the end
}

// update passes the status to the call of Watch, in place of one that is not sent yet. Only one goroutine at
// a time calls it.
func (w *watcher) update(now servingStatus) {
	if now == w.last {
		return
	}
	w.last = now
	select {
	case <-w.changes:
	default:
	}
	w.changes <- now
}

// watchers makes the looks for all calls of Watch, as long as there is one.
type watchers struct {
	health *echohealth.Health

	mu   sync.Mutex // guards the fields below
	all  map[*watcher]struct{}
	stop context.CancelFunc // ends the looks; nil while there are none
}

func (a *watchers) add(w *watcher) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stop == nil {
		var ctx context.Context
		ctx, a.stop = context.WithCancel(context.Background())
		a.all = map[*watcher]struct{}{}
		go a.run(ctx)
	}
	a.all[w] = struct{}{}
}

func (a *watchers) remove(w *watcher) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, w)
	if len(a.all) == 0 && a.stop != nil {
		a.stop()
		a.stop = nil
	}
}

func (a *watchers) run(ctx context.Context) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.look(ctx)
		}
	}
}

// look runs the due checks and passes the last results to the watchers. It waits at most one period for the
// checks. So a slow check delays neither the others nor the drain.
func (a *watchers) look(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, period)
	a.health.Report(bounded)
	cancel()

	a.mu.Lock()
	defer a.mu.Unlock()
	if ctx.Err() != nil {
		return // stopped; another run may have replaced this one
	}
	// The report is read with the lock held. Otherwise a watcher that is added in between may already know a
	// newer status than the report's.
	report, alive := a.health.Last(), a.health.Alive()
	if a.ended(&report) {
		a.end()
		return
	}
	for w := range a.all {
		if w.service != nil {
			w.update(w.service.in(&report, alive))
		}
	}
}

// ended reports whether the calls of Watch must end.
func (a *watchers) ended(r *echohealth.Report) bool {
	return r.Phase == "draining" || a.health.Closed()
}

// end ends all calls of Watch and stops the looks. a.mu is held.
func (a *watchers) end() {
	for w := range a.all {
		w.update(notServing)
		close(w.changes)
	}
	a.all = nil
	a.stop()
	a.stop = nil
}
