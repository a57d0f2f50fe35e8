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

// period is how often a look is made for the watchers.
const period = time.Second

// errStopping ends each Watch.
var errStopping = status.Error(codes.Unavailable, "the service is shutting down")

// Watch sends the status of a service, and each change of it once. For all its callers together there is one
// look a second. A change that a slow client has not received before the next one is left out. A service that
// does not exist is SERVICE_UNKNOWN, and the call goes on.
//
// When the Health drains or is closed, Watch sends NOT_SERVING and ends with UNAVAILABLE, so that the
// GracefulStop of the server does not wait for it. Meanwhile a new call ends with UNAVAILABLE at once: a
// client that was sent anything would call again without a delay.
func (s *Server) Watch(r *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	ctx := stream.Context()
	if report := s.health.Last(); s.watchers.ended(&report) {
		return errStopping
	}
	w := &watcher{told: unknown, news: make(chan servingStatus, 1)}
	if w.service = s.find(ctx, r.GetService(), grpc_health_v1.Health_Watch_FullMethodName); w.service != nil {
		var err error
		if w.told, err = w.service.look(ctx, s.health); err != nil {
			return err
		}
	}
	sent := w.told
	s.watchers.add(w)
	defer s.watchers.remove(w)
	if err := stream.Send(response(sent)); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case now, open := <-w.news:
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
	told    servingStatus      // guarded by watchers.mu
	news    chan servingStatus // the newest change that is not sent yet; closed at the end
}

// tell replaces the status that is not sent yet. Only one goroutine at a time calls it.
func (w *watcher) tell(now servingStatus) {
	if now == w.told {
		return
	}
	w.told = now
	select {
	case <-w.news:
	default:
	}
	w.news <- now
}

// watchers looks for all calls of Watch, while there is one.
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
		return // another run has replaced this one
	}
	// It is read with the lock held: otherwise a watcher that was added before may already know a newer
	// status.
	report, alive := a.health.Last(), a.health.Alive()
	if a.ended(&report) {
		a.end()
		return
	}
	for w := range a.all {
		if w.service != nil {
			w.tell(w.service.in(&report, alive))
		}
	}
}

// ended reports whether nothing more is to be watched.
func (a *watchers) ended(r *echohealth.Report) bool {
	return r.Phase == "draining" || a.health.Closed()
}

// end ends all calls, and the looks. a.mu is held.
func (a *watchers) end() {
	for w := range a.all {
		w.tell(notServing)
		close(w.news)
	}
	a.all = nil
	a.stop()
	a.stop = nil
}
