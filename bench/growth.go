package main

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/labstack/echo/v4"
)

var (
	checkCounts = []int{3, 30, 300}
	routeCounts = []int{1, 100, 10_000}
)

// readyGrowth measures how the cost of readiness grows with the number of checks, once with fresh results and
// once with a run of all checks.
func readyGrowth() (*group, error) {
	g := &group{name: "ReadyGrowth", close: noClose}
	for _, rest := range []time.Duration{0, 3 * time.Millisecond / 2} {
		for _, n := range checkCounts {
			i, err := openWell(libraries[0], settings{checks: slices.Repeat([]check{well}, n), due: rest > 0})
			if err != nil {
				g.close()
				return nil, err
			}
			ask, closeBefore := i.asker(), g.close
			g.close = func() { i.close(); closeBefore() }
			g.subjects = append(g.subjects, subject{name: growthName(n, rest > 0), rest: rest, op: func() { ask() }})
		}
	}
	return g, nil
}

func growthName(checks int, due bool) string {
	if due {
		return fmt.Sprintf("%d checks, all run", checks)
	}
	return fmt.Sprintf("%d checks, fresh", checks)
}

// routeGrowth measures how the cost of a request on the last route grows with the number of routes.
func routeGrowth() (*group, error) {
	h, err := newHealth()
	if err != nil {
		return nil, err
	}
	g := &group{name: "RouteGrowth", close: func() { _ = h.Close() }}
	for _, n := range routeCounts {
		g.subjects = append(g.subjects,
			subject{name: routesName(n, noOpUse), op: manyRoutes(n, noOp)},
			subject{name: routesName(n, oursUse), op: manyRoutes(n, h.Middleware), against: routesName(n, noOpUse)},
		)
	}
	return g, nil
}

func routesName(n int, who string) string { return fmt.Sprintf("%d routes, %s", n, who) }

func manyRoutes(n int, m echo.MiddlewareFunc) func() {
	e := echo.New()
	e.Use(m)
	route := func(i int) string { return fmt.Sprintf("/api/resource%d", i) }
	for i := range n {
		e.GET(route(i), func(echo.Context) error { return nil })
	}
	return serving(e, route(n-1))
}

// heap returns the bytes in use after two garbage collections. After only one, the objects of a sync.Pool
// would still count.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// memoryPerCheck returns the memory of one check, in bytes. It includes the check's result and its part of
// the answers.
func memoryPerCheck() (int64, error) {
	const n = 1000
	none, err := filled(0)
	if err != nil {
		return 0, err
	}
	many, err := filled(n)
	return (many - none) / n, err
}

// filled returns the memory, in bytes, of a Health with n checks that has answered requests.
func filled(n int) (int64, error) {
	before := heap()
	h, err := withChecks(n)
	if err != nil {
		return 0, err
	}
	defer func() { _ = h.Close() }()
	for _, path := range []string{readyPath, detailedPath} {
		serving(h, path)()
	}
	after := heap()
	runtime.KeepAlive(h)
	return after - before, nil
}

// withChecks returns a Health with n checks and without system metrics.
func withChecks(n int) (*echohealth.Health, error) {
	options := []echohealth.Option{echohealth.WithoutSystemMetrics()}
	for i := range n {
		options = append(options, echohealth.WithCheck(checkName(i), probes.Func(well)))
	}
	return echohealth.New(options...)
}

// aMillionRequests sends a million requests to the application and to the health endpoints. Results are fresh
// for only a millisecond. It returns by how much the heap and the number of goroutines grew.
func aMillionRequests() (bytes int64, goroutines int, err error) {
	i, err := openWell(libraries[0], settings{checks: three(well), due: true})
	if err != nil {
		return 0, 0, err
	}
	defer i.close()
	e := application(use(i.health.Middleware))
	ops := []func(){serving(e, appPath), serving(e, livePath), serving(e, readyPath), serving(e, detailedPath)}
	ask := func(n int) {
		for range n / len(ops) {
			for _, op := range ops {
				op()
			}
		}
	}
	const step, limit = 10 * time.Millisecond, 10 * time.Second
	ask(10_000)
	time.Sleep(step) // until the goroutines of the last runs have ended
	before, goroutinesBefore := heap(), runtime.NumGoroutine()
	ask(1_000_000)
	for began := time.Now(); runtime.NumGoroutine() > goroutinesBefore && time.Since(began) < limit; {
		time.Sleep(step)
	}
	return heap() - before, runtime.NumGoroutine() - goroutinesBefore, nil
}

// connected returns the time of an answer of /detailed/ that must measure the system, while n connections are
// open.
func connected(n int) (spread, error) {
	h, err := newHealth()
	if err != nil {
		return spread{}, err
	}
	defer func() { _ = h.Close() }()
	disconnect, err := connect(n)
	if err != nil {
		return spread{}, err
	}
	defer disconnect()
	op := serving(h, detailedPath)
	op()
	times := make([]time.Duration, 5)
	for i := range times {
		time.Sleep(1050 * time.Millisecond)
		began := time.Now()
		op()
		times[i] = time.Since(began)
	}
	return spread{median(times), slices.Max(times)}, nil
}

// spread summarizes several measurements of the same duration.
type spread struct{ median, worst time.Duration }

// connect opens n connections from this process to itself, and returns a function that closes them.
func connect(n int) (func(), error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	conns := []net.Conn{}
	closeAll := func() {
		for _, c := range conns {
			_ = c.Close()
		}
		_ = listener.Close()
	}
	for range n {
		out, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			closeAll()
			return nil, err
		}
		conns = append(conns, out)
		in, err := listener.Accept()
		if err != nil {
			closeAll()
			return nil, err
		}
		conns = append(conns, in)
	}
	return closeAll, nil
}
