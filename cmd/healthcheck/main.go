// Command healthcheck asks a service for its health. It exits with 0 if the service is well, else with 1. See
// healthcheck --help. Package github.com/echo-probes/echohealth/healthcheck is the same command for use in an
// application's subcommand.
package main

import (
	"os"

	"github.com/echo-probes/echohealth/healthcheck"
)

func main() {
	os.Exit(healthcheck.Main(os.Args[1:], os.Stdout, os.Stderr))
}
