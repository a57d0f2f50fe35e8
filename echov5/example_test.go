package echov5_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/echov5"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"
)

// The examples are the blocks of README.md.
var (
	db     *sql.DB
	search = "http://search:9200/_cluster/health?wait_for_status=yellow&timeout=0s" // 408 when it is red
)

func Example() {
	e := echo.New()
	e.Use(echov5.Middleware(
		echohealth.WithDatabase(sqlprobe.New(db)),
		echohealth.WithCheck("search", httpprobe.New(search), echohealth.Optional()),
	))
}

func ExampleFrom() {
	health, err := echohealth.New(
		echohealth.WithDatabase(sqlprobe.New(db)),
		echohealth.WithDrainDelay(10*time.Second), // until load balancers have reacted
	)
	if err != nil {
		log.Fatal(err)
	}
	defer health.Close()

	e := echo.New()
	e.Use(echov5.From(health)) // before authentication and rate limits, or e.Pre(echov5.From(health))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := (echo.StartConfig{Address: ":8000"}).Start(health.DrainContext(ctx), e); err != nil {
		log.Print(err)
	}
}

func ExampleSkipper() {
	health, err := echohealth.New(echohealth.WithoutSystemMetrics())
	if err != nil {
		log.Fatal(err)
	}
	defer health.Close()

	e := echo.New()
	e.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		Skipper:    echov5.Skipper(health), // no line in the log for a probe
		LogURIPath: true,
		LogValuesFunc: func(_ *echo.Context, v middleware.RequestLoggerValues) error {
			fmt.Println("request:", v.URIPath)
			return nil
		},
	}))
	e.Use(echov5.From(health))
	for _, path := range []string{"/api/health/live/", "/hello"} {
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	// Output: request: /hello
}
