// Command example is a small service with health endpoints. It keeps notes in a database, caches the list of
// notes, and sends jobs to a Celery queue. It needs only Go:
//
//	go run -C _example .
//
// Copy from this file. routes.go, notes.go and queue.go contain the service itself. parts.go connects it to
// real servers or to embedded ones.
package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/healthcheck"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
	"github.com/echo-probes/echohealth/probes/redisprobe"
)

// version is shown by /api/health/detailed/. Set it with go build -ldflags "-X main.version=1.2.3".
var version = "dev"

// A service that stops first drains for drainDelay. During this time its readiness is 503, but it still
// serves requests, until load balancers have noticed. The requests in flight then have the rest of
// shutdownTimeout. drainDelay plus the longest request must be less than shutdownTimeout, and shutdownTimeout
// must be less than terminationGracePeriodSeconds in Kubernetes, which is 30 by default.
const (
	readTimeout     = 5 * time.Second  // for a client to send its request
	requestTimeout  = 2 * time.Second  // for all calls of one request to the database, the cache and the queue
	drainDelay      = 5 * time.Second  // longer than a load balancer needs to remove an instance
	shutdownTimeout = 20 * time.Second // limit for draining and for the requests in flight together
)

func main() {
	// The container image has no curl. So this program is also the client for its HEALTHCHECK.
	if len(os.Args) > 1 && os.Args[1] == "healthcheck" {
		os.Exit(healthcheck.Main(os.Args[2:], os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		stop()
		os.Exit(1)
	}
}

// run runs the service until ctx ends.
func run(ctx context.Context) error {
	parts, err := openParts(os.Getenv)
	if err != nil {
		return err
	}
	defer parts.close()

	cleaner := probes.NewHeartbeat(3 * cleaningInterval)
	health, err := newHealth(parts, cleaner)
	if err != nil {
		return err
	}
	defer health.Close()

	e := newEcho(health, parts)
	if e.Listener, err = net.Listen("tcp", cmp.Or(os.Getenv("ADDR"), ":8000")); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { parts.notes.clean(ctx, cleaner) })
	defer background.Wait()
	defer cancel()

	fmt.Print(welcome(e.Listener.Addr(), parts))
	return serve(ctx, e, health)
}

func newHealth(parts *parts, cleaner *probes.Heartbeat) (*echohealth.Health, error) {
	options := []echohealth.Option{
		echohealth.WithVersion(version),
		echohealth.WithDatabase(parts.databaseProbe), // pgxprobe.New(pool) or sqlprobe.New(db)
		echohealth.WithRedis(redisprobe.New(parts.cache)),
		echohealth.WithCelery(celeryprobe.New(parts.brokerURL)),
		// This custom check reports whether the goroutine that deletes old notes is still running.
		echohealth.WithCheck("cleaner", cleaner, echohealth.Optional()),
		echohealth.WithDrainDelay(drainDelay),
		echohealth.WithPage(),       // /api/health/ in a browser
		echohealth.WithPrometheus(), // /api/health/prometheus/
	}
	// Live, ready and startup are public. The other endpoints require HEALTH_TOKEN, if it is set.
	if token := os.Getenv("HEALTH_TOKEN"); token != "" {
		options = append(options, echohealth.WithGuard(echohealth.BearerToken(token)))
	}
	return echohealth.New(options...)
}

func newEcho(health *echohealth.Health, parts *parts) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Server.ReadTimeout = readTimeout
	e.Server.IdleTimeout = 2 * time.Minute

	e.Use(health.Middleware) // first, so that no other middleware can block a probe
	e.Use(middleware.Recover(), middleware.BodyLimit("64K"), middleware.ContextTimeout(requestTimeout))
	addRoutes(e, parts)
	return e
}

// serve serves until ctx ends. Then it drains, and waits for the requests in flight. A second signal ends the
// draining and the waiting.
func serve(ctx context.Context, e *echo.Echo, health *echohealth.Health) error {
	failed := make(chan error, 1)
	go func() { failed <- e.Start("") }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Printf("Stopping: drains for %s first; a second signal cuts that short.\n", drainDelay)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	return health.Shutdown(ctx, e)
}
