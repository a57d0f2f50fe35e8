package echohealth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"syscall"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/labstack/echo/v4"
)

// ask prints what a client gets.
func ask(handler http.Handler, path string) {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	fmt.Println(w.Code, w.Body)
}

func Example() {
	e := echo.New()
	e.Use(echohealth.Middleware(
		echohealth.WithDatabase(probes.Func(func(context.Context) error { return nil })), // pgxprobe.New(pool)
	))
	ask(e, "/api/health/checks/cache/")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/health/ready/", nil))
	fmt.Println(w.Code)
	// Output:
	// 404 {"error":"not_found"}
	// 200
}

func ExampleNew() {
	_, err := echohealth.New(
		echohealth.WithTimeout(800), // meant as milliseconds
		echohealth.WithCPUThreshold(95, 90),
	)
	fmt.Println(err)
	// Output:
	// echohealth: WithTimeout(800ns): the duration must be at least 1ms (a bare number is in nanoseconds)
	// WithCPUThreshold(95, 90): warning must not exceed critical
}

func ExampleHealth_Report() {
	down := probes.Func(func(context.Context) error { return syscall.ECONNREFUSED })
	health, err := echohealth.New(
		echohealth.WithRedis(down, echohealth.Optional()),
		echohealth.WithoutSystemMetrics(),
		echohealth.WithLogger(slog.New(slog.DiscardHandler)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = health.Close() }()

	report := health.Report(context.Background())
	fmt.Println(report.Status, report.Ready, report.Checks[0].Name, report.Checks[0].Reason)
	// Output: degraded true redis connection_refused
}

func ExampleHealth_Wrap() {
	health, err := echohealth.New(echohealth.WithoutSystemMetrics())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = health.Close() }()

	router := http.NewServeMux()
	router.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "hello") })
	handler := health.Wrap(router)
	ask(handler, "/hello")
	ask(handler, "/api/health/nope")
	// Output:
	// 200 hello
	// 404 {"error":"not_found"}
}

func ExampleWithCheck() {
	licence := probes.Func(func(context.Context) error {
		return probes.Warn("licence_expires", errors.New("12 days left"))
	})
	health, err := echohealth.New(
		echohealth.WithCheck("licence", licence, echohealth.FreshFor(time.Hour)),
		echohealth.WithLogger(slog.New(slog.DiscardHandler)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = health.Close() }()

	check := health.Report(context.Background()).Checks[0]
	fmt.Println(check.Name, check.Status, check.Reason)
	// Output: licence warning licence_expires
}

func ExampleWithReadiness() {
	well := probes.Func(func(context.Context) error { return nil })
	down := probes.Func(func(context.Context) error { return syscall.ECONNREFUSED })
	health, err := echohealth.New(
		echohealth.WithDatabase(well),
		echohealth.WithRedis(down),
		echohealth.WithReadiness("database"),
		echohealth.WithLogger(slog.New(slog.DiscardHandler)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = health.Close() }()

	report := health.Report(context.Background())
	fmt.Println(report.Status, report.Ready)
	// Output: unhealthy true
}

// A test of an application gives it a switch in the place of its database.
func Example_testing() {
	database := probes.NewSwitch()
	health, err := echohealth.New(
		echohealth.WithDatabase(database), // pgxprobe.New(pool) in production
		echohealth.WithoutSystemMetrics(),
		echohealth.WithLogger(slog.New(slog.DiscardHandler)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer health.Close()
	e := echo.New()
	e.Use(health.Middleware)
	status := func() int {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/health/ready/", nil))
		return w.Code
	}

	fmt.Println(status())
	database.Off(probes.ReasonConnectionRefused)
	fmt.Println(status())
	database.On()
	fmt.Println(status())
	// Output:
	// 200
	// 503
	// 200
}
