package healthcheck_test

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/healthcheck"
)

// Example is the main function of an application, with a subcommand for HEALTHCHECK in its Dockerfile.
func Example() {
	if len(os.Args) > 1 && os.Args[1] == "healthcheck" {
		os.Exit(healthcheck.Main(os.Args[2:], os.Stdout, os.Stderr))
	}
	fmt.Println("serving")
	// Output: serving
}

func ExampleMain() {
	health, err := echohealth.New()
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = health.Close() }()
	server := httptest.NewServer(health)
	defer server.Close()

	fmt.Println(healthcheck.Main([]string{"--live", server.URL}, io.Discard, os.Stderr))
	fmt.Println(healthcheck.Main([]string{"--check", "cache", "--json", server.URL}, os.Stdout, os.Stderr))
	// Output:
	// 0
	// {"error":"not_found"}
	// 1
}
