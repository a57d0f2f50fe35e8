// Command service runs in a container in tests of e2e/kubelet that can't use the example. It is one of these,
// by its flags: a service with a startup gate, a service that migrates data before it listens, a service that
// takes much memory, or the process that holds a pod's namespaces.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/echo-probes/echohealth"
)

func main() {
	addr := flag.String("addr", ":8000", "the address to listen on")
	gate := flag.Duration("gate", 0, "when the startup gate opens; below 0 never")
	migration := flag.Duration("migration", 0, "how long to wait before listening")
	memory := flag.Int("memory", 0, "how many MiB to take, 5 s after the start")
	pause := flag.Bool("pause", false, "do nothing until SIGTERM")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if *pause {
		<-ctx.Done()
		return
	}
	select {
	case <-ctx.Done():
		stop()
		return
	case <-time.After(*migration):
	}
	time.AfterFunc(5*time.Second, func() { take(*memory) })
	if err := serve(ctx, *addr, *gate); err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		stop()
		os.Exit(1)
	}
}

// taken refers to the memory, so that the garbage collector doesn't free it.
var taken []byte

func take(mebibytes int) {
	taken = make([]byte, mebibytes<<20)
	for i := 0; i < len(taken); i += os.Getpagesize() {
		taken[i] = 1
	}
	fmt.Println("memory taken")
}

func serve(ctx context.Context, addr string, gate time.Duration) error {
	health, err := echohealth.New(echohealth.WithStartupGate())
	if err != nil {
		return err
	}
	if gate >= 0 {
		time.AfterFunc(gate, func() { fmt.Println("gate opens"); health.MarkStarted() })
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Use(logProbes, health.Middleware)
	failed := make(chan error, 1)
	go func() { failed <- e.Start(addr) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return health.Shutdown(ctx, e)
}

// logProbes prints each request with its status, its user agent, its header Connection and the client's
// address.
func logProbes(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		r := c.Request()
		fmt.Println(
			"asked",
			r.URL.Path,
			c.Response().Status,
			r.UserAgent(),
			r.Header.Get("Connection"),
			r.RemoteAddr,
		)
		return err
	}
}
