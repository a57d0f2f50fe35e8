// Command healthcheck asks a service for its health, and exits with 0 if it is well, else with 1. See healthcheck --help, and package
// github.com/echo-probes/echohealth/healthcheck, which is the same for an application that carries it as a subcommand.
package main

import (
	"os"

	"github.com/echo-probes/echohealth/healthcheck"
)

func main() {
	os.Exit(healthcheck.Main(os.Args[1:], os.Stdout, os.Stderr))
}
