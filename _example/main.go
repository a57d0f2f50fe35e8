// Command example is a small service with health endpoints: notes in a database, their list in a cache, and
// jobs in a Celery queue. It needs nothing installed but Go:
//
//	go run -C _example .
//
// This is the file to copy. routes.go, notes.go and queue.go contain the service. parts.go connects it to
// real servers, or to embedded ones.
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

// A stopping service first drains: its readiness is 503, and it still serves requests until load balancers
// have noticed. Then the requests in flight have the rest of the time. The times must satisfy drainDelay +
// the longest request < shutdownTimeout < terminationGracePeriodSeconds, which is 30 by default in
// Kubernetes.
const (
	readTimeout     = 5 * time.Second  // for a client to send its request
	requestTimeout  = 2 * time.Second  // for all calls of one request to the database, the cache and the queue
	drainDelay      = 5 * time.Second  // more than a load balancer needs to take an instance out
	shutdownTimeout = 20 * time.Second // for everything together
)

func main() {
	// The container image has no curl: this program is also its health check.
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
		// A custom check: whether the goroutine that deletes old notes is still running.
		echohealth.WithCheck("cleaner", cleaner, echohealth.Optional()),
		echohealth.WithDrainDelay(drainDelay),
		echohealth.WithPage(),       // /api/health/ in a browser
		echohealth.WithPrometheus(), // /api/health/prometheus/
	}
	// Live, ready and startup are public. The other endpoints need the token, if there is one.
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

// serve serves until ctx ends, then drains, and then waits for the requests in flight. A second signal ends
// the wait.
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
